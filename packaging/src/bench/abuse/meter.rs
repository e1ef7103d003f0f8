//! The resources that services use during an attack: memory, and bytes written to disk and logs.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{task::JoinHandle, time::interval};

use super::{
    super::process::{rss_kib, written},
    site::Service,
};

/// How often memory and log files are measured.
const EVERY: Duration = Duration::from_millis(200);

/// Resources of one service.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Usage {
    pub(super) rss_before_kib: u64,
    pub(super) rss_peak_kib: u64,
    /// Two seconds after the attack.
    pub(super) rss_after_kib: u64,
    /// After a pause, for attacks on memory.
    pub(super) rss_later_kib: Option<u64>,
    /// Bytes written to storage according to the kernel, including log files.
    pub(super) disk_bytes: u64,
    /// Growth of all log files.
    pub(super) log_bytes: u64,
}

/// Measures a service until it is dropped.
pub(super) struct Meter {
    pid: u32,
    written_before: u64,
    rss_before_kib: u64,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    rss_peak_kib: u64,
    /// Largest size of each file, since files may be removed meanwhile.
    logs: HashMap<PathBuf, u64>,
    logs_before: u64,
}

impl Meter {
    pub(super) fn start(service: &Service) -> Self {
        let (pid, logs) = (service.pid(), service.logs.clone());
        let seen = Arc::new(Mutex::new(Seen::default()));
        look(&seen, pid, &logs);
        let watched = Arc::clone(&seen);
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.logs_before = seen.logs.values().sum();
        }
        let task = tokio::spawn(async move {
            let mut ticks = interval(EVERY);
            loop {
                ticks.tick().await;
                look(&watched, pid, &logs);
            }
        });
        let (written_before, rss_before_kib) = (written(pid), rss_kib(pid));
        Self { pid, written_before, rss_before_kib, seen, task }
    }

    /// The resources used so far.
    pub(super) fn usage(&self) -> Usage {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let rss = rss_kib(self.pid);
        Usage {
            rss_before_kib: self.rss_before_kib,
            rss_peak_kib: seen.rss_peak_kib.max(rss),
            rss_after_kib: rss,
            rss_later_kib: None,
            disk_bytes: written(self.pid).saturating_sub(self.written_before),
            log_bytes: seen.logs.values().sum::<u64>().saturating_sub(seen.logs_before),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn look(seen: &Mutex<Seen>, pid: u32, logs: &Path) {
    let rss = rss_kib(pid);
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.rss_peak_kib = seen.rss_peak_kib.max(rss);
    for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
        let size = entry.metadata().map_or(0, |data| data.len());
        let largest = seen.logs.entry(entry.path()).or_default();
        *largest = size.max(*largest);
    }
}
