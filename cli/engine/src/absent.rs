//! Why there is no connection to an engine, and what an answer that is of no use says.

use std::{
    error::Error as StdError,
    io,
    path::{Path, PathBuf},
};

use bollard::errors::Error;
use cmsg_config::cause;

use super::{ANSWER, words::plain};

/// Longest text of an engine that is shown.
const LINE: usize = 300;

/// Why there is no connection to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoEngine {
    /// There is no socket.
    Absent(PathBuf),
    /// Nothing listens on the socket.
    Silent(PathBuf),
    /// A process has the socket, but does not answer, for this reason.
    Unresponsive(PathBuf, String),
    /// This user may not open the socket.
    Forbidden(PathBuf),
    /// `DOCKER_HOST` names the engine of another host.
    Elsewhere(String),
    /// The engine reports that it does not work.
    Failing(String),
    /// The response is not that of an engine.
    Odd(PathBuf, String),
    /// The operator interrupted the command.
    Interrupted,
}

impl NoEngine {
    /// Why the socket cannot be connected.
    pub(super) fn of(error: &io::Error, socket: PathBuf) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent(socket),
            io::ErrorKind::PermissionDenied => Self::Forbidden(socket),
            io::ErrorKind::ConnectionRefused => Self::Silent(socket),
            _ => Self::Unresponsive(socket, cause::of_socket(error)),
        }
    }

    /// Why there is no answer.
    pub(super) fn unanswered(error: &(dyn StdError + 'static), socket: &Path) -> Self {
        Self::Unresponsive(socket.to_owned(), in_words(error))
    }

    /// There was no answer in time.
    pub(super) fn late(socket: PathBuf) -> Self {
        Self::Unresponsive(socket, late())
    }

    /// What an answer means that is not the expected one.
    pub(super) fn said(error: &Error, socket: &Path) -> Self {
        match error {
            Error::DockerResponseServerError { status_code: 500.., .. } => {
                Self::Failing(described(error))
            }
            _ if is_away(error) => Self::unanswered(error, socket),
            _ => Self::Odd(socket.to_owned(), described(error)),
        }
    }
}

pub(super) fn late() -> String {
    format!("there was no answer within {} seconds", ANSWER.as_secs())
}

/// Why an engine does not report its state, in one line.
pub(super) fn unreported(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(error) => described(error),
        None => plain(&format!("{error:#}"), LINE),
    }
}

/// An error of the client library, in one line.
fn described(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            plain(&format!("status {status_code}: {message}"), LINE)
        }
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => {
            "the response is not the expected JSON".to_owned()
        }
        _ => in_words(error),
    }
}

/// The cause, without what the client library says around it.
fn in_words(error: &(dyn StdError + 'static)) -> String {
    let inner = error.is::<Error>().then(|| error.source()).flatten();
    plain(&cause::chain(inner.unwrap_or(error)), LINE)
}

/// Whether there is no answer at all, as opposed to one that is not HTTP.
fn is_away(error: &Error) -> bool {
    let mut next = Some(error as &(dyn StdError + 'static));
    while let Some(link) = next {
        if let Some(error) = link.downcast_ref::<hyper::Error>() {
            return !error.is_parse();
        }
        if link.is::<io::Error>() {
            return true;
        }
        next = link.source();
    }
    matches!(error, Error::RequestTimeoutError)
}

#[cfg(test)]
mod tests;
