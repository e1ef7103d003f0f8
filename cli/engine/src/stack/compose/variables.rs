//! Variables in a compose file, replaced like the `docker` command does: `$NAME`, `${NAME}`,
//! `${NAME:-default}`, `${NAME-default}`, `${NAME:?error}`, `${NAME?error}`, and `$$` for a dollar
//! sign.

use serde_yaml::Value;

/// Replaces variables in all values, and reports those without a value.
pub(super) fn replace(
    value: &mut Value,
    lookup: &dyn Fn(&str) -> Option<String>,
    tell: &mut dyn FnMut(String),
) {
    match value {
        Value::String(text) => match replaced(text, lookup) {
            Ok(whole) => *text = whole,
            Err(variable) => tell(crate::words::plain(&variable, 60)),
        },
        Value::Sequence(list) => list.iter_mut().for_each(|value| replace(value, lookup, tell)),
        Value::Mapping(map) => map.values_mut().for_each(|value| replace(value, lookup, tell)),
        _ => {}
    }
}

fn replaced(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            whole.push('$');
            rest = after;
        } else if let Some(braced) = after.strip_prefix('{') {
            let (inside, after) = braced.split_once('}').ok_or_else(|| text.to_owned())?;
            whole.push_str(&braces(inside, lookup)?);
            rest = after;
        } else {
            let end = name_end(after);
            if end == 0 {
                return Err(text.to_owned());
            }
            whole.push_str(&lookup(&after[..end]).unwrap_or_default());
            rest = &after[end..];
        }
    }
    whole.push_str(rest);
    Ok(whole)
}

fn braces(inside: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, rule) = inside.split_at(name_end(inside));
    let (takes_empty, rule) = match rule.strip_prefix(':') {
        Some(rule) => (false, rule),
        None => (true, rule),
    };
    let value = lookup(name).filter(|value| takes_empty || !value.is_empty());
    if name.is_empty() {
        return Err(inside.to_owned());
    }
    if let Some(default) = rule.strip_prefix('-') {
        Ok(value.unwrap_or_else(|| default.to_owned()))
    } else if rule.starts_with('?') {
        value.ok_or_else(|| name.to_owned())
    } else if rule.is_empty() && takes_empty {
        Ok(value.unwrap_or_default())
    } else {
        Err(inside.to_owned())
    }
}

fn name_end(text: &str) -> usize {
    let is_name = |(index, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (index > 0 && c.is_ascii_digit())
    };
    text.char_indices().find(|at| !is_name(*at)).map_or(text.len(), |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_dockers_command_does() {
        let lookup = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("x", Ok("x")),
            ("${A}:$A/$$A", Ok("a:a/$A")),
            ("${B}$B", Ok("")),
            ("${B:-d}${B-d}${A:-d}", Ok("dda")),
            ("${EMPTY:-d}${EMPTY-d}", Ok("d")),
            ("${A:?e}", Ok("a")),
            ("${B:?e}", Err("B")),
            ("${EMPTY:?e}", Err("EMPTY")),
            ("${EMPTY?e}", Ok("")),
            ("${", Err("${")),
            ("${}", Err("")),
            ("${A:}", Err("A:")),
            ("${Aß}", Err("Aß")),
            ("5$", Err("5$")),
            ("$1", Err("$1")),
        ] {
            let replaced = replaced(text, &lookup);
            assert_eq!(replaced.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
