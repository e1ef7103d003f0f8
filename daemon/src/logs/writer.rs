//! The thread that writes log lines. Sessions never wait for the disk: lines that do not fit into
//! the queue are dropped and counted.

use std::{
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::{line, space::Space};
use crate::clock;

/// Where the thread writes lines.
pub(super) trait Lines: Send + 'static {
    /// Writes lines with their line breaks, and returns how many of them were lost.
    fn write(&mut self, lines: &[u8]) -> u64;

    /// Number of bytes that are free; `None` if it is unknown.
    fn free(&self) -> Option<u64>;
}

/// The beginning of the queue, to which the log's subscriber writes. When it is dropped, the thread
/// writes what is queued and ends.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// Waits for lines to be written.
#[derive(Debug, Clone)]
pub struct Flush(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Wakes the thread.
    came: Condvar,
    /// Wakes those who wait until lines are written.
    written: Condvar,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Number of lines that were dropped since the last report.
    dropped: u64,
    /// Number of bytes that were queued, and that were written or lost.
    queued: u64,
    settled: u64,
    /// Whether the thread waits for the first line.
    is_idle: bool,
    /// Whether lines are written without waiting for others.
    is_hurried: bool,
    is_ended: bool,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Maximum number of queued bytes.
    bytes: usize,
    /// How long the first line waits for others.
    together: Duration,
}

/// The lines of about 100,000 events while the disk hangs. They are written together with those of
/// the following 10 ms.
const LIMITS: Limits = Limits { bytes: 8 * 1024 * 1024, together: Duration::from_millis(10) };

/// How often the free space is checked.
const LOOK: Duration = Duration::from_secs(5);

/// Bytes that are written at once without waiting for more.
const BATCH: usize = 64 * 1024;

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system has no more threads.
    pub(super) fn start(lines: impl Lines, level: super::Level) -> anyhow::Result<Self> {
        Self::with(LIMITS, lines, Space::new(level))
    }

    fn with(limits: Limits, mut lines: impl Lines, mut space: Space) -> anyhow::Result<Self> {
        let (waiting, came, written) = (Mutex::default(), Condvar::new(), Condvar::new());
        let queue = Arc::new(Queue { waiting, came, written, limits });
        let taking = Arc::clone(&queue);
        let thread = thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut looked: Option<Instant> = None;
            while let Some((bytes, dropped)) = taking.next() {
                if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                    looked = Some(Instant::now());
                    let message = lines.free().and_then(|free| space.look(free));
                    if let Some((level, text)) = message {
                        lines.write(line::of_log(clock::now(), level, &text).as_bytes());
                    }
                }
                let mut lost = lines.write(&bytes);
                if dropped > 0 && lost == 0 {
                    lost += lines.write(report(dropped).as_bytes());
                }
                let unreported = if lost == 0 { 0 } else { dropped + lost };
                taking.settle(bytes.len() as u64, unreported);
            }
        });
        let thread = Some(thread.context("starting the thread that writes the log")?);
        Ok(Self { queue, thread })
    }

    pub(super) fn flush(&self) -> Flush {
        Flush(Arc::clone(&self.queue))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.waiting().is_ended = true;
        self.queue.came.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported.
            let _ = thread.join();
        }
    }
}

impl Flush {
    /// Waits until the lines so far are written, for this time at most.
    pub fn wait(&self, time: Duration) {
        let Queue { came, written, .. } = &*self.0;
        let mut waiting = self.0.waiting();
        waiting.is_hurried = true;
        came.notify_one();
        let until = waiting.queued;
        let deadline = Instant::now() + time;
        while waiting.settled < until {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            waiting = written.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Queue {
    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.bytes.len() + line.len() > self.limits.bytes {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes.extend_from_slice(line);
        waiting.queued += line.len() as u64;
        if waiting.is_idle || waiting.bytes.len() - line.len() < BATCH && waiting.is_full() {
            self.came.notify_one();
        }
    }

    /// The next lines, or none after a while, and the number of lines that were dropped before or
    /// among them; `None` at the end.
    fn next(&self) -> Option<(Vec<u8>, u64)> {
        let mut waiting = self.waiting();
        waiting.is_idle = true;
        let (mut waiting, waited) = self
            .came
            .wait_timeout_while(waiting, LOOK, |waiting| {
                waiting.bytes.is_empty() && !waiting.is_ended
            })
            .unwrap_or_else(PoisonError::into_inner);
        waiting.is_idle = false;
        if waiting.bytes.is_empty() {
            return waited.timed_out().then(Default::default);
        }
        let mut waiting = self
            .came
            .wait_timeout_while(waiting, self.limits.together, |waiting| {
                !waiting.is_full() && !waiting.is_hurried && !waiting.is_ended
            })
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        waiting.is_hurried = false;
        let capacity = waiting.bytes.len().min(BATCH);
        let bytes = mem::replace(&mut waiting.bytes, Vec::with_capacity(capacity));
        Some((bytes, mem::take(&mut waiting.dropped)))
    }

    /// So many bytes were written, and so many lines are to be reported as dropped.
    fn settle(&self, bytes: u64, dropped: u64) {
        let mut waiting = self.waiting();
        waiting.settled += bytes;
        waiting.dropped += dropped;
        self.written.notify_all();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH
    }
}

/// The line that reports dropped lines.
fn report(dropped: u64) -> String {
    let text = format!("{dropped} log lines were dropped: the disk was full or too slow");
    line::of_log(clock::now(), Level::WARN, &text)
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.queue)
    }
}

/// Queues one line.
pub(super) struct Line<'a>(&'a Queue);

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, sync::mpsc};

    use cmsg_config::values::LogLevel;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Reports what is written, and waits for the number of lost lines.
    struct Scripted {
        written: mpsc::Sender<String>,
        lost: mpsc::Receiver<u64>,
        free: Option<u64>,
    }

    impl Lines for Scripted {
        fn write(&mut self, lines: &[u8]) -> u64 {
            self.written.send(String::from_utf8(lines.to_vec()).unwrap()).unwrap();
            self.lost.recv().unwrap_or(0)
        }

        fn free(&self) -> Option<u64> {
            self.free
        }
    }

    fn started(limits: Limits) -> (Writer, mpsc::Receiver<String>, mpsc::Sender<u64>) {
        let ((written, writes), (losing, lost)) = (mpsc::channel(), mpsc::channel());
        let space = Space::new(LogLevel::Info.into());
        let lines = Scripted { written, lost, free: None };
        (Writer::with(limits, lines, space).unwrap(), writes, losing)
    }

    fn log(writer: &Writer, line: &str) {
        writer.make_writer().write_all(line.as_bytes()).unwrap();
    }

    #[test]
    fn lines_are_written_together_and_at_the_latest_when_the_log_ends() {
        let together = Duration::from_secs(3600);
        let (writer, writes, losing) = started(Limits { together, ..LIMITS });
        ["a\n", "b\n"].iter().for_each(|line| log(&writer, line));
        losing.send(0).unwrap();

        writer.flush().wait(PATIENCE);
        assert_eq!(writes.try_recv().as_deref(), Ok("a\nb\n"));
        writer.flush().wait(Duration::ZERO);
        log(&writer, "c\n");
        losing.send(0).unwrap();
        drop(writer);

        assert_eq!(writes.try_recv().as_deref(), Ok("c\n"));
        assert!(writes.try_recv().is_err());
    }

    #[test]
    fn a_large_batch_does_not_wait() {
        let together = Duration::from_secs(3600);
        let (writer, writes, losing) = started(Limits { together, ..LIMITS });
        let line = format!("{}\n", "x".repeat(1023));

        (0..64).for_each(|_| log(&writer, &line));

        assert_eq!(writes.recv_timeout(PATIENCE).unwrap().len(), BATCH);
        losing.send(0).unwrap();
    }

    #[test]
    fn lines_that_do_not_fit_are_dropped_and_reported() {
        let limits = Limits { bytes: 6, together: Duration::ZERO };
        let (writer, writes, losing) = started(limits);
        log(&writer, "1\n");
        assert_eq!(writes.recv_timeout(PATIENCE).as_deref(), Ok("1\n"));

        // The disk hangs.
        (2..10).for_each(|number| log(&writer, &format!("{number}\n")));
        writer.flush().wait(Duration::ZERO);
        losing.send(0).unwrap();

        assert_eq!(writes.recv_timeout(PATIENCE).as_deref(), Ok("2\n3\n4\n"));
        losing.send(0).unwrap();
        let report = writes.recv_timeout(PATIENCE).unwrap();
        assert!(
            report.contains(" WARN ") && report.contains(": 5 log lines were dropped"),
            "{report}"
        );
        losing.send(0).unwrap();
    }

    #[test]
    fn lost_lines_are_reported_when_lines_can_be_written_again() {
        let (writer, writes, losing) = started(Limits { together: Duration::ZERO, ..LIMITS });
        for (line, lost) in [("1\n", 1), ("2\n", 1), ("3\n", 0)] {
            log(&writer, line);
            assert_eq!(writes.recv_timeout(PATIENCE).as_deref(), Ok(line));
            losing.send(lost).unwrap();
        }

        let report = writes.recv_timeout(PATIENCE).unwrap();
        assert!(report.contains(": 2 log lines were dropped"), "{report}");
        losing.send(0).unwrap();
    }

    #[test]
    fn a_nearly_full_disk_is_reported_in_the_log() {
        let ((written, writes), (losing, lost)) = (mpsc::channel(), mpsc::channel());
        let level = super::super::Level::from(LogLevel::Info);
        let lines = Scripted { written, lost, free: Some(5 << 20) };
        let writer = Writer::with(LIMITS, lines, Space::new(level.clone())).unwrap();
        (0..2).for_each(|_| losing.send(0).unwrap());

        log(&writer, "1\n");
        drop(writer);

        let written: String = writes.try_iter().collect();
        assert!(written.contains(" WARN ") && written.contains("Only 5 MiB are free"), "{written}");
        assert!(written.ends_with("\n1\n"));
        assert_eq!(level.get(), LogLevel::Warn);
    }
}
