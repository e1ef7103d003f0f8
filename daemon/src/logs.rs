//! Log files in the vendor's line format, which administrators' parsers read:
//! `TIME SESSION s=N c=N LEVEL CLASS : MESSAGE`.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::Context as _;
use cmsg_config::values::LogLevel;
use cmsg_proto::Time;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer as _,
    filter::{FilterFn, filter_fn},
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

use crate::clock;
use files::LogFiles;
use retention::RETENTION;

mod files;
mod retention;

/// An error as a field, which the log shows with its sources.
pub(crate) fn as_error<E: std::error::Error + 'static>(
    error: &E,
) -> &(dyn std::error::Error + 'static) {
    error
}

/// Sends everything at or above a level to new files in a folder, one after another, and warnings that
/// are of no session to standard error too. Returns the first file's path.
///
/// # Errors
///
/// Where the file cannot be made, or logging was set up before.
pub fn to_folder(folder: &Path, name: &str, level: LogLevel) -> anyhow::Result<PathBuf> {
    let (path, subscriber) = of_folder(folder, name, level)?;
    tracing::subscriber::set_global_default(subscriber).context("setting up the log")?;
    Ok(path)
}

/// The log of [`to_folder`] with its file's path, for who runs several roles in one process.
///
/// # Errors
///
/// Where the file cannot be made.
pub fn of_folder(
    folder: &Path,
    name: &str,
    level: LogLevel,
) -> anyhow::Result<(PathBuf, impl Subscriber + Send + Sync + use<>)> {
    let files = LogFiles::begin(folder, name, RETENTION)?;
    let path = files.path();
    let to_file = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(Mutex::new(files))
        .with_filter(only(filter(level), is_ours));
    let to_error = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(io::stderr)
        .with_filter(only(LevelFilter::WARN, |event| is_ours(event) && !is_of_session(event)));
    Ok((path, tracing_subscriber::registry().with(to_file).with(to_error)))
}

/// One filter for level and origin. A level filter inside another filter would discard an event only
/// after its values were formatted; those of a session are whole documents.
fn only(
    level: LevelFilter,
    wanted: impl Fn(&Metadata<'_>) -> bool + Clone + 'static,
) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Clone> {
    filter_fn(move |event: &Metadata<'_>| *event.level() <= level && wanted(event))
        .with_max_level_hint(level)
}

/// Sends everything at or above a level to standard error.
///
/// # Errors
///
/// Where logging was set up before.
pub fn to_error(level: LogLevel) -> anyhow::Result<()> {
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(io::stderr)
        .with_filter(filter(level));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).context("setting up the log")
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

/// Libraries log what they send and receive at trace, secrets included, so they stay silent.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.module_path().is_some_and(|module| module.starts_with("pcoip_cmsgd"))
}

/// Whether an event is a line of the session log. Clients cause as many as they like, and nothing
/// bounds the size of standard error.
fn is_of_session(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field("session").is_some()
}

const LINE_STAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

fn stamp(now: Time, format: &[BorrowedFormatItem<'_>]) -> String {
    let nanos = i128::from(now.as_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}

/// One event as one line.
struct Line;

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
        let mut columns = Columns::default();
        event.record(&mut columns);
        let time = stamp(clock::now(), LINE_STAMP);
        let line = columns.line(&time, *event.metadata().level(), event.metadata().target());
        writeln!(writer, "{}", bounded(&line))
    }
}

/// What an event says: the columns by their names, the rest behind the message.
#[derive(Default)]
struct Columns {
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
        format!(
            "{time} {} s={} c={} {level:<5} {class:<34} : {}{}",
            or_none(&self.session),
            or_none(&self.number),
            or_none(&self.connection),
            self.message,
            self.rest,
        )
    }

    fn take(&mut self, name: &str, text: String) {
        match name {
            "message" => self.message = text,
            "session" => self.session = Some(text),
            "s" => self.number = Some(text),
            "c" => self.connection = Some(text),
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
        self.take(field.name(), one_line(&format!("{value:?}")));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            let _ = write!(text, ": {error}");
            source = error.source();
        }
        self.take(field.name(), one_line(&text));
    }
}

/// A peer cannot write a second line, nor move the cursor of who reads the log.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' | '\n' => {}
            c if c.is_control() || is_separator(c) || is_direction(c) => {
                line.extend(c.escape_unicode());
            }
            c => line.push(c),
        }
    }
    line
}

/// The longest line in bytes, without its end. Parsers that read a log line by line, such as Go's
/// `bufio.Scanner`, stop at a line of 64 KiB and never see the rest of the file.
const MAX_LINE: usize = 63 * 1024;

/// The line, cut off where it is too long.
fn bounded(line: &str) -> Cow<'_, str> {
    if line.len() <= MAX_LINE {
        return Cow::Borrowed(line);
    }
    let end = line.floor_char_boundary(MAX_LINE - 32);
    Cow::Owned(format!("{}… ({} bytes)", &line[..end], line.len()))
}

/// What Unicode, and so some tools, take for the end of a line or paragraph.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that make a terminal show a line in another order than it has.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
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
    fn lines_of_sessions_are_told_from_others() {
        use tracing_subscriber::{Registry, filter::filter_fn, layer::SubscriberExt as _};
        let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
        let seeing = std::sync::Arc::clone(&seen);
        let filter = filter_fn(move |event| {
            seeing.lock().unwrap().push(is_of_session(event));
            false
        });
        let layer = tracing_subscriber::fmt::layer().with_filter(filter);

        tracing::subscriber::with_default(Registry::default().with(layer), || {
            tracing::warn!(session = "0b1c", "Session-Log-Id not found");
            tracing::warn!(file = "x", "Cannot write");
        });

        assert_eq!(*seen.lock().unwrap(), [true, false]);
    }

    #[test]
    fn a_peer_cannot_write_a_line_of_its_own() {
        assert_eq!(one_line("a\r\nb\u{1b}[2Jc\u{202e}"), "ab\\u{1b}[2Jc\\u{202e}");
        assert_eq!(one_line("a\u{85}b\u{2028}c\u{2029}"), "a\\u{85}b\\u{2028}c\\u{2029}");
    }

    #[test]
    fn what_is_not_logged_is_not_formatted_either() {
        let folder = tempfile::tempdir().unwrap();
        let formatted = std::cell::Cell::new(0);
        let document = || {
            formatted.set(formatted.get() + 1);
            "<hello />"
        };
        for level in [LogLevel::Error, LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            let (_, subscriber) = of_folder(folder.path(), "pcoip-connmgr", level).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::trace!(session = "0b1c", "Received request from client: {}", document());
            });
        }

        assert_eq!(formatted.get(), 1);
    }

    #[test]
    fn no_line_is_longer_than_parsers_read() {
        for (characters, longest) in [("x", MAX_LINE), ("\u{202e}", MAX_LINE), ("€", MAX_LINE)] {
            let line = one_line(&characters.repeat(64 * 1024));

            let line = bounded(&line);

            assert!(line.len() <= longest && line.len() > longest - 64, "{}", line.len());
            assert!(line.ends_with(" bytes)"), "{}", &line[line.len() - 40..]);
        }
        assert_eq!(bounded("short"), "short");
    }
}
