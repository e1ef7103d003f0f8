//! Texts as they are shown, also where a peer chose them.

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
    escaped(document, |c| format!("\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && !matches!(c, '\n' | '\t')) || turns(c) {
            plain.push_str(&escape(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Characters that make a terminal show a line in another order than it has.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        let document = format!("{:#}", Value::from("a\u{9b}\u{202e}\n"));
        let shown = in_json(&document);
        assert_eq!(shown, r#""a\u009b\u202e\n""#);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), "a\u{9b}\u{202e}\n");
    }
}
