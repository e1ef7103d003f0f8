//! The Security Gateway: relays announced sessions between clients and agents over TLS and UDP.
//! `cmsg_proto::gateway` has the rules; this module has the sockets.

use std::{
    ffi::CString,
    io::{self, PipeWriter},
    pin::pin,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use cmsg_config::{
    keys,
    socket::{self, Connections, Listen, Role, Status},
};
use cmsg_proto::gateway::Journal;
use nix::sys::prctl;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock,
    drain::Drain,
    former::{self, Kept},
    journal::{AppendedFile, JournalFile, Keeper},
    local::{self, Observe},
    logs, memory,
    reload::Files,
    settings::Configuration,
    token::Verifier,
};
use accept::ControlAcceptor;
use announce::AnnouncementHandler;
use datagrams::Worker;
use https::Https;
use joined::Joined;
use peers::Peering;
use sockets::{Pair, Sockets};
use state::GatewayState;

mod accept;
mod announce;
mod counters;
mod datagrams;
mod ends;
mod floods;
mod https;
mod joined;
mod journal;
mod peers;
mod relay;
mod runs;
mod sockets;
mod state;
#[cfg(test)]
mod tests;
mod undecided;

/// The file in the data directory that lets sessions survive a restart. It contains no tags and no
/// keys.
const JOURNAL: &str = "security-gateway.journal";
/// Maximum number of workers. Each may need 18 MiB, most of it for the buffers of its sockets, and the
/// installer's memory limit does not depend on the number of CPUs.
const MAX_WORKERS: usize = 8;
/// The files of the gateway in that directory.
const KEPT: Kept =
    Kept { journal: JOURNAL, limit: Journal::MAX_BYTES, mark: "security-gateway.draining" };

/// A gateway whose ports are bound, but which does not serve yet.
#[derive(Debug)]
pub struct SecurityGatewayRole {
    gateway: Arc<GatewayState>,
    acceptor: ControlAcceptor,
    verifier: Arc<ArcSwap<Verifier>>,
    files: Files,
    sockets: Sockets,
    https: Option<Https>,
    local: local::Socket,
    listens: Vec<Listen>,
    journal: JournalFile,
    failover: Option<Joined>,
}

/// Reads the files of the configuration and binds the ports. Must run in the runtime that will
/// serve them.
///
/// # Errors
///
/// If a file is invalid, or a port cannot be bound.
pub async fn bind(config: cmsg_config::SecurityGateway) -> anyhow::Result<SecurityGatewayRole> {
    // The number stays the same, since another one would move flows between the workers.
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    bind_with(config, workers).await
}

/// Does so with this number of workers.
async fn bind_with(
    config: cmsg_config::SecurityGateway,
    workers: usize,
) -> anyhow::Result<SecurityGatewayRole> {
    let files = Files::default();
    let certificates = config.jwt_verifying_certificate.clone();
    let verifier = files.keep(move || Verifier::load(&certificates))?;
    let sockets = Sockets::bind(&config, workers)?;
    former::copy(KEPT, &config.data_directory);
    let gateway = Arc::new(GatewayState::new(&config, sockets.address()?, &sockets.pairs));
    let acceptor = ControlAcceptor::new(Arc::clone(&gateway), &config, &files)?;
    let https = Https::bind(&config, &files)?;
    let mut listens = sockets.listens()?;
    if let Some(https) = &https {
        listens.push(https.listens()?);
    }
    let local = local::Socket::bind(&config.run_directory, Role::Sg)?;
    let failover =
        config.failover.as_ref().map(|failover| Joined::new(&gateway, &config, failover));
    let failover = failover.transpose()?;
    if let Some(joined) = &failover {
        listens.extend(joined.listens()?);
    }
    // The process with the ports owns the journal.
    let journal = JournalFile::new(config.data_directory, JOURNAL);
    gateway.restore(journal.restore());
    let role = SecurityGatewayRole {
        gateway,
        acceptor,
        verifier,
        files,
        sockets,
        https,
        local,
        listens,
        journal,
        failover,
    };
    Ok(role)
}

impl SecurityGatewayRole {
    #[must_use]
    pub fn listens(&self) -> Vec<Listen> {
        self.listens.clone()
    }

    /// From now on, a reload also applies changed settings of this configuration.
    pub fn follow(&self, conf: Configuration, level: logs::Level) {
        let gateway = Arc::clone(&self.gateway);
        let apply = move |config: &cmsg_config::SecurityGateway| {
            level.set(config.log_level);
            gateway.apply(config);
        };
        let read = cmsg_config::SecurityGateway::read;
        conf.follow(&self.files, keys::SECURITY_GATEWAY, read, apply);
    }

    /// Serves sessions until the shutdown.
    ///
    /// # Errors
    ///
    /// If the unix socket cannot be served, or the sessions cannot be persisted.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { gateway, acceptor, verifier, files, sockets, https, local, listens, .. } = self;
        let (journal, failover) = (self.journal, self.failover);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let state = {
            let gateway = Arc::clone(&gateway);
            move || gateway.journal()
        };
        let queue = Arc::clone(&gateway.journal);
        let journal = Keeper::start(queue, AppendedFile::new(journal), state)?;
        let Sockets { tcp, pairs } = sockets;
        let workers = workers(&gateway, pairs);
        let working = forward(&workers, &tasks, &stop)?;
        tasks.spawn(stop.clone().run_until_cancelled_owned(memory::keep_small(tasks.clone())));
        let ends = Arc::clone(&gateway);
        let reporting = async move { ends.ends.keep_reporting().await };
        tasks.spawn(stop.clone().run_until_cancelled_owned(reporting));
        tasks.spawn(accept::accept(tcp, Arc::new(acceptor), tasks.clone(), stop.clone()));

        let peering = failover.as_ref().map(Joined::peering);
        let role = Arc::new(LocalRole { gateway: Arc::clone(&gateway), files, listens, peering });
        let handler = Arc::new(AnnouncementHandler { gateway: Arc::clone(&gateway), verifier });
        let granted = failover.map(|joined| joined.serve(&handler, &tasks, &stop)).transpose()?;
        if let Some(https) = https {
            let handler = Arc::clone(&handler);
            tasks.spawn(https.serve(handler, tasks.clone(), stop.clone()));
        }
        let router = announce::router(handler).merge(joined::router(Arc::clone(&gateway)));
        let router = local::router(role).merge(router);
        let mut answering = pin!(local::serve(local, router, stop.clone()));
        let ended = tokio::select! {
            ended = &mut answering => Some(ended),
            () = shutdown.cancelled() => None,
        };
        gateway.stop();
        stop.cancel();
        drop(working);
        let served = match ended {
            Some(served) => served,
            None => timeout(GRACE, answering).await.unwrap_or(Ok(())),
        };
        tasks.close();
        let _ = timeout(GRACE, tasks.wait()).await;
        journal.finish().await?;
        if let Some(granted) = granted {
            granted.finish().await?;
        }
        // While this process holds a port, no other gateway reads the journal.
        drop(workers);
        served
    }
}

/// The workers, each with its pair of sockets.
fn workers(gateway: &Arc<GatewayState>, pairs: Vec<Arc<Pair>>) -> Vec<Worker> {
    let undecided = Arc::default();
    let worker = |sockets| Worker {
        gateway: Arc::clone(gateway),
        sockets,
        undecided: Arc::clone(&undecided),
    };
    pairs.into_iter().map(worker).collect()
}

/// Starts the workers, and the task that decides about datagrams without a route. The workers end
/// when the result is dropped.
fn forward(
    workers: &[Worker],
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<PipeWriter> {
    let (ended, end) = io::pipe().context("creating a pipe")?;
    let ended = Arc::new(ended);
    for (number, worker) in workers.iter().cloned().enumerate() {
        let ended = Arc::clone(&ended);
        let name = CString::new(format!("datagrams-{number}")).unwrap_or_default();
        tasks.spawn_blocking(move || {
            // The name is for `top` and debuggers.
            let _ = prctl::set_name(&name);
            worker.work(&ended);
        });
        if number == 0 {
            let deciding = datagrams::decide(workers[0].clone());
            tasks.spawn(stop.clone().run_until_cancelled_owned(deciding));
        }
    }
    Ok(end)
}

/// How long open connections may take to close at the shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// The status for the unix socket.
struct LocalRole {
    gateway: Arc<GatewayState>,
    files: Files,
    listens: Vec<Listen>,
    peering: Option<Peering>,
}

impl Observe for LocalRole {
    fn status(&self) -> Status {
        let reason = self.gateway.why_not_ready();
        let usage = self.gateway.usage();
        Status {
            role: Role::Sg,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            ready: reason.is_none(),
            reason,
            listens: self.listens.clone(),
            sessions: usage.in_use + usage.resumable,
            usage: Some(usage),
            files_read: Some(self.files.read_at()),
            started: Some(clock::started().as_millis()),
            deployment: socket::deployment(),
            logons: None,
            turned_away: Some(self.gateway.counters.turned_away()),
            unserved: None,
            broker: None,
            failover: self.peering.as_ref().and_then(|it| self.gateway.failover_status(it)),
        }
    }

    fn connections(&self) -> Connections {
        Connections { connections: self.gateway.connections() }
    }

    fn reload(&self) -> anyhow::Result<()> {
        self.files.reload()
    }

    fn drain(&self) -> &Drain {
        &self.gateway.drain
    }
}
