//! Makes text of others safe to print: one line of limited length, without characters that move the
//! cursor, change the direction of text or are invisible.

use cmsg_config::cause::is_deceptive;

/// At most `most` characters of a text, without control characters.
pub(super) fn plain(text: &str, most: usize) -> String {
    let mut shown: String = text.trim().chars().take(most).map(shown).collect();
    if text.trim().chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

fn shown(c: char) -> char {
    if c.is_control() || is_deceptive(c) { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_is_bounded_and_without_control_characters() {
        for (text, most, expected) in [
            (" a\tb\r\n", 9, "a b"),
            ("\u{1b}[31mred\u{7}", 9, "[31mred"),
            ("a\u{202e}b\u{2066}c", 9, "a b c"),
            ("a\u{61c}b\u{200b}c\u{ad}d\u{e0041}e", 9, "a b c d e"),
            ("grüße", 4, "grüß…"),
            ("grüße", 5, "grüße"),
        ] {
            assert_eq!(plain(text, most).trim(), expected);
        }
    }
}
