//! The thread that writes the journal.

use std::{sync::Arc, thread};

use anyhow::Context as _;
use tokio::sync::oneshot;
use tracing::dispatcher;

use super::{
    Append, log_change,
    queue::{Batch, End, JournalQueue, State},
};

/// The running thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper<J: State> {
    queue: Arc<JournalQueue<J>>,
    ended: oneshot::Receiver<()>,
}

struct Writer<J: State, F, S> {
    queue: Arc<JournalQueue<J>>,
    file: F,
    /// Returns the whole state. It calls [`JournalQueue::restart`] at the same instant, and returns
    /// its result.
    state: S,
    size: Size,
    failed: bool,
}

/// The size of the file, to decide when it is replaced.
#[derive(Debug, Clone, Copy)]
struct Size {
    bytes: usize,
    /// Sessions and ended sessions of the state.
    entries: usize,
    /// The average size of an entry when the file was last replaced.
    of_entry: usize,
}

/// A smaller file is not worth replacing.
const MIN_REPLACED: usize = 1024 * 1024;

impl<J: State> Keeper<J> {
    /// Starts the thread. It writes the whole state at once, so that an unwritable directory is
    /// noticed early.
    ///
    /// # Errors
    ///
    /// If the system has no more threads.
    pub(crate) fn start(
        queue: Arc<JournalQueue<J>>,
        file: impl Append,
        state: impl Fn() -> (J, u64) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (end, ended) = oneshot::channel();
        let size = Size::of(0, 0);
        let writer = Writer { queue: Arc::clone(&queue), file, state, size, failed: false };
        let logs = dispatcher::get_default(Clone::clone);
        let started = thread::Builder::new().name("journal".to_owned()).spawn(move || {
            dispatcher::with_default(&logs, || writer.run());
            let _ = end.send(());
        });
        started.context("starting the thread that persists the sessions")?;
        Ok(Self { queue, ended })
    }

    /// Writes what is queued, and ends the thread.
    ///
    /// # Errors
    ///
    /// If the thread has panicked.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        self.queue.end(End::Finish);
        (&mut self.ended).await.context("persisting the sessions")
    }
}

impl<J: State> Drop for Keeper<J> {
    fn drop(&mut self) {
        self.queue.end(End::Abandon);
    }
}

impl<J: State, F: Append, S: Fn() -> (J, u64)> Writer<J, F, S> {
    fn run(mut self) {
        let written = self.replace();
        self.note(written);
        while let Some(batch) = self.queue.next(self.failed) {
            let is_last = batch.is_last;
            let written = self.write(batch);
            self.note(written);
            if is_last {
                return;
            }
        }
    }

    /// Logs a failure, and wakes those who wait.
    fn note(&mut self, (written, number): (anyhow::Result<()>, u64)) {
        log_change(&written, &mut self.failed);
        if self.failed || self.size.is_large() {
            self.queue.write_whole();
        }
        self.queue.settled.send_replace(number);
    }

    fn write(&mut self, batch: Batch<J::Record>) -> (anyhow::Result<()>, u64) {
        let Batch { mut records, number, entries, is_whole, .. } = batch;
        if is_whole {
            return self.replace();
        }
        J::combine(&mut records);
        let mut bytes = Vec::new();
        records.iter().for_each(|record| J::write(record, &mut bytes));
        if bytes.is_empty() {
            return (Ok(()), number);
        }
        self.size.bytes += bytes.len();
        self.size.entries = entries;
        (self.file.append(&bytes), number)
    }

    fn replace(&mut self) -> (anyhow::Result<()>, u64) {
        let (journal, number) = (self.state)();
        let entries = journal.entries();
        let bytes = journal.render();
        self.size = Size::of(bytes.len(), entries);
        (self.file.replace(&bytes), number)
    }
}

impl Size {
    fn of(bytes: usize, entries: usize) -> Self {
        Self { bytes, entries, of_entry: bytes / entries.max(1) }
    }

    /// Whether the file is more than twice as large as its content.
    fn is_large(self) -> bool {
        self.bytes > MIN_REPLACED.max(2 * self.entries * self.of_entry)
    }
}
