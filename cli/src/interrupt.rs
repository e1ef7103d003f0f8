//! The operator's wish to stop: SIGINT, SIGTERM and SIGHUP (the terminal or the SSH connection is
//! closed) become a value, so that what was begun is undone.

use std::{
    fs,
    future::poll_fn,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, channel},
    },
    task::Poll,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Whether a signal to stop has come since the process watches for them.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the operator wants to stop, for what waits without the value below. Always false in a
/// process that does not watch for signals, which end it at once.
pub(crate) fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Relaxed)
}

/// Whether the operator wants to stop.
#[derive(Debug)]
pub(crate) struct Interrupt {
    wishes: Receiver<()>,
    is_wished: bool,
}

impl Interrupt {
    /// Takes the signals from now on, for the rest of the process.
    ///
    /// # Errors
    ///
    /// Where the system refuses.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("preparing for signals")?;
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let wanted = kinds.into_iter().filter(|kind| !is_ignored(*kind));
        let mut signals: Vec<_> = {
            let _entered = runtime.enter();
            wanted.map(signal).collect::<Result<_, _>>().context("listening for signals")?
        };
        let (wish, wishes) = channel();
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    poll_fn(|context| {
                        let mut received = signals.iter_mut().map(|s| s.poll_recv(context));
                        if received.any(|poll| poll.is_ready()) {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    })
                    .await;
                    IS_INTERRUPTED.store(true, Relaxed);
                    if wish.send(()).is_err() {
                        return;
                    }
                }
            });
        });
        Ok(Self { wishes, is_wished: false })
    }

    /// Lets time pass, less if the wish comes up, and tells whether it has, then or before.
    pub(crate) fn wait(&mut self, time: Duration) -> bool {
        self.is_wished |= self.wishes.recv_timeout(time).is_ok();
        self.is_wished
    }
}

/// Whether the process was started with this signal ignored, as by `nohup`: then it stays ignored.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
