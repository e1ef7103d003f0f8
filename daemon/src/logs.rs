//! Log files in the vendor's line format, which administrators' parsers read:
//! `TIME SESSION s=N c=N LEVEL CLASS : MESSAGE`.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use cmsg_config::values::LogLevel;
use cmsg_proto::Time;
use time::{OffsetDateTime, format_description::BorrowedFormatItem};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _,
    filter::{FilterFn, filter_fn},
    layer::SubscriberExt as _,
};

use files::LogFiles;
use line::Line;
use retention::RETENTION;

mod files;
mod line;
mod retention;
mod space;
mod writer;

pub use writer::Flush;
use writer::Writer;

/// Class of lines about gateways, which parsers know.
pub(crate) const GATEWAY: &str = "PCoIPSecurityGatewayConnection";

/// A document as a field, which is only masked and formatted if it is logged. An empty one marks a
/// line that parsers read as well.
pub(crate) struct Document<F>(pub(crate) F);

impl<F: Fn() -> String> fmt::Display for Document<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&(self.0)())
    }
}

/// An error as a field; the log prints its sources too.
pub(crate) fn as_error<E: std::error::Error + 'static>(
    error: &E,
) -> &(dyn std::error::Error + 'static) {
    error
}

/// The lowest level of the messages in log files. It can change while they are written.
#[derive(Debug, Clone)]
pub struct Level(Arc<Chosen>);

#[derive(Debug)]
struct Chosen {
    level: ArcSwap<LogLevel>,
    /// Whether only warnings and errors are logged, since the disk is nearly full.
    is_restricted: AtomicBool,
}

impl Level {
    /// Changes the level.
    pub fn set(&self, level: LogLevel) {
        self.0.level.store(Arc::new(level));
        // Each place that logs remembers whether its messages are wanted.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Only logs warnings and errors until this is revoked.
    fn restrict(&self, is_restricted: bool) {
        self.0.is_restricted.store(is_restricted, Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    pub(crate) fn get(&self) -> LogLevel {
        match **self.0.level.load() {
            LogLevel::Error => LogLevel::Error,
            _ if self.0.is_restricted.load(Relaxed) => LogLevel::Warn,
            level => level,
        }
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        let (level, is_restricted) = (ArcSwap::from_pointee(level), AtomicBool::default());
        Self(Arc::new(Chosen { level, is_restricted }))
    }
}

/// Writes all events of `level` and above to log files in a directory, and warnings without a
/// session to standard error too. Returns what waits for lines to be written.
///
/// # Errors
///
/// If the file cannot be created, or logging is already set up.
pub fn to_folder(folder: &Path, name: &str, level: Level) -> anyhow::Result<Flush> {
    let (_, flush, subscriber) = of_folder(folder, name, level)?;
    tracing::subscriber::set_global_default(subscriber).context("setting up the log")?;
    Ok(flush)
}

/// The subscriber of [`to_folder`], the path of its first file, and what waits for lines to be
/// written, for processes with several roles. All lines are written when the subscriber is dropped.
///
/// # Errors
///
/// If the file cannot be created, or the system has no more threads.
pub fn of_folder<L: Into<Level>>(
    folder: &Path,
    name: &str,
    level: L,
) -> anyhow::Result<(PathBuf, Flush, impl Subscriber + Send + Sync + use<L>)> {
    let level = level.into();
    let files = LogFiles::begin(folder, name, RETENTION)?;
    let path = files.path();
    let writer = Writer::start(files, level.clone())?;
    let flush = writer.flush();
    let to_file = tracing_subscriber::fmt::layer()
        .event_format(Line { level: level.clone() })
        .with_writer(writer)
        .with_filter(only(level, is_ours));
    let warnings = Level::from(LogLevel::Warn);
    let to_error = tracing_subscriber::fmt::layer()
        .event_format(Line { level: warnings.clone() })
        .with_writer(io::stderr)
        .with_filter(only(warnings, |event| is_ours(event) && !is_of_session(event)));
    Ok((path, flush, tracing_subscriber::registry().with(to_file).with(to_error)))
}

/// A single filter for level and origin. A level filter inside another filter would only discard an
/// event after its values, which may be whole documents, were formatted. The filter has no hint of the
/// level, which would be asked for only once.
fn only(
    level: Level,
    wanted: impl Fn(&Metadata<'_>) -> bool + Clone + 'static,
) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Clone> {
    filter_fn(move |event: &Metadata<'_>| *event.level() <= filter(level.get()) && wanted(event))
}

/// Writes all events of `level` and above to standard error.
///
/// # Errors
///
/// If logging is already set up.
pub fn to_error(level: LogLevel) -> anyhow::Result<()> {
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Line { level: level.into() })
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

/// Libraries log what they send and receive at TRACE, including secrets, so they are silenced.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.module_path().is_some_and(|module| module.starts_with("pcoip_cmsgd"))
}

/// Whether an event is a line of the session log. Clients can cause any number of them, and the
/// size of standard error is not bounded.
fn is_of_session(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field("session").is_some()
}

fn stamp(now: Time, format: &[BorrowedFormatItem<'_>]) -> String {
    let nanos = i128::from(now.as_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn lines_of_sessions_are_distinguished() {
        use tracing_subscriber::{Registry, filter::filter_fn, layer::SubscriberExt as _};
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seeing = Arc::clone(&seen);
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
    fn values_are_only_formatted_if_they_are_logged() {
        let folder = tempfile::tempdir().unwrap();
        let formatted = std::cell::Cell::new((0, 0));
        let document = || {
            formatted.update(|(documents, values)| (documents + 1, values));
            "<hello />".to_owned()
        };
        let value = || formatted.update(|(documents, values)| (documents, values + 1));
        for level in [LogLevel::Error, LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            let (_, _, subscriber) = of_folder(folder.path(), "pcoip-connmgr", level).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(session = "0b1c", document = %Document(document), "Received");
                tracing::trace!(session = "0b1c", "Received {:?}", value());
            });
        }

        assert_eq!(formatted.get(), (1, 1));
    }

    #[test]
    fn a_changed_level_applies_to_the_next_message() {
        let folder = tempfile::tempdir().unwrap();
        let level = Level::from(LogLevel::Warn);
        let (path, _, subscriber) = of_folder(folder.path(), "pcoip-sg", level.clone()).unwrap();
        let log = |number: u32| {
            tracing::info!(number, "Info");
            tracing::debug!(number, "Debug");
            tracing::trace!(session = "0b1c", document = %Document(|| format!("<a{number}/>")), "");
        };

        tracing::subscriber::with_default(subscriber, || {
            for (number, to) in (1..).zip([LogLevel::Trace, LogLevel::Info, LogLevel::Error]) {
                log(number - 1);
                level.set(to);
            }
            log(3);
        });

        let text = std::fs::read_to_string(path).unwrap();
        let seen = |what: &str| -> Vec<u32> {
            let is_seen = |number: &u32| text.contains(&what.replace('N', &number.to_string()));
            (0..4).filter(is_seen).collect()
        };
        assert_eq!(seen("Info number=N"), [1, 2], "{text}");
        assert_eq!(seen("Debug number=N"), [1], "{text}");
        assert_eq!(seen("<aN/>"), [1], "{text}");
    }
}
