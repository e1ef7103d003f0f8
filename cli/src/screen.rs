//! The only module that prints. Standard output is data, standard error is everything else; meaning
//! is never told by colour alone.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::OnceLock,
};

use console::Term;
use serde_json::Value;

use crate::{
    args::{Global, Output},
    exit::Exit,
    finding::{Finding, Level},
    shown::{in_json, plain},
};

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const CYAN: &str = "\u{1b}[36m";
const PLAIN: &str = "\u{1b}[0m";

/// What the operator sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Whether the outcome is one JSON document.
    pub(crate) is_json: bool,
    is_quiet: bool,
    is_verbose: bool,
    is_coloured: bool,
}

impl Screen {
    /// The screen that the flags ask for.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            is_json: global.output == Output::Json,
            is_quiet: global.quiet,
            is_verbose: (global.verbose || global.debug) && !global.quiet,
            is_coloured: !global.no_color && takes_colour(),
        }
    }

    /// The screen of words that could not be read.
    pub(crate) fn of_unread(is_json: bool) -> Self {
        Self { is_json, is_quiet: false, is_verbose: false, is_coloured: takes_colour() }
    }

    /// One that shows errors alone.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { is_json: false, is_quiet: true, is_verbose: false, is_coloured: false }
    }

    /// Whether a line of standard error can change while somebody looks at it.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_quiet && !self.is_verbose && io::stderr().is_terminal() && !is_dumb()
    }

    /// The width of standard output. What is not a terminal takes lines of any length.
    pub(crate) fn columns(&self) -> usize {
        let size = Term::stdout().size_checked();
        size.filter(|_| io::stdout().is_terminal()).map_or(usize::MAX, |(_, width)| width.into())
    }

    /// Prints data for people; a quiet screen has none.
    pub(crate) fn data(&self, text: &str) {
        if !self.is_quiet && !self.is_json {
            out(&plain(text));
        }
    }

    /// Prints what another program reads, whatever the form of outcomes is.
    pub(crate) fn script(&self, text: &str) {
        out(text.trim_end());
    }

    /// Prints the one document.
    pub(crate) fn document(&self, document: &Value) {
        out(&in_json(&format!("{document:#}")));
    }

    /// Tells what is being done.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet {
            err(&plain(text));
        }
    }

    /// Tells more of what is being done.
    pub(crate) fn detail(&self, text: &str) {
        if self.is_verbose {
            err(&plain(text));
        }
    }

    /// Tells what a check found.
    pub(crate) fn finding(&self, finding: &Finding) {
        let (colour, word) = match finding.level {
            Level::Error => (RED, "error"),
            Level::Warning if self.is_quiet => return,
            Level::Warning => (YELLOW, "warning"),
        };
        err(&format!("{}: {}", self.paint(colour, word), plain(&finding.what)));
        self.hint(&finding.cure);
    }

    /// Shows findings that the document has too; a program reads them there.
    pub(crate) fn findings(&self, findings: &[Finding]) {
        if !self.is_json {
            findings.iter().for_each(|finding| self.finding(finding));
        }
    }

    /// Prints how the words have to be, as clap says it.
    pub(crate) fn usage(&self, text: &str) {
        err(text.trim_end());
    }

    /// Tells an error with its causes.
    pub(crate) fn failure(&self, error: &anyhow::Error, hint: Option<&str>) {
        err(&format!("{}: {}", self.paint(RED, "error"), plain(&error.to_string())));
        for cause in error.chain().skip(1) {
            err(&format!("  caused by: {}", plain(&cause.to_string())));
        }
        if let Some(hint) = hint {
            self.hint(hint);
        }
    }

    fn hint(&self, hint: &str) {
        err(&format!("\n{}: {}\n", self.paint(CYAN, "hint"), plain(hint)));
    }

    fn paint(&self, colour: &str, word: &str) -> String {
        if self.is_coloured { format!("{colour}{word}{PLAIN}") } else { word.to_owned() }
    }
}

fn takes_colour() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !is_refused && !is_dumb()
}

/// Whether the terminal shows text and nothing else.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The first error in writing to standard output.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a text, and keeps why it could not be written. A reader that has gone away has read what it
/// wanted.
fn out(text: &str) {
    let mut output = io::stdout().lock();
    let written = writeln!(output, "{text}").and_then(|()| output.flush());
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // Later ones say the same.
        let _ = LOST.set(error);
    }
}

/// How the process ends that was to end so: with a failure where its output was lost.
pub(crate) fn end(exit: Exit) -> Exit {
    let Some(error) = LOST.get() else { return exit };
    err(&format!("error: failed to write to standard output: {error}"));
    if exit == Exit::Done { Exit::Failed } else { exit }
}

fn err(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn details_are_told_when_they_are_asked_for_by_either_name() {
        let table = [
            ("--verbose", true),
            ("--debug", true),
            ("--debug=true", true),
            ("--debug=false", false),
            ("--yes", false),
        ];
        for (word, is_verbose) in table {
            let words = ["pcoip-cmsg-setup", "status", word].map(OsString::from);
            let cli = crate::args::parse(&words).unwrap();

            assert_eq!(Screen::new(&cli.global).is_verbose, is_verbose, "{word}");
        }
    }
}
