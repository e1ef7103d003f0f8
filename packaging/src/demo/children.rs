//! The processes of a demonstration. Their events are lines of JSON, and a signal stops all of
//! them.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// The processes that a signal stops.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Whether a signal was received.
#[derive(Clone, Default)]
pub(super) struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// From now on, SIGINT and SIGTERM stop the children, so that code that waits for one can clean up.
pub(super) fn end_on_signal() -> anyhow::Result<Interrupted> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("preparing for signals")?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let interrupted = Interrupted::default();
    let flag = interrupted.clone();
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                flag.0.store(true, Ordering::SeqCst);
                for pid in &*RUNNING.lock().unwrap_or_else(PoisonError::into_inner) {
                    let _ = kill(*pid, Signal::SIGTERM);
                }
            }
        });
    });
    Ok(interrupted)
}

/// A simulator. Its events are written to a file, so that it can outlive this process.
pub(crate) struct Simulator {
    child: Child,
    events: PathBuf,
    is_left: bool,
}

impl Simulator {
    /// Starts a simulator and waits for its first event, which contains its address.
    pub(crate) fn start(
        mut command: Command,
        what: &str,
        events: PathBuf,
    ) -> anyhow::Result<(Self, Value)> {
        let file = File::create(&events).with_context(|| format!("creating a file for {what}"))?;
        // It exits when its standard input is closed, unless it is left running.
        let errors = events.with_extension("errors");
        let errors = File::create(errors).with_context(|| format!("creating a file for {what}"))?;
        command.stdin(Stdio::piped()).stdout(file).stderr(errors);
        let child = command.spawn().with_context(|| format!("starting {what}"))?;
        remember(&child);
        let mut simulator = Self { child, events, is_left: false };
        let ready = simulator.first_event().with_context(|| format!("waiting for {what}"))?;
        Ok((simulator, ready))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops the simulator and returns all its events.
    pub(super) fn stop(mut self) -> anyhow::Result<Vec<Value>> {
        self.end();
        let said = std::fs::read_to_string(&self.events).context("reading a simulator's events")?;
        Ok(said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Leaves the simulator running.
    pub(super) fn leave(mut self) {
        self.is_left = true;
    }

    fn first_event(&mut self) -> anyhow::Result<Value> {
        for _ in 0..START_POLLS {
            let said = std::fs::read_to_string(&self.events)?;
            if let Some((line, _)) = said.split_once('\n') {
                return serde_json::from_str(line).context("reading its first event");
            }
            if let Some(status) = self.child.try_wait()? {
                let errors = std::fs::read_to_string(self.events.with_extension("errors"))?;
                bail!("it exited with {status}: {}", errors.trim());
            }
            poll_again();
        }
        bail!("it does not say that it is ready")
    }

    fn end(&mut self) {
        let pid = pid_of(&self.child);
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.child.wait();
        forget(pid);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if !self.is_left {
            self.end();
        }
    }
}

/// Polls within twenty seconds, enough for a busy machine.
const START_POLLS: u32 = 1000;

#[expect(clippy::disallowed_methods, reason = "a file that another process writes tells nobody")]
fn poll_again() {
    thread::sleep(Duration::from_millis(20));
}

/// Runs a command, passes each event on, and returns the last one. An error stops the command.
pub(super) fn events(
    mut command: Command,
    what: &str,
    mut on_event: impl FnMut(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<Value> {
    let mut child = command.spawn().with_context(|| format!("starting {what}"))?;
    remember(&child);
    let stdout = child.stdout.take().context("standard output is a pipe")?;
    let mut last = None;
    let mut outcome = Ok(());
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let event = serde_json::from_str(&line).with_context(|| format!("reading {what}"))?;
        if let Err(error) = on_event(&event) {
            outcome = Err(error);
            let _ = kill(pid_of(&child), Signal::SIGTERM);
        }
        last = Some(event);
    }
    let status = child.wait().with_context(|| format!("waiting for {what}"))?;
    forget(pid_of(&child));
    outcome?;
    last.with_context(|| format!("{what} printed nothing and exited with {status}"))
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn remember(child: &Child) {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(pid_of(child));
}

fn forget(pid: Pid) {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| *known != pid);
}
