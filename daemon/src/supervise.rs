//! Keeps the roles running on hosts without a service manager: below another root, or where systemd
//! is not the first process. Owns the pid file, the lock and `supervise.sock` in the run directory.

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

/// The pid file in the run directory.
pub const PIDFILE: &str = "supervise.pid";
/// The supervisor holds this lock.
pub const LOCKFILE: &str = "supervise.lock";

/// Longer than a role's own deadline for closing connections.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// After this time, the crashes of a role are forgotten.
const RECOVERED: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs the roles with a configuration file below `base` until the shutdown, and handles orders. A
/// configuration that is created later is used once its role is ordered to start.
///
/// # Errors
///
/// If another supervisor is running, there is no configuration, or the run directory is unusable.
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
    // The supervisor outlives its parent: the installer finds it by its lock and pid file.
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
    let folder = pidfile.parent().context("the pid file has no directory")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", std::process::id())?;
    file.as_file().sync_all()?;
    file.persist(pidfile)?;
    Ok(())
}

/// A role and its process.
struct Charge {
    executable: PathBuf,
    role: Role,
    conf: PathBuf,
    /// Whether it should run.
    runs: bool,
}

impl Charge {
    /// Restarts the role whenever it exits, until the shutdown. After an order to stop, or with an
    /// invalid configuration, it waits for an order to start.
    async fn keep(mut self, mut orders: Orders, shutdown: CancellationToken) {
        let mut crashes = 0;
        while !shutdown.is_cancelled() {
            let started = Instant::now();
            orders.report(self.runs, crashes);
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
            orders.report(self.runs, crashes);
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

/// Whether to restart a role that has exited. A role with an invalid configuration stays stopped
/// until the configuration is fixed and the role is started.
fn restarts(role: Role, status: std::io::Result<ExitStatus>) -> bool {
    match status {
        Ok(status) if status.code() == Some(EXIT_CODE.into()) => {
            warn!(
                ?role,
                "The configuration is invalid; the service stays stopped until you fix it and start the service again"
            );
            return false;
        }
        Ok(status) => warn!(?role, %status, "Exited, restarting"),
        Err(error) => warn!(?role, %error, "Failed to wait for the process, restarting"),
    }
    true
}

/// The delay before a restart: none after the first crash, then 1, 2, 4 … 30 seconds.
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
    fn a_crashed_role_restarts_at_once_and_then_after_growing_delays() {
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
