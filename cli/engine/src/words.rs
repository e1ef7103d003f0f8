//! Makes text of others safe to print: one line of limited length, without characters that move the
//! cursor or change the direction of text.

/// At most `most` characters of a text, without control characters.
pub(super) fn plain(text: &str, most: usize) -> String {
    let mut shown: String = text.trim().chars().take(most).map(shown).collect();
    if text.trim().chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

fn shown(c: char) -> char {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns { ' ' } else { c }
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
            ("grüße", 4, "grüß…"),
            ("grüße", 5, "grüße"),
        ] {
            assert_eq!(plain(text, most).trim(), expected);
        }
    }
}
