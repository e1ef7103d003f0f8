//! The Security Gateway: announced sessions come in by TLS and datagrams, and are led to their
//! agents. What is decided is decided in `cmsg_proto::gateway`; here are the sockets.

use std::{os::unix::net::UnixListener, sync::Arc, time::Duration};

use anyhow::Context as _;
use cmsg_config::socket::{self, Connections, Listen, Role, Status};
use cmsg_proto::gateway::Side;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    local::{self, Observe},
    token::Verifier,
};
use accept::Door;
use datagrams::Worker;
use gate::Gate;
use sockets::Sockets;

mod accept;
mod announce;
mod counters;
mod datagrams;
mod gate;
mod limits;
mod relay;
mod sockets;
#[cfg(test)]
mod tests;

/// A gateway whose ports are bound.
#[derive(Debug)]
pub struct SecurityGatewayRole {
    gate: Arc<Gate>,
    door: Door,
    verifier: Verifier,
    sockets: Sockets,
    local: UnixListener,
    listens: Vec<Listen>,
}

/// Reads the files of the configuration and binds its ports, in the runtime that will serve them.
///
/// # Errors
///
/// What is wrong with a file, or which port is not free.
pub async fn bind(config: cmsg_config::SecurityGateway) -> anyhow::Result<SecurityGatewayRole> {
    let verifier = Verifier::load(&config.jwt_verifying_certificate)?;
    let gate = Arc::new(Gate::new(&config));
    let door = Door::new(Arc::clone(&gate), &config)?;
    let sockets = Sockets::bind(&config)?;
    let listens = sockets.listens()?;
    let run = &config.run_directory;
    let local = socket::bind(run, Role::Sg)
        .with_context(|| format!("binding `{}`", run.join(Role::Sg.socket()).display()))?;
    Ok(SecurityGatewayRole { gate, door, verifier, sockets, local, listens })
}

impl SecurityGatewayRole {
    /// What it listens on.
    #[must_use]
    pub fn listens(&self) -> Vec<Listen> {
        self.listens.clone()
    }

    /// Lets sessions through until the shutdown.
    ///
    /// # Errors
    ///
    /// Where the unix socket cannot be served.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { gate, door, verifier, sockets, local, listens } = self;
        let stop = shutdown.child_token();
        let tasks = TaskTracker::new();
        let (misses, asked) = datagrams::queue();
        let Sockets { tcp, clients, agents } = sockets;
        let (clients, agents) = (Arc::new(clients), Arc::new(agents));
        let to_agents = Worker {
            side: Side::Client,
            gate: Arc::clone(&gate),
            from: Arc::clone(&clients),
            to: Arc::clone(&agents),
        };
        let to_clients =
            Worker { side: Side::Agent, gate: Arc::clone(&gate), from: agents, to: clients };
        tasks.spawn(stop.clone().run_until_cancelled_owned(datagrams::decide(
            asked,
            [to_agents.clone(), to_clients.clone()],
        )));
        for worker in [to_agents, to_clients] {
            tasks.spawn(stop.clone().run_until_cancelled_owned(worker.work(misses.clone())));
        }
        tasks.spawn(accept::accept(tcp, Arc::new(door), tasks.clone(), stop.clone()));

        let role = Arc::new(Told { gate: Arc::clone(&gate), listens });
        let announcements = announce::router(gate, verifier);
        let router = local::router(role).merge(announcements);
        let served = tokio::select! {
            served = local::serve(local, router, stop.clone()) => served,
            () = after(&stop) => Ok(()),
        };
        stop.cancel();
        tasks.close();
        let _ = timeout(GRACE, tasks.wait()).await;
        served
    }
}

/// How long what is open may take to end at the shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// Ends some time after the shutdown.
async fn after(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(GRACE).await;
}

/// What the unix socket tells.
struct Told {
    gate: Arc<Gate>,
    listens: Vec<Listen>,
}

impl Observe for Told {
    fn status(&self) -> Status {
        Status {
            role: Role::Sg,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            ready: true,
            reason: None,
            listens: self.listens.clone(),
            sessions: self.gate.count(),
        }
    }

    fn connections(&self) -> Connections {
        Connections { connections: self.gate.connections() }
    }
}
