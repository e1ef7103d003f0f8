//! The host as runtime: the daemon's own supervisor, started detached and stopped by signal. The
//! supervisor holds a lock in the run folder while it runs, and its number lies beside the lock.

pub(crate) mod rights;

use std::{
    env,
    ffi::OsStr,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use cmsg_config::{
    Paths,
    socket::{self, Order, Role},
};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpgid},
};

use crate::{
    args::settings,
    installation::{account, layout},
    trusted,
};

/// Longer than the supervisor gives its roles.
const STOP_WAIT: Duration = Duration::from_secs(20);
/// A killed process is gone at once.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// One that has given its number back has nothing else to do.
const GONE_WAIT: Duration = Duration::from_secs(1);
/// A file with a process number is shorter.
const LONGEST_NUMBER: u64 = 64;
/// So much of a log is shown.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 8;
/// The variables that a supervisor of the machine's own installation gets, as far as they are set.
const KEPT: [&str; 7] =
    ["PATH", "LANG", "LC_ALL", "TZ", "RUST_BACKTRACE", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// A supervisor that this process started.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    /// Where its part of the log begins.
    log_start: u64,
}

impl Started {
    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The last lines that it and its roles logged.
    ///
    /// # Errors
    ///
    /// Where the log cannot be read.
    pub(crate) fn log_tail(&self, paths: &Paths) -> io::Result<Vec<String>> {
        log_tail(paths, self.log_start)
    }
}

/// The length of the log of supervisor and roles.
pub(crate) fn log_length(paths: &Paths) -> u64 {
    layout::supervise_log(paths).metadata().map_or(0, |metadata| metadata.len())
}

/// Its last lines, from there on at most.
///
/// # Errors
///
/// Where it cannot be read.
pub(crate) fn log_tail(paths: &Paths, start: u64) -> io::Result<Vec<String>> {
    tail(&layout::supervise_log(paths), start)
}

/// Where the supervisor writes its number when it starts.
pub(crate) fn pidfile(paths: &Paths) -> PathBuf {
    paths.run().join("supervise.pid")
}

/// Starts the supervisor in a session of its own, so that it outlives the operator's terminal.
/// A process enters a new session between fork and exec, which only our own program can do there.
///
/// # Errors
///
/// Where it cannot be started.
pub(crate) fn start(paths: &Paths) -> anyhow::Result<Started> {
    let log = layout::supervise_log(paths);
    let opening = || format!("failed to open `{}`", log.display());
    let output = open_log(&log).with_context(opening)?;
    let log_start = output.metadata().with_context(opening)?.len();
    let mut supervisor = Command::new("/proc/self/exe");
    // What runs for months is not to have passwords in its environment.
    for setting in settings::passwords() {
        supervisor.env_remove(setting.variable());
    }
    supervisor.arg("detach").arg("--started-by").arg(std::process::id().to_string());
    if layout::is_machine(paths) {
        // What root's variables contain is not for the account.
        supervisor
            .env_clear()
            .envs(KEPT.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        supervisor.arg("--as-account");
    }
    let child = supervisor
        .arg(paths.daemon())
        .arg("supervise")
        .arg("--base")
        .arg(paths.base())
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(output.try_clone().with_context(opening)?)
        .stdout(output)
        .spawn()
        .context("failed to start the supervisor")?;
    Ok(Started { child, log_start })
}

/// Opens the supervisor's log to append to it: no link, and no file that another user has made.
fn open_log(path: &Path) -> anyhow::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(flags.bits());
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        bail!("it is not a regular file");
    }
    trusted::check(path, &metadata)?;
    Ok(file)
}

/// Whether a supervisor runs. To ask takes its lock for an instant, so only a command that keeps
/// others from starting one may ask.
///
/// # Errors
///
/// Where its lock cannot be asked.
pub(crate) fn is_running(paths: &Paths) -> io::Result<bool> {
    let Some(lock) = open_lock(paths)? else { return Ok(false) };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Stops the supervisor and with it the roles: the one that was started here, or the one that
/// holds the lock.
///
/// # Errors
///
/// Where it cannot be found, or does not even end when it is killed.
pub(crate) fn stop(paths: &Paths, started: Option<Started>) -> anyhow::Result<()> {
    let pid = match &started {
        Some(Started { child, .. }) => {
            i32::try_from(child.id()).context("its process ID is too large")?
        }
        None if is_running(paths).context("failed to query the supervisor")? => {
            match pid(paths).and_then(|pid| refuse_other(pid, paths).map(|()| pid)) {
                Ok(pid) => pid,
                // One that is just ending gives its number back before its lock.
                Err(why) => {
                    let outcome = end_of(paths, None).recv_timeout(GONE_WAIT).map_err(|_| why)?;
                    return outcome.context("failed to wait for the supervisor");
                }
            }
        }
        None => return Ok(()),
    };
    let is_named = started.is_none();
    let pid = Pid::from_raw(pid);
    let is_gone = end_of(paths, started);
    unless_gone(kill(pid, Signal::SIGTERM)).context("failed to stop the supervisor")?;
    if let Ok(outcome) = is_gone.recv_timeout(STOP_WAIT) {
        return outcome.context("failed to wait for the supervisor");
    }
    end_now(pid, is_named.then_some(paths)).context("failed to kill the supervisor")?;
    match is_gone.recv_timeout(KILL_WAIT) {
        Ok(outcome) => outcome.context("failed to wait for the supervisor"),
        Err(_) => bail!("the supervisor (pid {pid}) did not stop"),
    }
}

/// Kills a supervisor that does not end; one that these paths name only if it still is one: it may have
/// ended while another process holds its lock, and its number be another's by now.
fn end_now(pid: Pid, named_by: Option<&Paths>) -> anyhow::Result<()> {
    if let Some(paths) = named_by {
        refuse_other(pid.as_raw(), paths)?;
    }
    let is_leader = getpgid(Some(pid)) == Ok(pid);
    let killed = if is_leader { killpg(pid, Signal::SIGKILL) } else { kill(pid, Signal::SIGKILL) };
    Ok(unless_gone(killed)?)
}

/// Tells when the supervisor is gone.
fn end_of(paths: &Paths, started: Option<Started>) -> Receiver<io::Result<()>> {
    let (gone, is_gone) = channel();
    let paths = paths.clone();
    thread::spawn(move || {
        if let Some(Started { mut child, .. }) = started {
            let _ = child.wait();
        }
        // The lock is free when whoever held it is gone.
        let outcome = open_lock(&paths).and_then(|lock| lock.map_or(Ok(()), |lock| lock.lock()));
        let _ = gone.send(outcome);
    });
    is_gone
}

/// Has the supervisor stop or start one role.
///
/// # Errors
///
/// Where it does not do so.
pub(crate) fn order(paths: &Paths, role: Role, order: Order) -> anyhow::Result<()> {
    let what = match order {
        Order::Start => "start",
        Order::Stop => "stop",
    };
    socket::order(&paths.run(), role, order, STOP_WAIT)
        .with_context(|| format!("the supervisor failed to {what} the {}", role.command()))
}

/// The last lines of a log from there on.
fn tail(log: &Path, start: u64) -> io::Result<Vec<String>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES).max(start)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // A log quotes what peers sent; a terminal takes no orders from them.
    let plain = |line: &str| line.replace(char::is_control, " ");
    let lines: Vec<_> = text.lines().map(plain).collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec())
}

fn open_lock(paths: &Paths) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    match options.read(true).custom_flags(flags.bits()).open(paths.run().join("supervise.lock")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn pid(paths: &Paths) -> anyhow::Result<i32> {
    let file = pidfile(paths);
    let read = || -> io::Result<String> {
        // The account owns the folder: what lies there neither leads elsewhere nor keeps root waiting.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&file)?;
        let mut text = String::new();
        opened.take(LONGEST_NUMBER).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().with_context(|| {
        format!("failed to read the supervisor's process ID from `{}`", file.display())
    })?;
    match text.trim().parse() {
        Ok(pid) if pid > 1 => Ok(pid),
        _ => bail!("`{}` contains no process ID", file.display()),
    }
}

/// The number may be a former supervisor's, and on the machine itself the account writes it down: it
/// is not to have anything else stopped.
fn refuse_other(pid: i32, paths: &Paths) -> anyhow::Result<()> {
    let looking = || format!("failed to inspect process {pid}");
    let words = fs::read(format!("/proc/{pid}/cmdline")).with_context(looking)?;
    let mut is_supervisor = supervises(&words, paths);
    if layout::is_machine(paths) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(looking)?;
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let user = user.and_then(|users| users.split_whitespace().next());
        is_supervisor &= user == Some(&account::numbers()?.user.to_string());
    }
    if !is_supervisor {
        bail!("process {pid}, which `{}` names, is not the supervisor", pidfile(paths).display());
    }
    Ok(())
}

/// Whether a command line ends as [`start`] has it end, however the root was spelt then.
fn supervises(words: &[u8], paths: &Paths) -> bool {
    let words: Vec<_> = words.strip_suffix(&[0]).unwrap_or(words).split(|b| *b == 0).collect();
    let [.., b"supervise", b"--base", base] = words[..] else { return false };
    let base = Path::new(OsStr::from_bytes(base));
    let real = |path: &Path| path.canonicalize().ok();
    base == paths.base() || real(base).is_some_and(|base| real(&paths.base()) == Some(base))
}

fn unless_gone(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ESRCH) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
