//! Names from certificates, made safe to print. The peer chose them, so their length and number are
//! bounded, and every character that cannot be in a host name is escaped, including spaces: a name
//! with enough spaces would wrap into lines that look like output of this program.

use std::net::IpAddr;

/// Number of names that are printed.
const MOST: usize = 8;
/// Number of bytes of a name that are printed: the longest DNS name has 253.
const LONGEST: usize = 253;

/// The first names, each escaped and shortened.
#[must_use]
pub fn shown<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    names.iter().take(MOST).map(|name| one(name.as_ref())).collect()
}

/// The first names, escaped and shortened, followed by "and N more" if there are more.
#[must_use]
pub fn list<S: AsRef<str>>(names: &[S]) -> String {
    let mut all = shown(names);
    if let Some(more @ 1..) = names.len().checked_sub(MOST) {
        all.push(format!("and {more} more"));
    }
    all.join(", ")
}

/// The subject of a certificate that has no subject alternative names, escaped and shortened.
#[must_use]
pub fn subject(text: &str) -> String {
    escaped(text, |c| is_of_host(c) || c == '=')
}

fn one(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => escaped(name, is_of_host),
    }
}

fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*')
}

fn escaped(text: &str, is_plain: impl Fn(char) -> bool) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        let part = if is_plain(c) { c.to_string() } else { c.escape_unicode().to_string() };
        if shown.len() + part.len() > LONGEST {
            shown.push('…');
            break;
        }
        shown.push_str(&part);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_no_host_name_has_are_escaped() {
        let table = [
            ("*.b-1.example", "*.b-1.example"),
            ("2001:db8::1", "2001:db8::1"),
            ("b fix=x", "b\\u{20}fix\\u{3d}x"),
            ("b\nhint: x", "b\\u{a}hint\\u{3a}\\u{20}x"),
            ("bücher, `c`", "b\\u{fc}cher\\u{2c}\\u{20}\\u{60}c\\u{60}"),
        ];
        for (name, expected) in table {
            assert_eq!(list(&[name]), expected);
        }
        assert_eq!(subject("CN=b c"), "CN=b\\u{20}c");
    }

    #[test]
    fn names_are_bounded_in_length_and_number() {
        let long = format!("{}{}", "a".repeat(250), " ".repeat(4000));
        let many: Vec<_> = (0..10).map(|number| format!("b{number}")).collect();

        assert_eq!(list(&[&long]), format!("{}…", "a".repeat(250)));
        assert_eq!(subject(&long), format!("{}…", "a".repeat(250)));
        assert_eq!(shown(&many), many[..8]);
        assert!(list(&many).ends_with("b7, and 2 more"));
    }
}
