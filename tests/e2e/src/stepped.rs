//! Controls an installer step by step. Its standard error is a pipe with room for a single write,
//! and it reports every step before performing it.

use std::{
    fs::{self, File},
    io::Read as _,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::{Pid, pipe2},
};
use serde_json::Value;

use crate::{installer, machine::Machine};

/// Longer than any step takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// The smallest pipe. Each write to a pipe in packet mode takes a page.
const ONE_PAGE: i32 = 4096;

/// How the last line of a step begins before it is performed, where every step is listed.
const LAST_WORDS: &str = "    to undo: ";

/// Where the installer of a machine keeps its journal.
pub const JOURNAL: &str = "/var/lib/.pcoip-cmsg-setup.journal";

/// A running installer; it is killed when it is dropped.
#[derive(Debug)]
pub struct Stepped {
    child: Child,
    errors: File,
    journal: PathBuf,
    /// What it has said so far.
    said: String,
    /// Number of reported steps.
    told: usize,
}

impl Stepped {
    /// Starts an installer with this path of its journal.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start(mut command: Command, journal: PathBuf) -> Self {
        let (errors, write) = pipe2(OFlag::O_DIRECT | OFlag::O_CLOEXEC).expect("a pipe is made");
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(ONE_PAGE)).expect("its size can be set");
        // It then tells of every step, and not only of every stage.
        command.arg("--verbose");
        let child = command.stdout(Stdio::piped()).stderr(write).spawn();
        Self {
            child: child.expect("the installer starts"),
            errors: errors.into(),
            journal,
            said: String::new(),
            told: 0,
        }
    }

    /// Starts one on a machine.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn on(machine: &Machine, program: &Path, words: &[&str]) -> Self {
        Self::start(installer::command(machine, program, words), machine.path(JOURNAL))
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it perform this many steps. Returns whether it is about to perform another one.
    ///
    /// # Panics
    ///
    /// If it does not get that far in time.
    pub fn after(&mut self, steps: usize) -> bool {
        while self.told < steps {
            if !self.hear() {
                return false;
            }
        }
        self.says_more()
    }

    /// Lets it perform this many steps, and kills it during the next one. The step after the last
    /// one is the cleanup.
    ///
    /// # Panics
    ///
    /// If it does not get that far in time.
    pub fn kill_in(mut self, step: usize, of: usize) {
        let is_settling = step > of;
        self.after(step - 1);
        while self.told < step.min(of) && self.hear() {}
        let begun = Instant::now();
        loop {
            // Between two steps there is no journal, or it is removed while it is read.
            let text = fs::read_to_string(&self.journal).unwrap_or_default();
            let journal = serde_json::from_str::<Value>(&text).unwrap_or_default();
            let is_begun = journal["begun"].as_u64() >= u64::try_from(step.min(of)).ok();
            // The cleanup may be finished before it is noticed.
            let is_settled = journal["is_settled"] == true;
            let is_past = is_settled || self.speaks(PollTimeout::ZERO).is_some();
            if if is_settling { is_past } else { is_begun } || self.has_ended() {
                return self.kill();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not come to step {step}:\n{}", self.said);
        }
    }

    /// Kills it.
    ///
    /// # Panics
    ///
    /// If it has ended and was waited for.
    pub fn kill(mut self) {
        self.signal_all(Signal::SIGKILL);
        let _: ExitStatus = self.child.wait().expect("a child can be waited for");
    }

    /// Sends a signal, and returns when it was received.
    ///
    /// # Panics
    ///
    /// If it does not take it.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process number is positive");
        kill(Pid::from_raw(pid), signal).expect("a child can be told to end");
        let begun = Instant::now();
        let status = format!("/proc/{pid}/status");
        loop {
            let told = fs::read_to_string(&status).expect("the installer runs");
            let pending = told.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
            let is_taken =
                pending.is_some_and(|mask| mask.trim().bytes().all(|digit| digit == b'0'));
            if is_taken && is_asleep(pid) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not take {signal}");
        }
    }

    /// Lets it continue to its end.
    ///
    /// # Panics
    ///
    /// If it says nothing for too long.
    #[must_use]
    pub fn end(mut self) -> (Output, String) {
        while self.hear() {}
        let mut stdout = Vec::new();
        let mut output = self.child.stdout.take().expect("it is piped");
        output.read_to_end(&mut stdout).expect("it can be read");
        let status = self.child.wait().expect("a child can be waited for");
        let stderr = self.said.clone().into_bytes();
        (Output { status, stdout, stderr }, std::mem::take(&mut self.said))
    }

    /// Sends a signal to the installer itself. On a simulated machine, the started process is only
    /// a wrapper, and exits with it.
    fn signal_all(&self, signal: Signal) {
        let own = self.child.id();
        let inside = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let is_way =
            fs::read_to_string(format!("/proc/{own}/comm")).is_ok_and(|it| it == "nsenter\n");
        let inside = inside.ok().filter(|_| is_way).and_then(|it| it.trim().parse::<i32>().ok());
        let pid = inside.or_else(|| i32::try_from(own).ok()).expect("a process number is positive");
        // The process may have exited already.
        let _ = kill(Pid::from_raw(pid), signal);
    }

    /// Reads a line. Returns whether there was one.
    fn hear(&mut self) -> bool {
        let mut line = String::new();
        while !line.ends_with('\n') {
            let mut packet = [0; 4096];
            self.says_more();
            match self.errors.read(&mut packet).expect("a pipe can be read") {
                0 => return false,
                length => line.push_str(&String::from_utf8_lossy(&packet[..length])),
            }
        }
        self.told += usize::from(line.starts_with(LAST_WORDS));
        self.said.push_str(&line);
        true
    }

    /// Waits until it writes more, which blocks until it is read, or has exited.
    fn says_more(&self) -> bool {
        let patience = PollTimeout::try_from(PATIENCE).expect("it is a minute");
        let speaks = self.speaks(patience);
        speaks.unwrap_or_else(|| panic!("it says nothing for a minute, after\n{}", self.said))
    }

    /// Whether it writes or has exited; `None` on timeout.
    fn speaks(&self, patience: PollTimeout) -> Option<bool> {
        let mut polled = [PollFd::new(self.errors.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut polled, patience).expect("a pipe can be polled");
        let events = polled[0].revents().unwrap_or(PollFlags::empty());
        (ready > 0).then(|| events.contains(PollFlags::POLLIN))
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

/// Starts an installer on a machine, and kills it during the step with this name.
///
/// # Panics
///
/// If its plan has no such step, or it does not come so far in time.
pub fn kill_in(machine: &Machine, program: &Path, words: &[&str], step: &str) {
    let planned = installer::run(machine, program, &[words, &["--dry-run"]].concat());
    let steps = steps(&installer::document(&planned));
    Stepped::on(machine, program, words).kill_in(number(&steps, step), steps.len());
}

/// The names of a plan's steps.
///
/// # Panics
///
/// If the document has no plan.
#[must_use]
pub fn steps(planned: &Value) -> Vec<String> {
    let steps = planned["plan"].as_array().unwrap_or_else(|| panic!("no plan: {planned:#}"));
    steps.iter().map(|step| step["step"].as_str().expect("it has a name").to_owned()).collect()
}

/// The number of a step.
///
/// # Panics
///
/// If there is no such step.
#[must_use]
pub fn number(steps: &[String], name: &str) -> usize {
    let at = steps.iter().position(|step| step == name);
    at.unwrap_or_else(|| panic!("there is no step `{name}` in {steps:?}")) + 1
}

/// Whether all threads of a process wait, so that a signal has reached all of them.
fn is_asleep(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the installer runs");
    let mut states = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("stat")));
    states.all(|stat| stat.is_ok_and(|stat| stat.contains(") S ")))
}

impl Drop for Stepped {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal_all(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}
