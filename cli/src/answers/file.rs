//! The answers as a YAML file: the flags' names without dashes in front. The operator's own and the
//! one that an installation saves have the same form.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use cmsg_config::{cause, text::Undecodable};
use serde_json::Value;

use super::{Answers, Origin};
use crate::{
    args::settings::{Kind, Layer, Setting},
    content::Content,
    files,
    finding::Finding,
    trusted::{self, Untrusted},
};

/// Answers need one pair a list, and an IPv6 address in a URL another.
const MOST_BRACKETS: usize = 1000;

/// An answers file that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It cannot be read, or is none.
    Odd {
        path: PathBuf,
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// Another user could have written it.
    Untrusted(Untrusted),
}

impl Unusable {
    fn unreadable(path: &Path, why: String) -> Self {
        let is_denied = why.contains("permission is denied");
        let cure =
            if is_denied { "run the command with `sudo`" } else { "specify a readable file" };
        let cure = cure.to_owned();
        Self::Odd { path: path.to_owned(), why, cure }
    }

    fn malformed(path: &Path, why: String) -> Self {
        let cure = "write one `name: value` per line; names are flags without the leading dashes";
        Self::Odd { path: path.to_owned(), why, cure: cure.to_owned() }
    }
}

impl From<Unusable> for Finding {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Odd { path, why, cure } => {
                let what = format!("answers file `{}`: {why}", path.display());
                Self::error("usage.answers", what, cure)
            }
            Unusable::Untrusted(untrusted) => untrusted.finding(),
        }
    }
}

/// Reads an answers file from disk.
///
/// # Errors
///
/// Where it cannot be read or is none.
pub(crate) fn load(path: &Path) -> Result<Layer, Unusable> {
    let content =
        files::read(path).map_err(|error| Unusable::unreadable(path, cause::of_io(&error)))?;
    read(path, &content)
}

/// Reads the saved answers; none where nothing was saved yet.
///
/// # Errors
///
/// Where they cannot be read, or another user could have written them.
pub(crate) fn load_saved(path: &Path) -> Result<Layer, Unusable> {
    let file = trusted::read(path).map_err(|error| match Untrusted::cause(&error) {
        Some(untrusted) => Unusable::Untrusted(untrusted.clone()),
        None => Unusable::unreadable(path, cause::chain(error.as_ref())),
    })?;
    file.map_or_else(|| Ok(Layer::new()), |file| read(path, &file.content))
}

fn read(path: &Path, content: &Content) -> Result<Layer, Unusable> {
    let undecodable = content.decode().err();
    let is_text =
        !matches!(undecodable, Some(Undecodable::NotUtf8 { .. } | Undecodable::Nul { .. }));
    if !is_text && content.bytes().contains(&0) {
        let cure = "specify an answers file, for example one that `--save-answers` has written";
        let (path, why) = (path.to_owned(), "is not a text file".to_owned());
        return Err(Unusable::Odd { path, why, cure: cure.to_owned() });
    }
    let text = content.decode().map_err(|why| Unusable::Odd {
        path: path.to_owned(),
        why: why.to_string(),
        cure: why.fix(path),
    })?;
    parse(&text).map_err(|why| Unusable::malformed(path, why))
}

/// Reads the text of an answers file.
///
/// # Errors
///
/// What is wrong with it, in one line.
pub(crate) fn parse(text: &str) -> Result<Layer, String> {
    // The time that the reader takes grows with the square of how deep brackets are nested.
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > MOST_BRACKETS {
        return Err(format!("has more than {MOST_BRACKETS} opening brackets"));
    }
    let document: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let rows = match document {
        serde_yaml::Value::Null => return Ok(Layer::new()),
        serde_yaml::Value::Mapping(rows) => rows,
        _ => return Err("is not a list of `name: value` pairs".to_owned()),
    };
    let row = |(name, value): (serde_yaml::Value, serde_yaml::Value)| {
        let name = scalar(&name).ok_or("a name is not a string")?;
        let Some(setting) = Setting::find(&name) else {
            let line = line_of(&name, text).map(|line| format!(" (line {line})"));
            return Err(format!("there is no setting `{name}`{}", line.unwrap_or_default()));
        };
        Ok((setting, texts(setting, &value)?))
    };
    rows.into_iter().map(row).collect()
}

/// The first line that begins with a name, for people.
fn line_of(name: &str, text: &str) -> Option<usize> {
    let begins = |line: &str| {
        let rest = line.trim_start().trim_start_matches(['"', '\'']).strip_prefix(name);
        rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
    };
    text.lines().position(begins).map(|index| index + 1)
}

/// Writes the answers that the next installation starts from.
pub(crate) fn render(answers: &Answers) -> String {
    const HEAD: &str = "# The saved settings of this installation; `install` starts from them.";
    lines(HEAD, answers, |setting| setting.row().is_kept)
}

/// Writes the answers for the operator, with those that cannot be kept inside the installation.
pub(crate) fn export(answers: &Answers) -> String {
    lines("# Settings of an installation, for `--answers`.", answers, |_| true)
}

fn lines(head: &str, answers: &Answers, stands: fn(Setting) -> bool) -> String {
    let mut text = format!("{head}\n");
    for (setting, answer) in answers.all() {
        let is_given = answer.from != Origin::Default && !answer.texts.is_empty();
        if stands(setting) && is_given {
            let value = value(setting, &answer.texts).to_string();
            let _ = writeln!(text, "{setting}: {}", yaml(&value));
        }
    }
    text
}

/// JSON is YAML too and quotes whatever needs it, but for characters that YAML does not have or takes
/// for a line's end.
fn yaml(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

/// The values of a setting in the type that a document gives them.
pub(super) fn value(setting: Setting, texts: &[String]) -> Value {
    match (setting.kind(), texts) {
        (Kind::List, texts) => texts.into(),
        (Kind::Switch, [text]) => text.parse().map_or_else(|_| text.as_str().into(), Value::Bool),
        (_, texts) => texts.join(",").into(),
    }
}

fn texts(setting: Setting, value: &serde_yaml::Value) -> Result<Vec<String>, String> {
    let values = match value {
        serde_yaml::Value::Sequence(values) if setting.kind() == Kind::List => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let texts: Option<Vec<_>> = values.iter().map(scalar).collect();
    texts.ok_or_else(|| {
        let wanted = if setting.kind() == Kind::List { "a list of values" } else { "one value" };
        format!("`{setting}` expects {wanted}")
    })
}

fn scalar(value: &serde_yaml::Value) -> Option<String> {
    match value {
        serde_yaml::Value::Null => Some(String::new()),
        serde_yaml::Value::Bool(value) => Some(value.to_string()),
        serde_yaml::Value::Number(value) => Some(value.to_string()),
        serde_yaml::Value::String(value) => Some(value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_answers_are_read_as_they_are_written(
            number in 0..Setting::ALL.len(),
            text in ".+",
            several in prop::collection::vec("(?s).+", 1..4),
        ) {
            let setting = Setting::ALL[number];
            let texts = match setting.kind() {
                Kind::List => several,
                // Of a password only the reference is written.
                Kind::Secret => vec![format!("@{text}")],
                _ => vec![text],
            };
            let given = Layer::from([(setting, texts)]);

            let written = export(&Answers::resolve(&[(Origin::Flag, &given)]));

            prop_assert_eq!(parse(&written), Ok(given), "{}", written);
        }

        #[test]
        fn no_text_makes_the_reader_fail(text in "[a-z:&*!|>{}\\[\\]'\",#?% \n-]{0,60}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn values_are_read_as_an_operator_writes_them() {
        let text = "# ours\nbroker-url: https://b\nenable-ipv6: true\nagent-port: 6000\n\
                    external-sg-ip: [192.0.2.1, 2001:db8::1]\nlicense-server-url: https://lls\n\
                    ca-cert:\n";

        let layer = parse(text).unwrap();

        assert_eq!(layer[&Setting::BrokerUrl], ["https://b"]);
        assert_eq!(layer[&Setting::EnableIpv6], ["true"]);
        assert_eq!(layer[&Setting::AgentPort], ["6000"]);
        assert_eq!(layer[&Setting::ExternalSgIp], ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(layer[&Setting::LicenseServerUrl], ["https://lls"]);
        assert_eq!(layer[&Setting::CaCert], [""]);
    }

    #[test]
    fn characters_that_yaml_does_not_have_are_kept() {
        let text = "a\u{7f}\u{85}b\u{2028}\u{feff}\u{ffff}\0\u{1f600}";
        let given = Layer::from([(Setting::BrokerUrl, vec![text.to_owned()])]);

        let written = export(&Answers::resolve(&[(Origin::Flag, &given)]));

        assert_eq!(
            written.lines().last(),
            Some("broker-url: \"a\\u007f\\u0085b\\u2028\\ufeff\\uffff\\u0000\u{1f600}\"")
        );
        assert_eq!(parse(&written), Ok(given));
    }

    #[test]
    fn an_empty_file_answers_nothing() {
        assert_eq!(parse(""), Ok(Layer::new()));
        assert_eq!(parse("# nothing\n"), Ok(Layer::new()));
    }

    #[test]
    fn what_is_no_answers_file_is_refused() {
        let table = [
            ("# one\n\nbroker: https://b", "there is no setting `broker` (line 3)"),
            ("--broker-url: https://b", "there is no setting `--broker-url` (line 1)"),
            ("{\"broker\": x}", "there is no setting `broker`"),
            ("broker-url: [a, b]", "`broker-url` expects one value"),
            ("external-sg-ip: {a: b}", "`external-sg-ip` expects a list of values"),
            ("- broker-url", "is not a list of `name: value` pairs"),
            ("[a]: b", "a name is not a string"),
        ];
        for (text, why) in table {
            assert_eq!(parse(text), Err(why.to_owned()), "{text}");
        }
        assert!(parse("broker-url: a\nbroker-url: b\n").is_err());
        assert!(parse("a: [").is_err());
    }

    #[test]
    fn what_is_written_is_read_back_and_what_has_no_place_in_the_installation_is_not_saved() {
        let mut flags = parse(
            "broker-url: 'https://b'\nexternal-pcoip-ip: [192.0.2.1]\nself-signed: true\n\
             license-server-url: '2589@host # not a comment'\n",
        )
        .unwrap();
        let kept = flags.clone();
        flags.insert(Setting::Root, vec!["/r".to_owned()]);
        flags.insert(Setting::Daemon, vec!["/d".to_owned()]);

        let answers = Answers::resolve(&[(Origin::Flag, &flags)]);

        assert_eq!(parse(&render(&answers)), Ok(kept));
        assert_eq!(parse(&export(&answers)), Ok(flags));
    }
}
