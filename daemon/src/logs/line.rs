//! Formats an event as a line that the logged data cannot forge.

use std::{
    cell::RefCell,
    fmt::{self, Write},
};

use cmsg_config::{cause, values::LogLevel};
use cmsg_proto::Time;
use time::{format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::stamp;
use crate::clock;

/// The time of a line to the second; milliseconds and `Z` follow.
const SECOND: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

pub(super) struct Line {
    /// The level at which documents are logged is TRACE. Their lines then have that level: parsers
    /// split lines at each space, and only a level with five letters is followed by a single one.
    pub(super) level: super::Level,
}

thread_local! {
    /// The columns of the thread's last line, whose memory the next line uses.
    static COLUMNS: RefCell<Columns> = RefCell::default();
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
        // A value that logs while it is formatted needs columns of its own.
        let mut columns = COLUMNS.take();
        columns.begin(documents);
        event.record(&mut columns);
        let written = columns.write(&mut writer, clock::now(), event.metadata());
        COLUMNS.set(columns);
        written
    }
}

/// The parts of an event: the columns, and all other fields after the message. Values are escaped
/// while they are formatted.
#[derive(Default)]
struct Columns {
    documents: bool,
    document: Option<String>,
    session: String,
    number: String,
    connection: String,
    message: String,
    rest: String,
    time: Stamp,
    line: String,
}

impl Columns {
    fn begin(&mut self, documents: bool) {
        self.documents = documents;
        self.document = None;
        let Self { session, number, connection, message, rest, line, .. } = self;
        for column in [session, number, connection, message, rest, line] {
            column.clear();
            column.shrink_to(KEPT);
        }
    }

    /// Writes the line with its line break.
    fn write(&mut self, to: &mut impl Write, now: Time, metadata: &Metadata<'_>) -> fmt::Result {
        self.assemble(now, *metadata.level(), metadata.target())?;
        bounded(&self.line, to)?;
        to.write_char('\n')
    }

    fn assemble(&mut self, now: Time, level: Level, target: &str) -> fmt::Result {
        let class = target.rsplit("::").next().unwrap_or(target);
        let (level, separator, rest) = match &self.document {
            None => (level, "", self.rest.as_str()),
            Some(document) if document.is_empty() => (Level::TRACE, "", document.as_str()),
            Some(document) => (Level::TRACE, ": ", document.as_str()),
        };
        let line = &mut self.line;
        self.time.write(now, line)?;
        let columns = [(" ", &self.session), (" s=", &self.number), (" c=", &self.connection)];
        for (name, column) in columns {
            line.push_str(name);
            line.push_str(if column.is_empty() { "none" } else { column });
        }
        line.push(' ');
        padded(line, level.as_str(), 5);
        line.push(' ');
        padded(line, class, 34);
        for part in [" : ", &self.message, separator, rest] {
            line.push_str(part);
        }
        Ok(())
    }

    /// Where the value of this field is written.
    fn column(&mut self, name: &str) -> &mut String {
        match name {
            "message" => &mut self.message,
            "session" => &mut self.session,
            "s" => &mut self.number,
            "c" => &mut self.connection,
            "document" => self.document.insert(String::new()),
            _ => {
                for part in [" ", name, "="] {
                    self.rest.push_str(part);
                }
                &mut self.rest
            }
        }
    }

    fn record(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a text does not fail; a value's own implementation may.
        let _ = OneLine(self.column(field.name())).write_fmt(value);
    }
}

/// A line of the log about itself, with its line break.
pub(super) fn of_log(now: Time, level: Level, message: &str) -> String {
    let mut columns = Columns { message: message.to_owned(), ..Columns::default() };
    // Writing to a text does not fail.
    let _ = columns.assemble(now, level, "logs");
    columns.line + "\n"
}

/// Bytes of memory that a column keeps for the next line.
const KEPT: usize = 1024;

fn padded(line: &mut String, text: &str, width: usize) {
    line.push_str(text);
    line.extend(std::iter::repeat_n(' ', width.saturating_sub(text.chars().count())));
}

impl Visit for Columns {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "document" && !self.documents {
            return;
        }
        self.record(field, format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record(field, format_args!("{}", cause::chain(value)));
    }
}

/// The time of a line. The text of a second is kept for the next line.
#[derive(Default)]
struct Stamp {
    second: u64,
    text: String,
}

impl Stamp {
    fn write(&mut self, now: Time, line: &mut String) -> fmt::Result {
        let (second, millis) = (now.as_millis() / 1000, now.as_millis() % 1000);
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text = stamp(now, SECOND);
        }
        line.push_str(&self.text);
        write!(line, ".{millis:03}Z")
    }
}

/// Escapes or removes characters with which a peer could write a second line, move the cursor of a
/// terminal, or add a column for parsers that split lines at any Unicode space.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            match c {
                '\r' | '\n' => {}
                ' ' => self.0.push(c),
                c if c.is_control() || c.is_whitespace() || is_direction(c) => {
                    self.0.extend(c.escape_unicode());
                }
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Maximum length of a line in bytes, without its line break. Line readers such as Go's
/// `bufio.Scanner` fail at a line of 64 KiB and never read the rest of the file.
const MAX_LINE: usize = 63 * 1024;

/// Writes the line, truncated if it is too long.
fn bounded(line: &str, to: &mut impl Write) -> fmt::Result {
    if line.len() <= MAX_LINE {
        return to.write_str(line);
    }
    let end = line.floor_char_boundary(MAX_LINE - 32);
    write!(to, "{}… ({} bytes)", &line[..end], line.len())
}

/// Characters that change the direction of text in a terminal.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(columns: &mut Columns, now: Time, level: Level, target: &str) -> String {
        columns.line.clear();
        columns.assemble(now, level, target).unwrap();
        columns.line.clone()
    }

    fn one_line(text: &str) -> String {
        let mut line = String::new();
        OneLine(&mut line).write_str(text).unwrap();
        line
    }

    #[test]
    fn a_line_has_the_columns_that_parsers_expect() {
        let mut columns = Columns {
            session: "0b1c2d3e-0000-4000-8000-000000000001".to_owned(),
            number: "7".to_owned(),
            message: "Processing request (hello) took: 3ms".to_owned(),
            rest: " method=x".to_owned(),
            ..Columns::default()
        };
        let class = "pcoip_cmsgd::connection_manager::exchange";
        let rest = "0b1c2d3e-0000-4000-8000-000000000001 s=7 c=none INFO  \
                    exchange                           : Processing request (hello) took: 3ms \
                    method=x";
        for (millis, time) in [
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
            (1_700_000_001_000, "2023-11-14T22:13:21.000Z"),
            (1_700_000_000_999, "2023-11-14T22:13:20.999Z"),
        ] {
            let line = line(&mut columns, Time::from_millis(millis), Level::INFO, class);

            assert_eq!(line, format!("{time} {rest}"));
        }
    }

    #[test]
    fn a_document_follows_the_headline() {
        let line = |document: &str| {
            let mut columns = Columns {
                document: Some(document.to_owned()),
                message: "Received request from client (bye)".to_owned(),
                ..Columns::default()
            };
            line(&mut columns, Time::from_millis(0), Level::INFO, "PCoIPAgent")
        };

        let class = "PCoIPAgent                        ";
        let start = format!("1970-01-01T00:00:00.000Z none s=none c=none TRACE {class} : ");
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
        assert_eq!(one_line("a\u{7f}b~ é"), "a\\u{7f}b~ é");
    }

    #[test]
    fn a_long_line_is_truncated() {
        let bounded = |line: &str| {
            let mut written = String::new();
            bounded(line, &mut written).unwrap();
            written
        };
        for (characters, longest) in [("x", MAX_LINE), ("\u{202e}", MAX_LINE), ("€", MAX_LINE)] {
            let line = one_line(&characters.repeat(64 * 1024));

            let line = bounded(&line);

            assert!(line.len() <= longest && line.len() > longest - 64, "{}", line.len());
            assert!(line.ends_with(" bytes)"), "{}", &line[line.len() - 40..]);
        }
        assert_eq!(bounded("short"), "short");
    }

    #[test]
    fn values_of_the_former_line_do_not_appear_in_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _, subscriber) =
            super::super::of_folder(folder.path(), "pcoip-sg", LogLevel::Trace).unwrap();
        struct Logs;
        impl fmt::Display for Logs {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                tracing::info!(number = 3, "inner");
                f.write_str("outer")
            }
        }

        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(session = "0b1c", s = 1, c = 2, document = "<x/>", a = 1, "first");
            tracing::info!("second {}", "x".repeat(5000));
            tracing::info!("{Logs}");
            tracing::info!(b = 2, "last");
        });

        let text = std::fs::read_to_string(path).unwrap();
        let ends: Vec<_> = text.lines().map(|line| line[25..].replace("  ", "")).collect();
        let second = "x".repeat(5000);
        assert_eq!(ends[0], "0b1c s=1 c=2 TRACE tests: first: <x/>");
        assert!(ends[1].ends_with(&format!("tests: second {second}")), "{}", &ends[1][..80]);
        assert!(ends[1].starts_with("none s=none c=none INFO"));
        assert!(ends.iter().any(|line| line.ends_with(": outer")), "{ends:?}");
        assert!(ends.last().unwrap().ends_with(": last b=2"));
    }
}
