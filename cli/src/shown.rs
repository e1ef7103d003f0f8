//! Texts as they are shown, also where a peer chose them.

use cmsg_config::cause::is_deceptive;

/// A text that gives a terminal no orders: services, certificates and files of others have a say in it.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, |c| c.escape_unicode().to_string())
}

/// The same in one line, for what a stranger chose: a name with a line break could show a line that
/// looks like ours.
pub(crate) fn one_line(text: &str) -> String {
    let spaced = text.replace('\t', " ");
    plain(&spaced).replace('\n', "\\u{a}")
}

/// `1 file`, `2 files`: a count with its noun, whose plural ends in `s`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The text as a sentence begins.
pub(crate) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// A document of JSON, whose texts keep their meaning.
pub(crate) fn in_json(document: &str) -> String {
    escaped(document, |c| {
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    })
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && !matches!(c, '\n' | '\t')) || is_deceptive(c) {
            plain.push_str(&escape(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_count_agrees_with_its_noun() {
        let shown = [0, 1, 2].map(|count| counted(count, "file"));
        assert_eq!(shown, ["0 files", "1 file", "2 files"]);
    }

    #[test]
    fn what_others_say_gives_a_terminal_no_orders() {
        let said = "a\u{1b}]52;c;bHM=\u{7}\u{9b}2J\r\u{202e}\tb\nc";
        assert_eq!(plain(said), "a\\u{1b}]52;c;bHM=\\u{7}\\u{9b}2J\\u{d}\\u{202e}\tb\nc");
        assert_eq!(one_line("a\n\u{1b}\tb"), "a\\u{a}\\u{1b} b");
        for hidden in ["\u{ad}", "\u{61c}", "\u{200b}", "\u{2028}", "\u{feff}", "\u{e0041}"] {
            assert_eq!(one_line(hidden), hidden.escape_unicode().to_string());
            let document = Value::from(hidden).to_string();
            assert!(in_json(&document).is_ascii());
            assert_eq!(serde_json::from_str::<Value>(&in_json(&document)).unwrap(), hidden);
        }
        let document = format!("{:#}", Value::from("a\u{9b}\u{202e}\n"));
        let shown = in_json(&document);
        assert_eq!(shown, r#""a\u009b\u202e\n""#);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), "a\u{9b}\u{202e}\n");
    }
}
