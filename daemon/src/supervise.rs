//! Keeps the roles running where no service manager does: under another root, or where the first
//! process is not systemd. Owns the pidfile, the lock and `supervise.sock` in the run folder.

mod orders;

use std::{
    fs::{File, OpenOptions},
    future::pending,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context as _, bail};
use cmsg_config::{rejected::EXIT_CODE, socket::Role};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::local;

use orders::{OrderRouter, Orders};

/// The pidfile in the run folder.
pub const PIDFILE: &str = "supervise.pid";
/// Whoever holds this lock is the one supervisor.
pub const LOCKFILE: &str = "supervise.lock";

/// Longer than a role's own deadline for its connections.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// A role that lived this long has recovered.
const RECOVERED: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs the roles whose configuration lies under `base` until the shutdown, and takes orders about
/// one of them: a configuration that comes later is run when that is ordered.
///
/// # Errors
///
/// Where another supervisor runs, there is nothing to run, or the run folder cannot be used.
pub async fn run(base: &Path, shutdown: CancellationToken) -> anyhow::Result<()> {
    let run = base.join("run");
    let _lock = lock(&run)?;
    let confs = [
        (Role::Cm, base.join("data/ConnectionManager.conf")),
        (Role::Sg, base.join("data/SecurityGateway.conf")),
    ];
    if confs.iter().all(|(_, conf)| !conf.exists()) {
        bail!("`{}` has no configuration file", base.join("data").display());
    }
    let executable = std::env::current_exe().context("locating the executable")?;
    let pidfile = run.join(PIDFILE);
    write_pid(&pidfile).with_context(|| format!("writing `{}`", pidfile.display()))?;
    // Whoever started this process can be done without: others find it by the lock and the number.
    prctl::set_pdeathsig(None).context("detaching from the parent process")?;
    let socket = local::Socket::bind_supervisor(&run)?;

    let mut router = OrderRouter::default();
    let mut tasks = JoinSet::new();
    for (role, conf) in confs {
        let runs = conf.exists();
        let charge = Charge { executable: executable.clone(), role, conf, runs };
        tasks.spawn(charge.keep(router.orders_for(role), shutdown.clone()));
    }
    let answering = router.answer(socket, shutdown.clone());
    let waiting = async { while tasks.join_next().await.is_some() {} };
    let (answered, ()) = tokio::join!(answering, waiting);
    answered?;
    std::fs::remove_file(&pidfile).with_context(|| format!("removing `{}`", pidfile.display()))
}

fn lock(run: &Path) -> anyhow::Result<Flock<File>> {
    let path = run.join(LOCKFILE);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("opening `{}`", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => bail!("another supervisor holds `{}`", path.display()),
        Err((_, errno)) => Err(errno).with_context(|| format!("locking `{}`", path.display())),
    }
}

fn write_pid(pidfile: &Path) -> anyhow::Result<()> {
    let folder = pidfile.parent().context("the pidfile has no folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", std::process::id())?;
    file.as_file().sync_all()?;
    file.persist(pidfile)?;
    Ok(())
}

/// One role.
struct Charge {
    executable: PathBuf,
    role: Role,
    conf: PathBuf,
    /// Whether it is to run.
    runs: bool,
}

impl Charge {
    /// Starts the role again whenever it ends, until the shutdown. It rests after an order to stop, or
    /// where its configuration is invalid, until an order to start it.
    async fn keep(mut self, mut orders: Orders, shutdown: CancellationToken) {
        let mut crashes = 0;
        while !shutdown.is_cancelled() {
            let started = Instant::now();
            let child = if self.runs { self.start() } else { None };
            if let Some(mut child) = child {
                tokio::select! {
                    () = shutdown.cancelled() => return stop(self.role, &mut child).await,
                    order = orders.next_stop() => {
                        stop(self.role, &mut child).await;
                        self.runs = false;
                        crashes = 0;
                        order.done();
                        continue;
                    }
                    status = child.wait() => self.runs = restarts(self.role, status),
                }
            }
            crashes = if started.elapsed() < RECOVERED { crashes + 1 } else { 1 };
            let rest =
                async { if self.runs { sleep(pause(crashes)).await } else { pending().await } };
            tokio::select! {
                () = shutdown.cancelled() => {}
                order = orders.next() => {
                    self.runs = order.runs;
                    crashes = 0;
                    order.done();
                }
                () = rest => {}
            }
        }
    }

    fn start(&self) -> Option<Child> {
        let mut command = Command::new(&self.executable);
        command.arg(self.role.command()).arg("--config").arg(&self.conf);
        command.arg("--supervised-by").arg(std::process::id().to_string());
        let child = command.stdin(std::process::Stdio::null()).spawn();
        child.inspect_err(|error| warn!(role = ?self.role, %error, "Failed to start")).ok()
    }
}

/// Whether a role that has ended is started again. A configuration that it rejects stays as it is until
/// somebody fixes it and has the role started.
fn restarts(role: Role, status: std::io::Result<ExitStatus>) -> bool {
    match status {
        Ok(status) if status.code() == Some(EXIT_CODE.into()) => {
            warn!(
                ?role,
                "The configuration is invalid; the role stays stopped until you fix it and start the role again"
            );
            return false;
        }
        Ok(status) => warn!(?role, %status, "Exited, restarting"),
        Err(error) => warn!(?role, %error, "Failed to wait for the process, restarting"),
    }
    true
}

/// At once after the first crash, then after 1, 2, 4 … 30 seconds.
fn pause(crashes: u32) -> Duration {
    match crashes {
        0 | 1 => Duration::ZERO,
        crashes => Duration::from_secs(1 << (crashes - 2).min(5)).min(LONGEST_PAUSE),
    }
}

async fn stop(role: Role, child: &mut Child) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if timeout(STOP_DEADLINE, child.wait()).await.is_err() {
        warn!(?role, "Did not stop in time, killing it");
        let _ = child.kill().await;
    }
    info!(?role, "Stopped");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crashed_role_starts_at_once_and_then_ever_later() {
        let pauses: Vec<_> = (1..=8).map(|crashes| pause(crashes).as_secs()).collect();

        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_second_supervisor_is_refused() {
        let run = tempfile::tempdir().unwrap();
        let _first = lock(run.path()).unwrap();

        let refused = lock(run.path()).unwrap_err().to_string();

        assert!(refused.starts_with("another supervisor holds `"), "{refused}");
    }
}
