//! A gateway that has peers: its port for them, and the journal of the sessions that they know in
//! common.

use std::sync::Arc;

use anyhow::Context as _;
use axum::{Router, http::StatusCode, routing::get};
use cmsg_config::{Failover, SecurityGateway, socket::Listen};
use cmsg_proto::failover::{BootId, GatewayId, Rules, Saved};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    announce::AnnouncementHandler,
    peers::{Outgoing, Peering, Peers, Receive},
    state::GatewayState,
};
use crate::journal::{AppendedFile, JournalFile, Keeper};

/// The file in the data directory with the sessions that gateways know in common.
const JOURNAL: &str = "security-gateway.standby";

/// How many sessions are remembered after their end for each one that is possible. Each takes about
/// 100 bytes until its grant expires, after 30 days.
const REMEMBERED: usize = 10;

/// What connects a gateway to its peers.
#[derive(Debug)]
pub(super) struct Joined {
    peers: Peers,
    /// The frames to be sent.
    frames: mpsc::UnboundedReceiver<Outgoing>,
    journal: JournalFile,
}

impl Joined {
    /// Binds the port for peers, and restores the sessions that they know in common.
    pub(super) fn new(
        gateway: &GatewayState,
        config: &SecurityGateway,
        failover: &Failover,
    ) -> anyhow::Result<Self> {
        let sessions = config.max_connections.as_usize();
        let rules = Rules {
            id: GatewayId(failover.id),
            peers: failover.peers.iter().map(|peer| GatewayId(peer.id)).collect(),
            shared: failover.shared.iter().copied().collect(),
            max_standby: failover.max_standby,
            max_remembered: REMEMBERED * (sessions + failover.max_standby),
        };
        let peers = Peers::bind(failover, &config.data_directory, rules.max_remembered)?;
        let mut boot = [0; 8];
        aws_lc_rs::rand::fill(&mut boot).context("generating random bytes")?;
        let journal = JournalFile::new(&config.data_directory, JOURNAL);
        let (send, frames) = mpsc::unbounded_channel();
        let saved: Saved = journal.restore();
        gateway.join(rules, BootId(u64::from_be_bytes(boot)), saved, send);
        Ok(Self { peers, frames, journal })
    }

    /// The bound address for peers.
    pub(super) fn listens(&self) -> anyhow::Result<Option<Listen>> {
        self.peers.listens()
    }

    /// What the status reports.
    pub(super) fn peering(&self) -> Peering {
        self.peers.peering()
    }

    /// Connects to the peers and accepts their connections until the shutdown. Returns the thread
    /// that writes the journal.
    pub(super) fn serve(
        self,
        handler: &Arc<AnnouncementHandler>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> anyhow::Result<Keeper<Saved>> {
        let state = Arc::clone(&handler.gateway);
        let file = AppendedFile::new(self.journal);
        let queue = Arc::clone(&handler.gateway.granted);
        let keeper = Keeper::start(queue, file, move || state.granted_journal())?;
        let receiver: Arc<dyn Receive> = Arc::<AnnouncementHandler>::clone(handler);
        self.peers.serve(self.frames, receiver, tasks, stop)?;
        Ok(keeper)
    }
}

/// `GET /shared-address`: whether this host should have the shared addresses, for VRRP.
pub(super) fn router(gateway: Arc<GatewayState>) -> Router {
    let answer = move || async move {
        match gateway.why_not_shared() {
            None => (StatusCode::OK, "yes\n".to_owned()),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        }
    };
    Router::new().route("/shared-address", get(answer))
}
