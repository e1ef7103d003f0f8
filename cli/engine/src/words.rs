//! What others say, made fit to be shown: one line, bounded, without what moves a cursor or turns
//! the direction of a text.

/// As many characters of a text as may be, without those that control a screen.
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
    fn what_is_shown_controls_no_screen_and_has_an_end() {
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
