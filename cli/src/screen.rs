//! The only module that prints. Standard output is data, standard error is everything else; meaning
//! is never told by colour alone. Text for people is as wide as the terminal.

pub(crate) mod wrap;

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal as _, Write as _},
    sync::OnceLock,
};

use anstyle::{AnsiColor, Style};
use cmsg_config::cause;
use console::Term;
use serde_json::Value;

use crate::{
    args::{Global, Output},
    exit::Exit,
    finding::{Finding, Level},
    shown::{in_json, one_line, plain},
};
use wrap::Width;

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// What the operator sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Whether the outcome is one JSON document.
    pub(crate) is_json: bool,
    is_quiet: bool,
    /// Whether details are shown.
    pub(crate) is_verbose: bool,
    is_coloured: bool,
    /// Whether the terminal may be unable to show anything but ASCII.
    pub(crate) is_ascii: bool,
}

/// What stands before a line about a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Done,
    Failed,
}

impl Screen {
    /// The screen that the flags ask for.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            is_json: global.output == Output::Json,
            is_quiet: global.quiet,
            is_verbose: (global.verbose || global.debug) && !global.quiet,
            is_coloured: !global.no_color && takes_colour(),
            is_ascii: is_ascii(|name| env::var(name).ok()),
        }
    }

    /// The screen of words that could not be read.
    pub(crate) fn of_unread(is_json: bool) -> Self {
        let is_coloured = takes_colour();
        Self { is_json, is_quiet: false, is_verbose: false, is_coloured, is_ascii: true }
    }

    /// One that shows errors alone.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self {
            is_json: false,
            is_quiet: true,
            is_verbose: false,
            is_coloured: false,
            is_ascii: true,
        }
    }

    /// Whether a line of standard error can change while somebody looks at it.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_quiet && !self.is_verbose && io::stderr().is_terminal() && !is_dumb()
    }

    /// How wide data for people is.
    pub(crate) fn width(&self) -> Width {
        width(&Term::stdout())
    }

    /// Prints data for people; a quiet screen has none.
    pub(crate) fn data(&self, text: &str) {
        self.block(&wrap::text(&plain(text), self.width()));
    }

    /// Prints data for people that is as wide as it should be.
    pub(crate) fn block(&self, text: &str) {
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
            err(&wrap::text(&plain(text), self.err_width()));
        }
    }

    /// Shows what is as wide as standard error.
    pub(crate) fn laid_out(&self, text: impl FnOnce(Width) -> String) {
        if !self.is_quiet {
            err(&plain(&text(self.err_width())));
        }
    }

    /// Shows how a stage ended.
    pub(crate) fn mark(&self, mark: Mark, text: &str) {
        let (colour, sign) = match (mark, self.is_ascii) {
            (Mark::Done, false) => (GREEN, "\u{2713}"),
            (Mark::Done, true) => (GREEN, "[ok]"),
            (Mark::Failed, false) => (RED, "\u{2717}"),
            (Mark::Failed, true) => (RED, "[failed]"),
        };
        if !self.is_quiet {
            let sign = self.paint(colour, sign);
            err(&wrap::labelled(&sign, &plain(text), self.err_width()));
        }
    }

    /// An arrow from an old value to a new one.
    pub(crate) fn arrow(&self) -> &'static str {
        if self.is_ascii { "->" } else { "\u{2192}" }
    }

    /// Prints what a question is about.
    pub(crate) fn show(&self, text: &str) {
        err(&wrap::text(&plain(text), self.err_width()));
    }

    /// Tells more of what is being done.
    pub(crate) fn detail(&self, text: &str) {
        if self.is_verbose {
            self.note(text);
        }
    }

    /// Tells what a check found.
    pub(crate) fn finding(&self, finding: &Finding) {
        if finding.is_error() || !self.is_quiet {
            err(&self.findings_text(std::slice::from_ref(finding), self.err_width()));
        }
    }

    /// Shows findings that the document has too, errors first; a program reads them there.
    pub(crate) fn findings(&self, findings: &[Finding]) {
        let is_shown = |it: &&Finding| it.is_error() || !self.is_quiet;
        let shown: Vec<_> = findings.iter().filter(is_shown).cloned().collect();
        if !self.is_json && !shown.is_empty() {
            err(&self.findings_text(&shown, self.err_width()));
        }
    }

    /// Findings with their hints, errors first.
    pub(crate) fn findings_text(&self, findings: &[Finding], width: Width) -> String {
        let text = |finding: &Finding| {
            let (colour, word) = match finding.level {
                Level::Error => (RED, "error"),
                Level::Warning => (YELLOW, "warning"),
            };
            // A value with a line break could look like another finding.
            let what = self.labelled(colour, word, &one_line(&finding.what), width);
            format!("{what}\n{}", self.labelled(CYAN, "hint", &one_line(&finding.cure), width))
        };
        let (errors, warnings): (Vec<_>, Vec<_>) =
            findings.iter().partition(|finding| finding.is_error());
        errors.into_iter().chain(warnings).map(text).collect::<Vec<_>>().join("\n")
    }

    /// Prints how the words have to be, as clap says it.
    pub(crate) fn usage(&self, text: &str) {
        err(text.trim_end());
    }

    /// Tells an error with its causes.
    pub(crate) fn failure(&self, error: &anyhow::Error, hint: Option<&str>) {
        let width = self.err_width();
        err(&self.labelled(RED, "error", &one_line(&error.to_string()), width));
        for link in error.chain().skip(1) {
            let io = link.downcast_ref::<io::Error>();
            let text = one_line(&io.map_or_else(|| link.to_string(), cause::of_io));
            err(&wrap::labelled("  caused by:", &text, width));
        }
        if let Some(hint) = hint {
            err(&self.labelled(CYAN, "hint", hint, width));
        }
    }

    /// How wide everything else is.
    fn err_width(&self) -> Width {
        width(&Term::stderr())
    }

    fn labelled(&self, colour: Style, word: &str, text: &str, width: Width) -> String {
        wrap::labelled(&format!("{}:", self.paint(colour, word)), &plain(text), width)
    }

    fn paint(&self, colour: Style, word: &str) -> String {
        if self.is_coloured { format!("{colour}{word}{colour:#}") } else { word.to_owned() }
    }
}

/// Whether colours are wanted: `NO_COLOR`, `CLICOLOR_FORCE` and `TERM` say so, or a terminal.
fn takes_colour() -> bool {
    let is_forced = env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let choice = anstream::AutoStream::choice(&io::stderr());
    choice != anstream::ColorChoice::Never && (is_forced || !is_dumb())
}

/// Whether the locale has only ASCII, or the terminal few other characters.
fn is_ascii(variable: impl Fn(&str) -> Option<String>) -> bool {
    let named = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(named).and_then(&variable);
    let locale = locale.unwrap_or_default().to_lowercase();
    let is_plain = |term: String| matches!(&*term, "dumb" | "linux" | "vt100" | "vt220");
    !(locale.contains("utf-8") || locale.contains("utf8")) || variable("TERM").is_some_and(is_plain)
}

fn width(term: &Term) -> Width {
    let columns = term.is_term().then(|| term.size_checked()).flatten();
    columns.map_or(Width::UNLIMITED, |(_, columns)| Width::of_columns(columns.into()))
}

/// Whether the terminal shows text and nothing else.
pub(crate) fn is_dumb() -> bool {
    !moves_cursor(env::var_os("TERM").as_deref())
}

/// Whether a terminal of this kind can move its cursor.
fn moves_cursor(kind: Option<&OsStr>) -> bool {
    kind.is_some_and(|kind| !["", "dumb", "unknown"].iter().any(|other| kind == *other))
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
    let why = cause::of_io(error);
    err(&format!("error: failed to write to standard output: {why}"));
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
    fn signs_are_ascii_where_others_may_not_be_shown() {
        let table: [(&[(&str, &str)], bool); 6] = [
            (&[("LANG", "en_GB.UTF-8"), ("TERM", "xterm")], false),
            (&[("LC_ALL", ""), ("LANG", "C.utf8")], false),
            (&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")], true),
            (&[("LANG", "en_GB.UTF-8"), ("TERM", "linux")], true),
            (&[("LANG", "en_GB.UTF-8"), ("TERM", "dumb")], true),
            (&[], true),
        ];
        for (variables, expected) in table {
            let of = |name: &str| {
                let (_, value) = variables.iter().find(|(set, _)| *set == name)?;
                Some((*value).to_owned())
            };
            assert_eq!(is_ascii(of), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_value_with_a_line_break_does_not_look_like_another_finding() {
        let finding = Finding::error("usage.value", "`a\nerror: b` is wrong", "write\tanother");

        let text = Screen::silent().findings_text(&[finding], Width::UNLIMITED);

        assert_eq!(text, "error: `a\\u{a}error: b` is wrong\nhint: write another");
    }

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

    #[test]
    fn a_terminal_that_says_nothing_of_itself_gets_plain_lines() {
        let table = [
            (Some("xterm-256color"), true),
            (Some("linux"), true),
            (Some("dumb"), false),
            (Some("unknown"), false),
            (Some(""), false),
            (None, false),
        ];
        for (kind, moves) in table {
            assert_eq!(moves_cursor(kind.map(OsStr::new)), moves, "{kind:?}");
        }
    }
}
