//! Formats an event as a line that the logged data cannot forge.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use cmsg_config::{cause, values::LogLevel};
use time::{format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::stamp;
use crate::clock;

const LINE_STAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

pub(super) struct Line {
    /// The level at which documents are logged is TRACE. Their lines then have that level: parsers
    /// split lines at each space, and only a level with five letters is followed by a single one.
    pub(super) level: super::Level,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let documents = self.level.get() == LogLevel::Trace;
        let mut columns = Columns { documents, ..Columns::default() };
        event.record(&mut columns);
        let time = stamp(clock::now(), LINE_STAMP);
        let line = columns.line(&time, *event.metadata().level(), event.metadata().target());
        writeln!(writer, "{}", bounded(&line))
    }
}

/// The parts of an event: the columns, and all other fields after the message.
#[derive(Default)]
struct Columns {
    documents: bool,
    document: Option<String>,
    session: Option<String>,
    number: Option<String>,
    connection: Option<String>,
    message: String,
    rest: String,
}

impl Columns {
    fn line(&self, time: &str, level: Level, target: &str) -> String {
        let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let class = target.rsplit("::").next().unwrap_or(target);
        let (level, separator, rest) = match &self.document {
            None => (level, "", &self.rest),
            Some(document) if document.is_empty() => (Level::TRACE, "", document),
            Some(document) => (Level::TRACE, ": ", document),
        };
        format!(
            "{time} {} s={} c={} {level:<5} {class:<34} : {}{separator}{rest}",
            or_none(&self.session),
            or_none(&self.number),
            or_none(&self.connection),
            self.message,
        )
    }

    fn take(&mut self, name: &str, text: String) {
        match name {
            "message" => self.message = text,
            "session" => self.session = Some(text),
            "s" => self.number = Some(text),
            "c" => self.connection = Some(text),
            "document" => self.document = Some(text),
            _ => {
                let _ = write!(self.rest, " {name}={text}");
            }
        }
    }
}

impl Visit for Columns {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), one_line(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "document" && !self.documents {
            return;
        }
        self.take(field.name(), one_line(&format!("{value:?}")));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.take(field.name(), one_line(&cause::chain(value)));
    }
}

/// Escapes or replaces characters with which a peer could write a second line, move the cursor of a
/// terminal, or add a column for parsers that split lines at any Unicode space.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' | '\n' => {}
            ' ' => line.push(c),
            c if c.is_control() || c.is_whitespace() || is_direction(c) => {
                line.extend(c.escape_unicode());
            }
            c => line.push(c),
        }
    }
    line
}

/// Maximum length of a line in bytes, without its line break. Line readers such as Go's
/// `bufio.Scanner` fail at a line of 64 KiB and never read the rest of the file.
const MAX_LINE: usize = 63 * 1024;

/// The line, truncated if it is too long.
fn bounded(line: &str) -> Cow<'_, str> {
    if line.len() <= MAX_LINE {
        return Cow::Borrowed(line);
    }
    let end = line.floor_char_boundary(MAX_LINE - 32);
    Cow::Owned(format!("{}… ({} bytes)", &line[..end], line.len()))
}

/// Characters that change the direction of text in a terminal.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use cmsg_proto::Time;

    use super::*;

    #[test]
    fn a_line_has_the_columns_that_parsers_expect() {
        let columns = Columns {
            session: Some("0b1c2d3e-0000-4000-8000-000000000001".to_owned()),
            number: Some("7".to_owned()),
            message: "Processing request (hello) took: 3ms".to_owned(),
            rest: " method=x".to_owned(),
            ..Columns::default()
        };
        let time = stamp(Time::from_millis(1_700_000_000_123), LINE_STAMP);

        let line = columns.line(&time, Level::INFO, "pcoip_cmsgd::connection_manager::exchange");

        assert_eq!(
            line,
            "2023-11-14T22:13:20.123Z 0b1c2d3e-0000-4000-8000-000000000001 s=7 c=none INFO  \
             exchange                           : Processing request (hello) took: 3ms method=x"
        );
    }

    #[test]
    fn a_document_follows_the_headline() {
        let columns = |document: &str| Columns {
            document: Some(document.to_owned()),
            message: "Received request from client (bye)".to_owned(),
            ..Columns::default()
        };
        let line = |document| columns(document).line("T", Level::INFO, "PCoIPAgent");

        let start = "T none s=none c=none TRACE PCoIPAgent                         : ";
        assert_eq!(line("<bye />"), format!("{start}Received request from client (bye): <bye />"));
        assert_eq!(line(""), format!("{start}Received request from client (bye)"));
    }

    #[test]
    fn a_peer_cannot_add_a_line_or_column() {
        assert_eq!(one_line("a\r\nb\u{1b}[2Jc\u{202e}"), "ab\\u{1b}[2Jc\\u{202e}");
        assert_eq!(
            one_line("a\u{a0}b\u{2003}c\u{3000}\td e"),
            "a\\u{a0}b\\u{2003}c\\u{3000}\\u{9}d e"
        );
        assert_eq!(one_line("a\u{85}b\u{2028}c\u{2029}"), "a\\u{85}b\\u{2028}c\\u{2029}");
    }

    #[test]
    fn a_long_line_is_truncated() {
        for (characters, longest) in [("x", MAX_LINE), ("\u{202e}", MAX_LINE), ("€", MAX_LINE)] {
            let line = one_line(&characters.repeat(64 * 1024));

            let line = bounded(&line);

            assert!(line.len() <= longest && line.len() > longest - 64, "{}", line.len());
            assert!(line.ends_with(" bytes)"), "{}", &line[line.len() - 40..]);
        }
        assert_eq!(bounded("short"), "short");
    }
}
