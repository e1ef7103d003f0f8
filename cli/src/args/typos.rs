//! Words that a document's typesetting, a table of types or a stray space spoilt. clap would call
//! them unexpected; the operator is better told what was meant.

use std::ffi::OsString;

use super::settings::{Kind, Setting};
use crate::finding::Finding;

/// The types in the guide's tables, which get pasted along with the flags.
const TYPE_WORDS: [&str; 4] = ["stringArray", "StringArray", "String", "Boolean"];

/// All of them, in the order of the words.
pub(super) fn typos(words: &[OsString]) -> Vec<Finding> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words
        .iter()
        .enumerate()
        .filter_map(|(index, word)| {
            let before = index.checked_sub(1).map(|before| words[before].as_ref());
            if before.is_some_and(|before| !before.contains('=') && is_secret(before)) {
                return None;
            }
            // A password may have spaces at its ends, and is not to be told.
            let word = if is_secret(word) { word.split('=').next().unwrap_or(word) } else { word };
            typo(word, before.filter(|before| before.starts_with("--")))
        })
        .collect()
}

/// Whether a word is the flag of a password, with or without the password.
fn is_secret(word: &str) -> bool {
    let name = word.trim().trim_start_matches(is_dash).split('=').next().unwrap_or_default();
    let setting = if name.len() < word.trim().len() { Setting::find(name.trim()) } else { None };
    setting.is_some_and(|setting| setting.kind() == Kind::Secret)
}

/// What is wrong with a word that stands behind that flag, if any.
fn typo(word: &str, flag: Option<&str>) -> Option<Finding> {
    let tidy = tidy(word);
    if word != tidy {
        return Some(Finding::error(
            "usage.space",
            format!("`{word}` has a space where none belongs"),
            format!("write `{tidy}`"),
        ));
    }
    if let Some(dash) = word.chars().take_while(|c| is_dash(*c)).find(|c| *c != '-') {
        return Some(Finding::error(
            "usage.dash",
            format!("`{word}` begins with `{dash}` (U+{:04X}), which is not a hyphen", dash as u32),
            format!("write `--{}`", word.trim_start_matches(is_dash)),
        ));
    }
    if word == "-" || word == "--" {
        return Some(Finding::error(
            "usage.space",
            format!("`{word}` stands alone"),
            "write a flag's dashes and its name without a space between them",
        ));
    }
    if let Some(name) = word.strip_prefix('-').filter(|name| is_setting(name)) {
        return Some(Finding::error(
            "usage.dash",
            format!("`{word}` begins with one hyphen"),
            format!("write `--{name}`"),
        ));
    }
    let (flag, value) = match word.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => (flag, value),
        Some(("", value)) => {
            let flag = flag.unwrap_or("--FLAG");
            return Some(Finding::error(
                "usage.space",
                format!("`{word}` begins with an equals sign"),
                format!("write `{flag}={value}`"),
            ));
        }
        _ => (flag.unwrap_or_default(), word),
    };
    TYPE_WORDS.contains(&value).then(|| {
        Finding::error(
            "usage.type-word",
            format!("`{value}` is the type of a value, not a value"),
            format!("write the value itself: `{}`", format!("{flag} VALUE").trim_start()),
        )
    })
}

fn is_setting(word: &str) -> bool {
    Setting::find(word.split('=').next().unwrap_or(word)).is_some()
}

/// The word without spaces at its ends and around a flag's equals sign.
fn tidy(word: &str) -> String {
    match word.trim().split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => {
            format!("{}={}", flag.trim_end(), value.trim_start())
        }
        _ => word.trim().to_owned(),
    }
}

/// The hyphen and what documents make of it.
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spoilt_words_are_told_with_what_was_meant() {
        let table = [
            (
                "–broker-url",
                "`–broker-url` begins with `–` (U+2013), which is not a hyphen",
                "write `--broker-url`",
            ),
            ("-—yes", "`-—yes` begins with `—` (U+2014), which is not a hyphen", "write `--yes`"),
            ("-self-signed", "`-self-signed` begins with one hyphen", "write `--self-signed`"),
            (
                "-ca-cert=/ca.pem",
                "`-ca-cert=/ca.pem` begins with one hyphen",
                "write `--ca-cert=/ca.pem`",
            ),
            ("−−yes", "`−−yes` begins with `−` (U+2212), which is not a hyphen", "write `--yes`"),
            ("--root\u{a0}", "`--root\u{a0}` has a space where none belongs", "write `--root`"),
            (
                "--ca-cert =/ca.pem",
                "`--ca-cert =/ca.pem` has a space where none belongs",
                "write `--ca-cert=/ca.pem`",
            ),
            (
                "--",
                "`--` stands alone",
                "write a flag's dashes and its name without a space between them",
            ),
            (
                "String",
                "`String` is the type of a value, not a value",
                "write the value itself: `VALUE`",
            ),
            (
                "--ca-cert=String",
                "`String` is the type of a value, not a value",
                "write the value itself: `--ca-cert VALUE`",
            ),
        ];
        for (word, what, cure) in table {
            let found = typos(&[OsString::from(word)]);

            assert_eq!(found.len(), 1, "{word}");
            assert_eq!((found[0].what.as_str(), found[0].cure.as_str()), (what, cure));
        }
    }

    #[test]
    fn the_flag_before_a_word_is_part_of_the_hint() {
        let words = ["--external-pcoip-ip", "stringArray", "--runtime", "=host"];

        let cures: Vec<_> = typos(&words.map(OsString::from)).into_iter().map(|f| f.cure).collect();

        assert_eq!(
            cures,
            ["write the value itself: `--external-pcoip-ip VALUE`", "write `--runtime=host`"]
        );
    }

    #[test]
    fn a_password_is_not_told_whatever_is_wrong_beside_it() {
        let table: [(&[&str], &[&str]); 6] = [
            (&["--docker-password", "-"], &[]),
            (&["--docker-password", "hunter2 "], &[]),
            (&["--docker-password= hunter2"], &[]),
            (&["--docker-password", "=hunter2"], &[]),
            (
                &["–docker-password=hunter2"],
                &["`–docker-password` begins with `–` (U+2013), which is not a hyphen"],
            ),
            (
                &["–docker-password", "hunter2 "],
                &["`–docker-password` begins with `–` (U+2013), which is not a hyphen"],
            ),
        ];
        for (words, expected) in table {
            let words: Vec<_> = words.iter().map(OsString::from).collect();

            let told: Vec<_> = typos(&words).into_iter().map(|finding| finding.what).collect();

            assert_eq!(told, expected, "{words:?}");
        }
    }

    #[test]
    fn ordinary_words_pass() {
        let words = ["install", "--self-signed", "--root", "/tmp/a–b", "--listen=http=off", "-h"];

        assert_eq!(typos(&words.map(OsString::from)), []);
    }
}
