//! A program that prints events as lines of JSON, and waits with a timeout.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Longer than any step on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program; it is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    events: Receiver<Value>,
    said: Vec<Value>,
    /// Some programs exit when their standard input is closed.
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts a program.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let (sender, events) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, events, said: Vec::new(), _stdin: stdin }
    }

    /// Waits for a matching event.
    ///
    /// # Panics
    ///
    /// If it says no such thing in time.
    pub fn wait_for(&mut self, fits: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said.iter().any(&fits) {
            if let Err(error) = self.hear(deadline) {
                panic!("{error}, after {:#?}", self.said);
            }
        }
    }

    /// Waits for its exit, and returns all events.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    #[must_use]
    pub fn end(mut self) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.hear(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("{error}, after {:#?}", self.said),
            }
        }
        self.child.wait().expect("a child can be waited for");
        std::mem::take(&mut self.said)
    }

    /// Sends SIGTERM, waits for its exit, and returns all events.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    #[must_use]
    pub fn stop(self) -> Vec<Value> {
        let pid = i32::try_from(self.child.id()).expect("a process number is positive");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("a child can be told to end");
        self.end()
    }

    fn hear(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.said.push(self.events.recv_timeout(left)?);
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
