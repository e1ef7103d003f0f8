//! What other users can see of processes, sampled continuously.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use memchr::memmem;

const EVERY: Duration = Duration::from_millis(2);

/// A process at some time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) program: String,
    pub(crate) words: Vec<u8>,
    pub(crate) environment: Vec<u8>,
    /// How large a dump of its memory may be.
    pub(crate) core: String,
}

/// Watches all processes with a directory in their command line.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<Seen>>,
}

impl Watch {
    pub(crate) fn start(folder: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (is_over, folder) = (Arc::clone(&stop), folder.to_owned());
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !is_over.load(Ordering::Relaxed) {
                seen.extend(look(&folder));
                pause();
            }
            seen
        });
        Self { stop, thread }
    }

    /// All that was seen.
    pub(crate) fn end(self) -> BTreeSet<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("looking does not panic")
    }
}

/// The processes that name a folder at this moment.
pub(crate) fn look(folder: &Path) -> Vec<Seen> {
    let all = fs::read_dir("/proc").expect("processes are listed").flatten();
    all.filter_map(|entry| Seen::look(&entry.path(), folder)).collect()
}

impl Seen {
    fn look(process: &Path, folder: &Path) -> Option<Self> {
        let read = |name: &str| fs::read(process.join(name)).ok();
        let words = read("cmdline")?;
        memmem::find(&words, folder.as_os_str().as_bytes())?;
        let program = fs::read_link(process.join("exe")).unwrap_or_else(|_| PathBuf::new());
        let limits = String::from_utf8_lossy(&read("limits")?).into_owned();
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
        Some(Self {
            program: program.file_name()?.to_string_lossy().into_owned(),
            words,
            environment: read("environ")?,
            core: core.split_whitespace().next().unwrap_or_default().to_owned(),
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a process that starts tells nobody")]
fn pause() {
    std::thread::sleep(EVERY);
}
