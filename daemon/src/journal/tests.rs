//! What the thread writes, and whom it wakes.

use std::{
    fs,
    sync::{Arc, mpsc},
};

use std::sync::Mutex;

use cmsg_proto::{
    TagDigest, Time,
    gateway::{Admission, Announcement, Journal, Rules, Timeouts},
};

use super::{
    queue::{JournalQueue, Limits},
    *,
};

const NOW: Time = Time::from_millis(1_800_000_000_000);

/// A gateway without sockets: the admission and the queue of its records.
struct State {
    admission: Mutex<Admission>,
    queue: Arc<JournalQueue<Journal>>,
}

impl State {
    fn new(max_connections: u32, limits: Limits) -> Arc<Self> {
        let wait = Duration::from_secs(240);
        let timeouts = Timeouts { announced: wait, resume: wait, udp_idle: wait };
        let admission = Mutex::new(Admission::new(Rules { max_connections, timeouts }));
        Arc::new(Self { admission, queue: Arc::new(JournalQueue::with(limits)) })
    }

    /// Announces a session, and returns its id.
    fn announce(&self, number: usize, now: Time) -> String {
        let id = format!("0b1c2d3e-0000-4000-8000-{number:012x}");
        let announced = Announcement {
            id: id.parse().unwrap(),
            key: None,
            agent: "10.0.0.1:4172".parse().unwrap(),
            hostname: None,
            tag: TagDigest::of(id.as_bytes()),
            issued: now,
        };
        let mut admission = self.admission.lock().unwrap();
        admission.announce(announced, now).unwrap();
        self.queue.push(admission.take_records(), admission.recorded());
        id
    }

    fn tick(&self, now: Time) {
        let mut admission = self.admission.lock().unwrap();
        admission.tick(now, |_| 0);
        self.queue.push(admission.take_records(), admission.recorded());
    }

    fn keep(self: &Arc<Self>, file: impl Append) -> Keeper<Journal> {
        let state = Arc::clone(self);
        let whole = move || {
            let admission = state.admission.lock().unwrap();
            (admission.journal(), state.queue.restart())
        };
        Keeper::start(Arc::clone(&self.queue), file, whole).unwrap()
    }
}

/// No change is written, unless somebody waits for it.
const WHEN_WANTED: Limits =
    Limits { together: Duration::from_secs(3600), again: Duration::from_secs(3600), queued: 1000 };

#[derive(Debug, PartialEq, Eq)]
enum Write {
    Replace(String),
    Append(String),
}

/// A file that reports each write, and waits for the result of each.
struct Scripted {
    writes: mpsc::Sender<Write>,
    results: mpsc::Receiver<bool>,
}

impl Scripted {
    fn new() -> (Self, mpsc::Receiver<Write>, mpsc::Sender<bool>) {
        let ((writes, written), (finish, results)) = (mpsc::channel(), mpsc::channel());
        (Self { writes, results }, written, finish)
    }

    fn write(&self, write: Write) -> anyhow::Result<()> {
        self.writes.send(write)?;
        anyhow::ensure!(self.results.recv()?, "the disk is broken");
        Ok(())
    }
}

impl Append for Scripted {
    fn replace(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.write(Write::Replace(String::from_utf8(bytes.to_vec())?))
    }

    fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.write(Write::Append(String::from_utf8(bytes.to_vec())?))
    }
}

async fn next(written: &mut mpsc::Receiver<Write>) -> Write {
    tokio::task::block_in_place(|| written.recv().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_queued_is_written_at_once_and_those_who_wait_are_woken() {
    let state = State::new(10, WHEN_WANTED);
    let (file, mut written, finish) = Scripted::new();
    let keeper = state.keep(file);
    assert_eq!(next(&mut written).await, Write::Replace("pcoip-sg-sessions 2\n".to_owned()));

    // While the first write is in progress, two more records come.
    let ids = [1, 2].map(|number| state.announce(number, NOW));
    let queue = Arc::clone(&state.queue);
    let waiting = tokio::spawn(async move { queue.settle().await });
    finish.send(true).unwrap();

    let Write::Append(text) = next(&mut written).await else { panic!("the file is replaced") };
    assert_eq!(text.lines().count(), 2);
    assert!(ids.iter().all(|id| text.contains(id)), "{text}");
    assert!(*state.queue.settled.borrow() < 2 && !waiting.is_finished());
    finish.send(true).unwrap();
    waiting.await.unwrap();
    assert_eq!(*state.queue.settled.borrow(), 2);
    keeper.finish().await.unwrap();
    assert!(written.recv().is_err(), "nothing is left to write");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_write_the_whole_state_is_written() {
    let state = State::new(10, Limits { again: Duration::ZERO, ..WHEN_WANTED });
    let (file, mut written, finish) = Scripted::new();
    let keeper = state.keep(file);
    next(&mut written).await;
    finish.send(true).unwrap();
    let first = state.announce(1, NOW);
    let queue = Arc::clone(&state.queue);
    let waiting = tokio::spawn(async move { queue.settle().await });
    let Write::Append(_) = next(&mut written).await else { panic!("the file is replaced") };
    let second = state.announce(2, NOW);

    finish.send(false).unwrap();

    waiting.await.unwrap();
    for is_written in [false, true] {
        let Write::Replace(text) = next(&mut written).await else { panic!("it is tried again") };
        assert!(text.contains(&first) && text.contains(&second), "{text}");
        finish.send(is_written).unwrap();
    }
    let third = state.announce(3, NOW);
    let finished = tokio::spawn(keeper.finish());
    let Write::Append(text) = next(&mut written).await else { panic!("the file is replaced") };
    assert!(text.contains(&third) && text.lines().count() == 1, "{text}");
    finish.send(true).unwrap();
    finished.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn if_the_disk_hangs_no_more_than_a_limit_is_queued() {
    let state = State::new(2000, WHEN_WANTED);
    let (file, mut written, finish) = Scripted::new();
    let keeper = state.keep(file);
    next(&mut written).await;
    finish.send(true).unwrap();
    let hangs = state.announce(0, NOW);
    state.queue.queued().wanted = 1;
    state.queue.came.notify_one();
    let Write::Append(text) = next(&mut written).await else { panic!("the file is replaced") };
    assert!(text.contains(&hangs));

    let ids: Vec<_> =
        (1..=WHEN_WANTED.queued + 1).map(|number| state.announce(number, NOW)).collect();

    assert_eq!(state.queue.queued().records.len(), 0);
    finish.send(true).unwrap();
    let finished = tokio::spawn(keeper.finish());
    let Write::Replace(text) = next(&mut written).await else { panic!("records are missing") };
    assert_eq!(text.lines().count(), ids.len() + 2);
    finish.send(true).unwrap();
    finished.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_abandoned_thread_writes_nothing() {
    let state = State::new(10, WHEN_WANTED);
    let (file, written, finish) = Scripted::new();
    let keeper = state.keep(file);
    written.recv().unwrap();
    state.announce(1, NOW);

    drop(keeper);
    finish.send(true).unwrap();

    assert!(written.recv().is_err());
}

/// Sessions come and go while the file is replaced again and again.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_stays_small_and_nothing_is_lost() {
    const SESSIONS: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let file = JournalFile::new(folder.path(), "journal");
    let size = || fs::metadata(folder.path().join("journal")).unwrap().len();
    let limits = Limits { together: Duration::from_millis(1), ..WHEN_WANTED };
    let state = State::new(SESSIONS.try_into().unwrap(), limits);
    let keeper = state.keep(AppendedFile::new(file.clone()));
    let (mut now, mut shrank, mut last) = (NOW, 0, 0);

    for round in 0..8 {
        for number in 0..SESSIONS {
            state.announce(round * SESSIONS + number, now);
        }
        state.queue.settle().await;
        now = now + Duration::from_secs(240);
        state.tick(now);
        now = now + Duration::from_secs(60);
        let size = size();
        shrank += usize::from(size < last);
        last = size;
    }
    keeper.finish().await.unwrap();

    assert!(shrank > 0, "the file was never replaced");
    assert!(size() < 2 * 1024 * 1024, "{}", size());
    let admission = state.admission.lock().unwrap();
    assert_eq!(file.restore::<Journal>(), admission.journal());
}
