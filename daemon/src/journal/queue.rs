//! The queue of the journal's records. One thread takes all that are queued, appends them to the
//! file and waits for the disk once, so that a slow disk delays neither datagrams nor each
//! announcement by itself.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cmsg_proto::{
    failover::{self, Saved},
    gateway::{Journal, Loaded, Record, Unreadable},
};
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};

use crate::journal::{AGAIN, JournalFile, PAUSE};
pub(super) use writer::Keeper;

#[cfg(test)]
mod tests;
mod writer;

/// A state that is persisted as a file to which records are appended.
pub(super) trait State: Sized + Send + Default + 'static {
    type Record: Send + std::fmt::Debug + 'static;

    /// Upper bound of the file.
    const MAX_BYTES: usize;

    /// Number of sessions and ended sessions.
    fn entries(&self) -> usize;

    /// The content of a file with this state.
    fn render(self) -> Vec<u8>;

    /// Parses the content of a file.
    fn parse(bytes: &[u8]) -> Result<Loaded<Self>, Unreadable>;

    /// Appends a record to the content of a file.
    fn write(record: &Self::Record, file: &mut Vec<u8>);
}

/// The sessions that this gateway serves.
impl State for Journal {
    type Record = Record;

    const MAX_BYTES: usize = Self::MAX_BYTES;

    fn entries(&self) -> usize {
        self.entries()
    }

    fn render(self) -> Vec<u8> {
        self.render()
    }

    fn parse(bytes: &[u8]) -> Result<Loaded<Self>, Unreadable> {
        Self::parse(bytes)
    }

    fn write(record: &Record, file: &mut Vec<u8>) {
        record.write(file);
    }
}

/// All granted sessions.
impl State for Saved {
    type Record = failover::Record;

    const MAX_BYTES: usize = Self::MAX_BYTES;

    fn entries(&self) -> usize {
        self.entries()
    }

    fn render(self) -> Vec<u8> {
        self.render()
    }

    fn parse(bytes: &[u8]) -> Result<Loaded<Self>, Unreadable> {
        Self::parse(bytes)
    }

    fn write(record: &failover::Record, file: &mut Vec<u8>) {
        record.write(file);
    }
}

/// The records that are to be written.
#[derive(Debug)]
pub(super) struct JournalQueue<S: State = Journal> {
    queued: Mutex<Queued<S>>,
    /// Wakes the writer.
    came: Condvar,
    /// The number of the last record that was written, or failed to be.
    settled: watch::Sender<u64>,
    limits: Limits,
}

#[derive(Debug)]
struct Queued<S: State> {
    records: Vec<S::Record>,
    /// The number of the last record so far.
    number: u64,
    /// The number of the last record that the writer took.
    taken: u64,
    /// The number of the last record for which somebody waits.
    wanted: u64,
    /// Number of sessions and ended sessions of the state.
    entries: usize,
    /// Whether the whole state is written next, so that records need not be kept until then.
    is_whole: bool,
    end: Option<End>,
}

/// How the thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// After it has written what is queued.
    Finish,
    /// Without a further write.
    Abandon,
}

/// What the writer has to write.
struct Batch<R> {
    records: Vec<R>,
    number: u64,
    entries: usize,
    is_whole: bool,
    is_last: bool,
}

/// How long records wait, and how many.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// How long a record waits for others, unless somebody waits for the disk.
    together: Duration,
    /// How long to wait after a failed write.
    again: Duration,
    /// If the disk hangs, so many records are kept. Afterwards the whole state is written.
    queued: usize,
}

/// How long to wait for the disk: accepting a session is more important than persisting it.
const DISK_WAIT: Duration = Duration::from_secs(1);

impl<S: State> JournalQueue<S> {
    pub(super) fn new() -> Self {
        Self::with(Limits { together: PAUSE, again: AGAIN, queued: 65_536 })
    }

    fn with(limits: Limits) -> Self {
        let queued = Queued {
            records: Vec::new(),
            number: 0,
            taken: 0,
            wanted: 0,
            entries: 0,
            is_whole: true,
            end: None,
        };
        let settled = watch::Sender::new(0);
        Self { queued: Mutex::new(queued), came: Condvar::new(), settled, limits }
    }

    /// Queues records in the order in which they were made. `entries` is the number of sessions and
    /// ended sessions of the state.
    pub(super) fn push(&self, records: Vec<S::Record>, entries: usize) {
        let mut queued = self.queued();
        queued.entries = entries;
        if records.is_empty() {
            return;
        }
        queued.number += records.len() as u64;
        queued.is_whole |= queued.records.len() + records.len() > self.limits.queued;
        if queued.is_whole {
            queued.records = Vec::new();
        } else {
            let is_first = queued.records.is_empty();
            queued.records.extend(records);
            if is_first {
                self.came.notify_one();
            }
        }
    }

    /// Waits until the records so far are on disk, so that an accepted session survives a crash. If
    /// the disk does not work, waits for [`DISK_WAIT`].
    pub(super) async fn settle(&self) {
        let number = {
            let mut queued = self.queued();
            queued.wanted = queued.number;
            queued.number
        };
        self.came.notify_one();
        let mut settled = self.settled.subscribe();
        let _ = timeout(DISK_WAIT, settled.wait_for(|settled| *settled >= number)).await;
    }

    /// Removes all records, since the whole state is read now. Returns the number of the last one.
    pub(super) fn restart(&self) -> u64 {
        let mut queued = self.queued();
        queued.records = Vec::new();
        queued.is_whole = false;
        queued.number
    }

    fn write_whole(&self) {
        let mut queued = self.queued();
        queued.is_whole = true;
        queued.records = Vec::new();
    }

    fn end(&self, end: End) {
        self.queued().end.get_or_insert(end);
        self.came.notify_one();
    }

    /// Waits for records, and for others that are written together with them, unless somebody waits
    /// for the disk. Returns `None` if the thread was abandoned.
    fn next(&self, failed: bool) -> Option<Batch<S::Record>> {
        let (queued, Limits { together, again, .. }) = (self.queued(), self.limits);
        let mut queued = if failed {
            let waited = self.came.wait_timeout_while(queued, again, |queued| queued.end.is_none());
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            let queued = self.came.wait_while(queued, |queued| queued.is_idle());
            let queued = queued.unwrap_or_else(PoisonError::into_inner);
            let waited = self.came.wait_timeout_while(queued, together, |queued| queued.may_wait());
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        if queued.end == Some(End::Abandon) {
            return None;
        }
        queued.taken = queued.number;
        Some(Batch {
            records: mem::take(&mut queued.records),
            number: queued.number,
            entries: queued.entries,
            is_whole: queued.is_whole,
            is_last: queued.end.is_some(),
        })
    }

    fn queued(&self) -> MutexGuard<'_, Queued<S>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: State> Queued<S> {
    fn is_idle(&self) -> bool {
        self.records.is_empty() && !self.is_whole && self.end.is_none()
    }

    fn may_wait(&self) -> bool {
        self.wanted <= self.taken && self.end.is_none()
    }
}

/// Reads the state from before the restart.
pub(super) fn load<S: State>(file: &JournalFile) -> S {
    let loaded = file.load(S::MAX_BYTES, S::parse);
    let sessions = loaded.journal.entries();
    let path = file.path("").display().to_string();
    if loaded.is_damaged() {
        warn!(
            file = path,
            sessions,
            damaged_bytes = loaded.damaged + loaded.torn,
            "The file of the sessions is damaged; the readable sessions are restored, and the \
             damaged file is kept"
        );
        file.keep_damaged();
    } else if loaded.torn > 0 {
        let bytes = loaded.torn;
        info!(file = path, sessions, bytes, "The last write before the restart was incomplete");
    }
    loaded.journal
}
