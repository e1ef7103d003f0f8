//! Passwords. In answers, and so in every file, document and message, only a reference stands for
//! one; its value is here, and goes nowhere but into the file of its own.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Read as _},
    path::Path,
};

use cmsg_config::{
    Paths, cause,
    text::{self, Undecodable},
};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{Answers, Origin};
use crate::{
    args::settings::{Kind, Layer, Setting, passwords},
    content::Content,
    files,
    finding::Finding,
    installation::layout,
};

/// Stands for a password that was given as it is.
const HIDDEN: &str = "(hidden)";
/// The word for standard input.
const STANDARD_INPUT: &str = "-";
/// Passwords are far shorter.
const MAX_BYTES: u64 = 4096;

/// Passwords that were given as they are, by who gave them.
#[derive(Debug, Default)]
pub(crate) struct Literals(BTreeMap<(Origin, Setting), SecretString>);

/// The passwords of an installation.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeMap<Setting, SecretString>);

impl Literals {
    /// Takes the passwords out of a layer, and makes the files absolute that others are in.
    pub(crate) fn take(&mut self, from: Origin, layer: &mut Layer, folder: &Path) {
        for setting in passwords() {
            let Some([text]) = layer.get_mut(&setting).map(Vec::as_mut_slice) else { continue };
            if text.is_empty() {
                continue;
            }
            if !is_reference(from, text) {
                let literal = SecretString::from(std::mem::replace(text, HIDDEN.to_owned()));
                self.0.insert((from, setting), literal);
            } else if let Some(file) = text.strip_prefix('@') {
                *text = format!("@{}", folder.join(file).display());
            }
        }
    }
}

impl Secrets {
    /// Reads the passwords that hold, standard input among them, and tells what is wrong or odd.
    pub(crate) fn load(answers: &Answers, literals: &Literals) -> (Self, Vec<Finding>) {
        let mut secrets = Self::default();
        let mut findings = Vec::new();
        let mut reads_input = None;
        for setting in passwords() {
            let answer = answers.of(setting);
            let Some(text) = answer.texts.first() else { continue };
            let loaded = match literals.0.get(&(answer.from, setting)) {
                Some(literal) => {
                    findings.extend(told(setting, answer.from));
                    Ok(literal.clone())
                }
                None if text == STANDARD_INPUT => match reads_input.replace(setting) {
                    Some(other) => Err(format!("standard input is already used for `--{other}`")),
                    None => standard_input(),
                },
                None => file(text),
            };
            match loaded.and_then(usable) {
                Ok(secret) => {
                    secrets.0.insert(setting, secret);
                }
                Err(why) => findings.push(match text.strip_prefix('@') {
                    Some(_) if is_reference(answer.from, text) => {
                        unusable_file(setting, text, &why)
                    }
                    _ => unusable(setting, &why),
                }),
            }
        }
        (secrets, findings)
    }

    /// The contents of their files.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (Setting, Content)> {
        self.0.iter().map(|(setting, secret)| (*setting, secret.expose_secret().as_bytes().into()))
    }
}

impl Answers {
    /// Has every password stand for the file that this installation keeps it in.
    pub(crate) fn refer(&mut self, paths: &Paths) {
        for setting in passwords() {
            let answer = self.0.get_mut(&setting).expect("there is an answer to every setting");
            if !answer.texts.is_empty() {
                answer.texts = vec![format!("@{}", layout::secret(paths, setting).display())];
            }
        }
    }
}

/// What may be shown of a text that somebody gave for a setting.
pub(super) fn shown(setting: Setting, from: Origin, text: &str) -> String {
    let is_hidden = setting.kind() == Kind::Secret && !text.is_empty() && !is_reference(from, text);
    if is_hidden { HIDDEN.to_owned() } else { text.to_owned() }
}

/// Whether a text only says where the password is. The environment has the password itself, and a
/// person types it, so that it may begin with `@`.
fn is_reference(from: Origin, text: &str) -> bool {
    !matches!(from, Origin::Environment | Origin::Prompt | Origin::Adopted)
        && (text == STANDARD_INPUT || text.starts_with('@'))
}

/// What is to be told of a password that was given as it is.
fn told(setting: Setting, from: Origin) -> Option<Finding> {
    let cure = format!(
        "pass it in a file (`@FILE`), on standard input (`-`), or in the environment variable `{}`",
        setting.variable()
    );
    match from {
        Origin::Flag => Some(Finding::warning(
            "settings.secret-on-command-line",
            format!("every user of this host could read the value of `--{setting}`"),
            cure,
        )),
        Origin::Answers => Some(Finding::error(
            "settings.secret",
            format!("the answers file contains the password `{setting}` in plain text"),
            cure,
        )),
        Origin::Default
        | Origin::Prompt
        | Origin::Saved
        | Origin::Adopted
        | Origin::Edited
        | Origin::Environment => None,
    }
}

fn file(reference: &str) -> Result<SecretString, String> {
    let path = reference.strip_prefix('@').ok_or("the saved settings do not name the file")?;
    let content =
        files::read(Path::new(path)).map_err(|why| format!("`{path}`: {}", cause::of_io(&why)))?;
    password(content.bytes())
        .map_err(|why| format!("`{path}`: {why}; {}", why.fix(Path::new(path))))
}

fn standard_input() -> Result<SecretString, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    io::stdin()
        .lock()
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|why| format!("standard input: {}", cause::of_io(&why)))?;
    password(&bytes).map_err(|why| format!("standard input: {why}"))
}

/// A file's text without the end of its last line.
fn password(bytes: &[u8]) -> Result<SecretString, Undecodable> {
    let decoded = match text::decode(bytes)? {
        Cow::Borrowed(text) => Zeroizing::new(text.to_owned()),
        Cow::Owned(text) => Zeroizing::new(text),
    };
    let text = decoded.strip_suffix('\n').unwrap_or(&decoded);
    Ok(text.strip_suffix('\r').unwrap_or(text).into())
}

/// Whether a password that was typed can be one.
///
/// # Errors
///
/// Why not.
pub(super) fn check_typed(setting: Setting, text: &str) -> Result<(), Finding> {
    usable(text.into()).map(drop).map_err(|why| unusable(setting, &why))
}

fn unusable(setting: Setting, why: &str) -> Finding {
    Finding::error(
        "settings.secret",
        format!("`--{setting}`: {why}"),
        format!("pass it in a file: `--{setting} @FILE`"),
    )
}

/// A file that was named for a password, and has none.
fn unusable_file(setting: Setting, reference: &str, why: &str) -> Finding {
    let path = reference.trim_start_matches('@');
    let what = match why.contains(path) {
        true => format!("`--{setting}`: {why}"),
        false => format!("`--{setting}`: `{path}`: {why}"),
    };
    let cure = format!("write the password to `{path}`, or specify another file");
    Finding::error("settings.secret", what, cure)
}

fn usable(secret: SecretString) -> Result<SecretString, String> {
    let text = secret.expose_secret();
    let why = if text.is_empty() {
        "is empty"
    } else if u64::try_from(text.len()).is_ok_and(|length| length > MAX_BYTES) {
        "is longer than 4096 bytes"
    } else if text.contains(char::is_control) {
        "has more than one line, or a control character"
    } else {
        return Ok(secret);
    };
    Err(format!("the password {why}"))
}

#[cfg(test)]
mod tests;
