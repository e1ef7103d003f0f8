//! The guide's `--debug`, which is typed as a text there and used as a switch: bare, with `true` or
//! `false`, or with a level, behind an equals sign or as the next word.

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::Cli;
use crate::finding::Finding;

/// Whether details are printed with that value; none where it is no value of the flag.
fn value(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "trace" | "debug" => Some(true),
        "false" | "info" | "warn" | "error" => Some(false),
        _ => None,
    }
}

/// The words with every `--debug` written as `--debug=true` or `--debug=false`. A command behind it
/// is not its value.
///
/// # Errors
///
/// Where one has a value that it does not accept.
pub(super) fn spelled_out(words: &[OsString]) -> Result<Vec<OsString>, Finding> {
    let texts: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let cli = Cli::command();
    let is_command = |text: &str| text == "help" || cli.find_subcommand(text).is_some();
    let mut spelled = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(text) = texts.get(at) {
        let next = texts.get(at + 1).map(AsRef::as_ref);
        let given = match text.strip_prefix("--debug") {
            Some("") => next.filter(|next| {
                let has_command = texts[..at].iter().any(|text| is_command(text));
                let is_before_one = texts[at + 2..].iter().any(|text| is_command(text));
                // Without any command, the word was meant to be one.
                value(next).is_some()
                    || !next.starts_with('-')
                        && !is_command(next)
                        && if has_command { !takes_words(&texts[..at]) } else { is_before_one }
            }),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        let is_debug = *text == "--debug" || text.starts_with("--debug=");
        match given {
            Some(given) => {
                let value = value(given).ok_or_else(|| refused(given))?;
                spelled.push(format!("--debug={value}").into());
            }
            None if is_debug => spelled.push("--debug=true".into()),
            None => spelled.push(words[at].clone()),
        }
        at += if *text == "--debug" && given.is_some() { 2 } else { 1 };
    }
    Ok(spelled)
}

/// Whether words without dashes may follow the command that stands there.
fn takes_words(before: &[impl AsRef<str>]) -> bool {
    before.iter().any(|text| ["completions", "help"].contains(&text.as_ref()))
}

fn refused(given: &str) -> Finding {
    Finding::error(
        "usage.value",
        format!("`--debug`: `{given}` is not `true`, `false` or a level"),
        "write `--debug=true|false|trace|debug|info|warn|error`, or `--debug` alone for `true`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<String, String> {
        let words: Vec<_> = line.split(' ').map(OsString::from).collect();
        let text = |words: Vec<OsString>| {
            words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        spelled_out(&words).map(text).map_err(|finding| finding.what)
    }

    #[test]
    fn every_form_of_the_flag_is_a_switch() {
        let table = [
            ("--debug install", "--debug=true install"),
            ("install --debug", "install --debug=true"),
            ("install --debug --yes", "install --debug=true --yes"),
            ("install --debug true --yes", "install --debug=true --yes"),
            ("install --debug false --yes", "install --debug=false --yes"),
            ("--debug false install", "--debug=false install"),
            ("--debug=TRUE install", "--debug=true install"),
            ("--debug trace install", "--debug=true install"),
            ("--debug debug install", "--debug=true install"),
            ("--debug=info install", "--debug=false install"),
            ("--debug warn install", "--debug=false install"),
            ("configure --debug=Error", "configure --debug=false"),
            ("completions --debug bash", "completions --debug=true bash"),
            ("--debug help install", "--debug=true help install"),
            ("install --root --debug", "install --root --debug=true"),
            ("install --debugging=1", "install --debugging=1"),
        ];
        for (typed, spelled) in table {
            assert_eq!(read(typed).as_deref(), Ok(spelled));
        }
    }

    #[test]
    fn another_value_is_refused_where_no_command_can_be_meant() {
        let table = [
            ("--debug=loud install", "loud"),
            ("install --debug=", ""),
            ("--debug loud install", "loud"),
            ("install --debug loud --yes", "loud"),
            ("install --debug 1", "1"),
        ];
        for (typed, value) in table {
            let what = format!("`--debug`: `{value}` is not `true`, `false` or a level");
            assert_eq!(read(typed), Err(what), "{typed}");
        }
        assert_eq!(read("--debug instal").as_deref(), Ok("--debug=true instal"));
    }
}
