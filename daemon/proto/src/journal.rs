//! What could be read of the file of a journal, for all journals to which records are appended.

/// What could be read of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded<T> {
    /// The state after the last readable record.
    pub journal: T,
    /// Number of unreadable bytes with a readable record behind them.
    pub damaged: usize,
    /// Number of unreadable bytes at the end of the file.
    pub torn: usize,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Another version of the daemon wrote it; the version of its format.
    #[error("the sessions have format version {0}, not {1}")]
    Foreign(u64, u64),
    /// It does not begin as a journal does.
    #[error("the sessions are damaged: the first line is missing")]
    Headless,
    /// A file of an earlier version is truncated, modified, or not a journal.
    #[error("the sessions are damaged")]
    Damaged(#[source] serde_json::Error),
    /// It is larger than this number of bytes.
    #[error("the sessions have more than {0} bytes")]
    TooLarge(usize),
}

/// More unreadable bytes than this at the end of a file are not the rest of an interrupted write.
const MAX_TORN: usize = 64 * 1024;

impl<T> Loaded<T> {
    /// Whether more is unreadable than the last write before a crash.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.damaged > 0 || self.torn > MAX_TORN
    }
}
