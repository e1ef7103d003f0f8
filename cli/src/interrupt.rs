//! The operator's wish to stop: SIGINT and SIGTERM become a value, so that what was begun is undone.

use std::{
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

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
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
            (signals.0.context("taking SIGINT")?, signals.1.context("taking SIGTERM")?)
        };
        let (wish, wishes) = channel();
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
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
