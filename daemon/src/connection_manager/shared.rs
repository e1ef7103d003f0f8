//! What all connections of a Connection Manager share, and what the local socket tells of it.

use std::{
    fs,
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use cmsg_config::socket::{Connections, Listen, Role, Status};
use cmsg_proto::broker::{
    ClientCookie, PcmInfo,
    session::{Session, Sessions},
};
use tokio::sync::watch;

use super::{agent::Agents, announce::Gateways, broker::Broker, health::Health, records::Records};
use crate::{clock, local::Observe};

/// A session outlives the connections of its client, so there may be more of them.
const SESSIONS_PER_CONNECTION: usize = 4;

/// What all connections share.
pub(super) struct Shared {
    pub(super) config: cmsg_config::ConnectionManager,
    pub(super) listens: Vec<Listen>,
    pub(super) broker: Broker,
    pub(super) agents: Agents,
    pub(super) gateways: Gateways,
    /// Nothing until it was looked for the first time.
    pub(super) health: watch::Sender<Option<Health>>,
    hostname: String,
    sessions: Mutex<Sessions>,
    records: Mutex<Records>,
    numbers: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        config: cmsg_config::ConnectionManager,
        listens: Vec<Listen>,
    ) -> anyhow::Result<Self> {
        let limit = config.max_connections.as_usize() * SESSIONS_PER_CONNECTION;
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname")
            .context("asking for the host's name")?;
        Ok(Self {
            broker: Broker::new(&config)?,
            agents: Agents::new(&config)?,
            gateways: Gateways::new(&config)?,
            health: watch::Sender::new(None),
            hostname: hostname.trim().to_owned(),
            sessions: Mutex::new(Sessions::new(limit, config.session_idle)),
            records: Mutex::default(),
            numbers: AtomicU64::new(0),
            listens,
            config,
        })
    }

    /// The sessions; what a panic left behind is still whole, since every change is one call.
    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of sessions.
    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a cookie as it stands.
    pub(super) fn session(&self, cookie: &ClientCookie) -> Option<Session> {
        self.sessions().find(cookie, clock::now()).map(|session| session.clone())
    }

    /// Changes a session, if it still is there.
    pub(super) fn change(&self, cookie: &ClientCookie, change: impl FnOnce(&mut Session)) {
        let mut sessions = self.sessions();
        let Some(session) = sessions.find(cookie, clock::now()) else { return };
        change(session);
        let (number, stage) = (session.number, session.stage());
        drop(sessions);
        self.records().change(number, |record| record.state = stage.as_str().to_owned());
    }

    /// Ends a session.
    pub(super) fn end(&self, session: &Session) {
        self.sessions().remove(&session.cookie);
        self.records().end(session.number);
    }

    /// The number of the next session.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What we tell of ourselves to who reached us at that address.
    pub(super) fn pcm_info(&self, local: IpAddr) -> PcmInfo {
        PcmInfo {
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            ip_address: local.to_string(),
            hostname: self.hostname.clone(),
        }
    }
}

impl Observe for Shared {
    fn status(&self) -> Status {
        let health = *self.health.borrow();
        Status {
            role: Role::Cm,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            ready: health == Some(Health::Ready),
            reason: match health {
                None => Some("not looked for yet".to_owned()),
                Some(health) => health.reason().map(str::to_owned),
            },
            listens: self.listens.clone(),
            sessions: self.sessions().len(),
        }
    }

    fn connections(&self) -> Connections {
        Connections { connections: self.records().all() }
    }
}

/// Random bytes for what must not be guessed.
pub(super) fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).context("asking for random bytes")?;
    Ok(bytes)
}
