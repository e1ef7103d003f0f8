//! A network namespace that represents a host. Its name contains the pid of the test, and it is
//! removed with its processes when it is dropped.

use std::{
    ffi::OsStr,
    io,
    process::{Command, Stdio, id},
    sync::atomic::{AtomicU32, Ordering},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one that has nothing but its loopback.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn make(what: &str) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("cmsg{}-{number}-{what}", id());
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip("link set dev lo up")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` lists it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Configures the network with the arguments of an `ip` command.
    ///
    /// # Errors
    ///
    /// What `ip` complains of.
    pub fn ip(&self, words: &str) -> io::Result<()> {
        let words: Vec<_> = ["-n", &self.name].into_iter().chain(words.split(' ')).collect();
        ip(&words).map(drop)
    }

    /// A command in the namespace, without an intermediate process.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// What runs in it.
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn processes(&self) -> io::Result<Vec<Pid>> {
        let numbers = ip(&["netns", "pids", &self.name])?;
        Ok(numbers.lines().filter_map(|pid| pid.trim().parse().ok()).map(Pid::from_raw).collect())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for process in self.processes().unwrap_or_default() {
            let _ = kill(process, Signal::SIGKILL);
        }
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

/// The names of all namespaces.
///
/// # Errors
///
/// If they cannot be listed.
pub fn names() -> io::Result<Vec<String>> {
    let listed = ip(&["netns", "list"])?;
    Ok(listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

fn ip(words: &[&str]) -> io::Result<String> {
    let output = Command::new("ip").args(words).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.lines().next().unwrap_or_default();
    Err(io::Error::other(format!("`ip {}`: {complaint}", words.join(" "))))
}
