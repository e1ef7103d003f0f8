//! The command line of the daemon: a role, the supervisor of both, or the health check of a role.

use std::{
    alloc::System,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand, ValueEnum};
use cmsg_config::{
    ConfFile, ConnectionManager, SecurityGateway, rejected,
    socket::{self, Role},
    values::LogLevel,
};
use nix::{
    sys::{prctl, resource, signal::Signal},
    unistd::{Pid, getppid},
};
use pcoip_cmsgd::{
    connection_manager, logs,
    rejection::{self, BadConfiguration},
    security_gateway,
    settings::{self, Configuration},
    supervise,
};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zeroizing_alloc::ZeroAlloc;

/// Clears freed memory. Passwords, cookies and tags also pass through buffers of HTTP and TLS
/// libraries, which do not clear them.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// The PCoIP Connection Manager and Security Gateway.
#[derive(Parser)]
#[command(name = "pcoip-cmsgd", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the Connection Manager
    ConnectionManager(RoleArguments),
    /// Run the Security Gateway
    SecurityGateway(RoleArguments),
    /// Run the configured services and restart them if they exit
    Supervise {
        /// Base directory of the installation, for example `/opt/teradici/pcoipcm_data`
        #[arg(long)]
        base: PathBuf,
    },
    /// Exit with 0 if a service responds on its unix socket
    Healthcheck {
        /// Directory of the unix sockets
        #[arg(long, default_value = "/opt/teradici/pcoipcm_data/run")]
        run: PathBuf,
        /// Service to check
        #[arg(long)]
        role: RoleName,
    },
}

#[derive(clap::Args)]
struct RoleArguments {
    /// Configuration file of the service
    #[arg(long)]
    config: PathBuf,
    /// Exit when this process, the supervisor, exits
    #[arg(long, hide = true, value_name = "PID")]
    supervised_by: Option<i32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Cm,
    Sg,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            match error.is::<BadConfiguration>() {
                true => rejected::EXIT_CODE.into(),
                false => ExitCode::FAILURE,
            }
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    harden();
    match command {
        Command::ConnectionManager(arguments) => {
            follow(arguments.supervised_by)?;
            let ended = multi_threaded(connection_manager(&arguments.config));
            rejection::judged(ended, Role::Cm, &arguments.config)
        }
        Command::SecurityGateway(arguments) => {
            follow(arguments.supervised_by)?;
            let ended = multi_threaded(security_gateway(&arguments.config));
            rejection::judged(ended, Role::Sg, &arguments.config)
        }
        Command::Supervise { base } => {
            logs::to_error(LogLevel::Info)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context("starting the runtime")?.block_on(async {
                reload_on_hangup(base.join("run"), &[Role::Cm, Role::Sg])?;
                supervise::run(&base, shutdown_on_signal()?).await
            })
        }
        Command::Healthcheck { run, role } => healthcheck(&run, role),
    }
}

async fn connection_manager(conf: &Path) -> anyhow::Result<()> {
    let file = ConfFile::load(conf)?;
    let read = ConnectionManager::read(&file)?;
    let level = logs::Level::from(read.value.log_level);
    let _log = Flushed(logs::to_folder(&read.value.log_directory, "pcoip-connmgr", level.clone())?);
    settings::warn_of(conf, &read.warnings);
    let run = read.value.run_directory.clone();
    reload_on_hangup(run.clone(), &[Role::Cm])?;
    let shutdown = shutdown_on_signal()?;
    let role = connection_manager::bind(read.value).await?;
    role.follow(Configuration { path: conf.to_owned(), file }, level);
    rejection::clear(&run, Role::Cm);
    tell_ready(&role.listens());
    role.serve(shutdown).await
}

async fn security_gateway(conf: &Path) -> anyhow::Result<()> {
    let file = ConfFile::load(conf)?;
    let read = SecurityGateway::read(&file)?;
    let level = logs::Level::from(read.value.log_level);
    let _log = Flushed(logs::to_folder(&read.value.log_directory, "pcoip-sg", level.clone())?);
    settings::warn_of(conf, &read.warnings);
    let run = read.value.run_directory.clone();
    reload_on_hangup(run.clone(), &[Role::Sg])?;
    let shutdown = shutdown_on_signal()?;
    let role = security_gateway::bind(read.value).await?;
    role.follow(Configuration { path: conf.to_owned(), file }, level);
    rejection::clear(&run, Role::Sg);
    tell_ready(&role.listens());
    role.serve(shutdown).await
}

/// Waits until all log lines are written, also if the role panics.
struct Flushed(logs::Flush);

impl Drop for Flushed {
    fn drop(&mut self) {
        self.0.wait(FLUSH);
    }
}

/// How long a role waits for a slow disk when it stops.
const FLUSH: Duration = Duration::from_secs(2);

fn healthcheck(run: &Path, role: RoleName) -> anyhow::Result<()> {
    let role = match role {
        RoleName::Cm => Role::Cm,
        RoleName::Sg => Role::Sg,
    };
    let answer: serde_json::Value = socket::get(run, role, "/live", Duration::from_secs(5))
        .with_context(|| {
            format!("requesting the status at `{}`", run.join(role.socket()).display())
        })?;
    if answer["live"] != true {
        bail!("the service answers but is not healthy");
    }
    Ok(())
}

/// Reports that clients can connect, to the log and to systemd.
fn tell_ready(listens: &[socket::Listen]) {
    for listen in listens {
        info!(key = listen.key, transport = listen.transport, address = %listen.address, "Listening");
    }
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        warn!(%error, "Failed to notify systemd that the service is ready");
    }
}

fn multi_threaded(role: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("starting the runtime")?.block_on(role)
}

fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for signals")?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(shutdown)
}

/// On SIGHUP, asks these roles to reload their files; they log the outcome. The
/// signal does not stop any process of the product: log rotation and `pkill -HUP` send it to all of
/// them.
fn reload_on_hangup(run: PathBuf, roles: &'static [Role]) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup()).context("listening for signals")?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            info!("Received SIGHUP, reloading the configuration, certificates and keys");
            for role in roles {
                let run = run.clone();
                let ask = move || socket::tell(&run, *role, "/reload", RELOAD_WAIT);
                match tokio::task::spawn_blocking(ask).await {
                    Ok(Ok(())) => {}
                    // A role that is not configured has no socket. A role that fails to reload logs why.
                    Ok(Err(error))
                        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Other) => {}
                    Ok(Err(error)) => warn!(?role, %error, "Failed to request a reload"),
                    Err(error) => warn!(?role, %error, "Failed to request a reload"),
                }
            }
        }
    });
    Ok(())
}

/// How long a role may take to read all its certificates and keys.
const RELOAD_WAIT: Duration = Duration::from_secs(30);

/// Disables core dumps, which would contain secrets, and raises the open-file limit.
fn harden() {
    let _ = resource::setrlimit(resource::Resource::RLIMIT_CORE, 0, 0);
    if let Ok((_, hard)) = resource::getrlimit(resource::Resource::RLIMIT_NOFILE) {
        let _ = resource::setrlimit(resource::Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Stops this role when its supervisor is killed.
fn follow(supervisor: Option<i32>) -> anyhow::Result<()> {
    let Some(supervisor) = supervisor else { return Ok(()) };
    prctl::set_pdeathsig(Signal::SIGTERM).context("watching the supervisor")?;
    if getppid() != Pid::from_raw(supervisor) {
        bail!("the supervisor stopped before the service started");
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "errors at startup go to standard error")]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
}
