//! The queue of the journal's records. One thread takes all that are queued, appends them to the
//! file and waits for the disk once, so that a slow disk delays neither datagrams nor each
//! announcement by itself.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cmsg_proto::journal::{Loaded, Unreadable};
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};

use super::{AGAIN, JournalFile, PAUSE};

/// A state that is persisted as a file to which records are appended.
pub(crate) trait State: Sized + Send + Default + 'static {
    type Record: Send + std::fmt::Debug + 'static;

    /// Upper bound of the file.
    const MAX_BYTES: usize;

    /// Number of sessions and ended sessions.
    fn entries(&self) -> usize;

    /// Removes records that later ones replace.
    fn combine(_records: &mut Vec<Self::Record>) {}

    /// The content of a file with this state.
    fn render(self) -> Vec<u8>;

    /// Parses the content of a file.
    fn parse(bytes: &[u8]) -> Result<Loaded<Self>, Unreadable>;

    /// Appends a record to the content of a file.
    fn write(record: &Self::Record, file: &mut Vec<u8>);
}

/// The records that are to be written.
#[derive(Debug)]
pub(crate) struct JournalQueue<S: State> {
    queued: Mutex<Queued<S>>,
    /// Wakes the writer.
    pub(super) came: Condvar,
    /// The number of the last record that was written, or failed to be.
    pub(super) settled: watch::Sender<u64>,
    limits: Limits,
}

#[derive(Debug)]
pub(super) struct Queued<S: State> {
    pub(super) records: Vec<S::Record>,
    /// The number of the last record so far.
    number: u64,
    /// The number of the last record that the writer took.
    taken: u64,
    /// The number of the last record for which somebody waits.
    pub(super) wanted: u64,
    /// Number of sessions and ended sessions of the state.
    entries: usize,
    /// Whether the whole state is written next, so that records need not be kept until then.
    is_whole: bool,
    end: Option<End>,
}

/// How the thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// After it has written what is queued.
    Finish,
    /// Without a further write.
    Abandon,
}

/// What the writer has to write.
pub(super) struct Batch<R> {
    pub(super) records: Vec<R>,
    pub(super) number: u64,
    pub(super) entries: usize,
    pub(super) is_whole: bool,
    pub(super) is_last: bool,
}

/// How long records wait, and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long a record waits for others, unless somebody waits for the disk.
    pub(super) together: Duration,
    /// How long to wait after a failed write.
    pub(super) again: Duration,
    /// If the disk hangs, so many records are kept. Afterwards the whole state is written.
    pub(super) queued: usize,
}

/// How long to wait for the disk: accepting a session is more important than persisting it.
const DISK_WAIT: Duration = Duration::from_secs(1);

impl<S: State> JournalQueue<S> {
    pub(crate) fn new() -> Self {
        Self::with(Limits { together: PAUSE, again: AGAIN, queued: 65_536 })
    }

    pub(super) fn with(limits: Limits) -> Self {
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
    pub(crate) fn push(&self, records: Vec<S::Record>, entries: usize) {
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
    pub(crate) async fn settle(&self) {
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
    pub(crate) fn restart(&self) -> u64 {
        let mut queued = self.queued();
        queued.records = Vec::new();
        queued.is_whole = false;
        queued.number
    }

    /// Replaces the file by the whole state.
    pub(crate) fn write_whole(&self) {
        let mut queued = self.queued();
        queued.is_whole = true;
        queued.records = Vec::new();
        self.came.notify_one();
    }

    pub(super) fn end(&self, end: End) {
        self.queued().end.get_or_insert(end);
        self.came.notify_one();
    }

    /// Waits for records, and for others that are written together with them, unless somebody waits
    /// for the disk. Returns `None` if the thread was abandoned.
    pub(super) fn next(&self, failed: bool) -> Option<Batch<S::Record>> {
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

    pub(super) fn queued(&self) -> MutexGuard<'_, Queued<S>> {
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

impl JournalFile {
    /// Reads the state from before the restart.
    pub(crate) fn restore<S: State>(&self) -> S {
        let loaded = self.load(S::MAX_BYTES, S::parse);
        let sessions = loaded.journal.entries();
        let path = self.path("").display().to_string();
        if loaded.is_damaged() {
            warn!(
                file = path,
                sessions,
                damaged_bytes = loaded.damaged + loaded.torn,
                "The file of the sessions is damaged; the readable sessions are restored, and the \
                 damaged file is kept"
            );
            self.keep_damaged();
        } else if loaded.torn > 0 {
            let bytes = loaded.torn;
            info!(file = path, sessions, bytes, "The last write before the restart was incomplete");
        }
        loaded.journal
    }
}
