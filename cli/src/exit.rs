//! How the process ends.

use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// It failed and was undone.
    Failed,
    /// The words could not be read.
    Usage,
    Refused,
    /// It was performed, did not come to life and was undone.
    RolledBack,
    /// The operator interrupted it; it was undone.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::RolledBack => 4,
            Exit::Interrupted => 130,
        })
    }
}
