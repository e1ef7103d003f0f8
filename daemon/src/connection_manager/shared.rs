//! The state that all connections of a Connection Manager share, and its status.

use std::{
    fs,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use cmsg_config::socket::{self, Connection, Connections, Listen, Role, Status, Usage};
use cmsg_proto::{
    broker::{
        ClientCookie, PcmInfo,
        session::{Extent, Full, Journal, Session, Sessions},
    },
    shares::{Order, Worth},
};
use http::HeaderMap;
use tracing::warn;

use super::{
    agent::Agents,
    announce::Gateways,
    broker::Broker,
    forwarded::{self, ForwardedClient, Ignored, TrustedProxies},
    held::Held,
    logons::Logons,
    outage::Outage,
    readiness::{Health, Readiness},
    records::Records,
    seal::CookieSeal,
    unserved::Counters,
};
use crate::{
    clock,
    drain::{self, Drain},
    former::{self, Kept},
    https::{Timeouts, bodies::Bodies},
    journal::{JournalFile, JournalQueue},
    limiter::Limiter,
    local::Observe,
    reload::Files,
};

/// The file in the data directory with the sessions that survive a restart. Its content can only be
/// opened with clients' cookies.
pub(super) const JOURNAL: &str = "connection-manager.sessions";
/// The files of the Connection Manager in that directory.
const KEPT: Kept =
    Kept { journal: JOURNAL, limit: Journal::MAX_BYTES, mark: "connection-manager.draining" };

/// A session outlives the connections of its client, so there may be more sessions than
/// connections.
const SESSIONS_PER_CONNECTION: usize = 4;

/// A request at the broker is not aborted for a newer one, so requests before a logon may only use
/// this fraction of the connections, but always some.
const PLACES_PER_STRANGER: usize = 4;
const STRANGERS: usize = 16;

pub(super) struct Shared {
    pub(super) config: cmsg_config::ConnectionManager,
    pub(super) listens: Vec<Listen>,
    pub(super) files: Files,
    timeouts: ArcSwap<Timeouts>,
    pub(super) drain: Drain,
    pub(super) broker: Broker,
    pub(super) agents: Agents,
    pub(super) gateways: Gateways,
    pub(super) health: Readiness,
    pub(super) outage: Outage,
    pub(super) unserved: Counters,
    /// Limits requests at the broker of clients without a correct password.
    pub(super) strangers: Arc<Limiter>,
    pub(super) bodies: Arc<Bodies>,
    pub(super) held: Held,
    pub(super) logons: Logons,
    /// The changes of the sessions that are to be persisted.
    pub(super) journal: Arc<JournalQueue<Journal>>,
    hostname: String,
    proxies: TrustedProxies,
    ignored: Mutex<Ignored>,
    unreadable: Mutex<Ignored>,
    /// Lock order: before the records.
    sessions: Mutex<Sessions<CookieSeal>>,
    records: Mutex<Records>,
}

impl Shared {
    /// Creates the state, with the sessions from before a restart.
    pub(super) fn new(
        config: cmsg_config::ConnectionManager,
        listens: Vec<Listen>,
        files: Files,
    ) -> anyhow::Result<Self> {
        let places = config.max_connections.as_usize();
        let limit = places * SESSIONS_PER_CONNECTION;
        let strangers = (places / PLACES_PER_STRANGER).max(STRANGERS);
        let hostname =
            fs::read_to_string("/proc/sys/kernel/hostname").context("reading the host name")?;
        let mut sessions = Sessions::new(limit, config.session_idle, CookieSeal);
        former::copy(KEPT, &config.data_directory);
        let file = JournalFile::new(&config.data_directory, JOURNAL);
        sessions.restore(file.restore(), clock::now());
        Ok(Self {
            broker: Broker::new(&config, &files)?,
            agents: Agents::new(&config, &files)?,
            gateways: Gateways::new(&config, &files)?,
            health: Readiness::default(),
            outage: Outage::default(),
            unserved: Counters::default(),
            strangers: Limiter::new(strangers, Order::SourceFirst),
            bodies: Bodies::new(),
            held: Held::default(),
            logons: Logons::new(&config),
            journal: Arc::new(JournalQueue::new()),
            hostname: match &config.host_address.name {
                Some(name) => name.as_str().to_owned(),
                None => hostname.trim().to_owned(),
            },
            proxies: TrustedProxies::new(config.trusted_proxies.clone()),
            ignored: Mutex::default(),
            unreadable: Mutex::default(),
            sessions: Mutex::new(sessions),
            records: Mutex::default(),
            listens,
            drain: Drain::load(&config.data_directory, "connection-manager"),
            files,
            timeouts: ArcSwap::from_pointee(timeouts(&config)),
            config,
        })
    }

    /// Applies the settings that can change while the role runs.
    pub(super) fn apply(&self, config: &cmsg_config::ConnectionManager) {
        self.timeouts.store(Arc::new(timeouts(config)));
        self.logons.apply(config);
    }

    /// The timeouts of the next connection.
    pub(super) fn timeouts(&self) -> Timeouts {
        **self.timeouts.load()
    }

    /// Ignores poisoning: every change is a single call, so a panic leaves a consistent table.
    fn sessions(&self) -> MutexGuard<'_, Sessions<CookieSeal>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of the client behind this peer, which may be a proxy. Logs peers that are not
    /// trusted proxies but send the header, and trusted proxies that write an invalid address.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if headers.contains_key(forwarded::HEADER) && !self.proxies.contains(peer) {
            let mut ignored = self.ignored.lock().unwrap_or_else(PoisonError::into_inner);
            if ignored.is_new(peer, clock::now()) {
                warn!("X-Forwarded-For ignored from {peer}, which is not in `TrustedProxies`");
            }
        }
        let ForwardedClient { client, unreadable } = self.proxies.client(peer, headers);
        if let Some(entry) = unreadable {
            let mut known = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
            if known.is_new(client, clock::now()) {
                warn!(
                    entry,
                    "X-Forwarded-For from trusted proxy {client} does not contain the client's IP \
                     address"
                );
            }
        }
        client
    }

    pub(super) fn next_number(&self) -> u64 {
        self.sessions().next_number()
    }

    /// Adds a session, which may replace another one.
    pub(super) fn open(&self, session: &Session) -> Result<(), Full> {
        let mut sessions = self.sessions();
        let gone = sessions.insert(session.clone())?;
        self.record(session);
        gone.into_iter().for_each(|number| self.records().end(number));
        self.persist(&mut sessions);
        Ok(())
    }

    /// A copy of the session with this cookie.
    pub(super) fn session(&self, cookie: &ClientCookie) -> Option<Session> {
        let mut sessions = self.sessions();
        let session = sessions.find(cookie, clock::now())?;
        self.record(session);
        Some(session.clone())
    }

    /// The worth of requests and connections of this session.
    pub(super) fn worth(&self, cookie: Option<&ClientCookie>) -> Worth {
        let worth = |cookie| self.sessions().worth(cookie, clock::now());
        cookie.and_then(worth).unwrap_or(Worth::Idle)
    }

    /// The number of the session with this cookie. Does not count as a use.
    pub(super) fn number(&self, cookie: Option<&ClientCookie>) -> Option<u64> {
        self.sessions().number(cookie?)
    }

    /// Records that a request of the session was sent to the broker.
    pub(super) fn note_passed_on(&self, session: &Session) {
        self.sessions().note_passed_on(&session.cookie, clock::now());
    }

    /// Changes a session, if it still exists.
    pub(super) fn change(&self, cookie: &ClientCookie, change: impl FnOnce(&mut Session)) {
        let mut sessions = self.sessions();
        let Some(session) = sessions.change(cookie, clock::now(), change) else { return };
        let stage = session.stage().as_str().to_owned();
        self.records().change(session.number, |record| record.state = stage);
        self.persist(&mut sessions);
    }

    pub(super) fn end(&self, session: &Session) {
        let mut sessions = self.sessions();
        sessions.remove(&session.cookie);
        self.records().end(session.number);
        self.persist(&mut sessions);
    }

    pub(super) fn expire(&self) {
        let mut sessions = self.sessions();
        let expired = sessions.expire(clock::now());
        let mut records = self.records();
        expired.into_iter().for_each(|number| records.end(number));
        self.persist(&mut sessions);
        self.held.sweep();
        self.logons.expire();
    }

    /// The sessions to be persisted, and the number of the last record that led to them: all
    /// sessions at the end and while draining.
    pub(super) fn journal(&self, is_last: bool) -> (Journal, u64) {
        let is_all = is_last || self.drain.is_on();
        let mut sessions = self.sessions();
        let journal = sessions.journal(if is_all { Extent::All } else { Extent::LoggingOn });
        (journal, self.journal.restart())
    }

    /// Queues the changes of the sessions. No request waits until they are on disk.
    fn persist(&self, sessions: &mut Sessions<CookieSeal>) {
        let records = sessions.take_records();
        self.journal.push(records, sessions.len());
    }

    /// Adds a session to the records when it starts, or with its first request after a restart.
    /// Probes are not recorded.
    fn record(&self, session: &Session) {
        if !session.hello.probe {
            self.records().open(session.number, || Connection {
                id: session.id.to_string(),
                state: session.stage().as_str().to_owned(),
                client: Some(session.client.to_string()),
                ..Connection::default()
            });
        }
    }

    /// The `pcm-info` for a client that connected to this local address.
    pub(super) fn pcm_info(&self, local: IpAddr) -> PcmInfo {
        PcmInfo {
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            ip_address: self.config.host_address.address.unwrap_or(local).to_string(),
            hostname: self.hostname.clone(),
        }
    }
}

fn timeouts(config: &cmsg_config::ConnectionManager) -> Timeouts {
    Timeouts { handshake: config.tls_handshake, head: config.http_head }
}

impl Observe for Shared {
    fn status(&self) -> Status {
        let health = self.health.now();
        let (sessions, in_use) = {
            let sessions = self.sessions();
            (sessions.len(), sessions.in_use(clock::now()))
        };
        Status {
            failover: None,
            role: Role::Cm,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            ready: health == Some(Health::Ready) && !self.drain.is_on(),
            reason: match health {
                _ if self.drain.is_on() => Some(drain::REASON.to_owned()),
                None => Some(socket::NOT_LOOKED.to_owned()),
                Some(health) => health.reason().map(str::to_owned),
            },
            listens: self.listens.clone(),
            sessions,
            usage: Some(Usage { in_use, resumable: sessions - in_use }),
            files_read: Some(self.files.read_at()),
            started: Some(clock::started().as_millis()),
            deployment: socket::deployment(),
            turned_away: None,
            unserved: Some(self.unserved.counted(&self.bodies, self.gateways.standings())),
            broker: Some(self.health.broker_status(&self.broker)),
            logons: Some(self.logons.counts()),
        }
    }

    fn connections(&self) -> Connections {
        Connections { connections: self.records().all() }
    }

    fn reload(&self) -> anyhow::Result<()> {
        self.files.reload()
    }

    fn drain(&self) -> &Drain {
        &self.drain
    }

    fn drain_changed(&self) {
        self.journal.write_whole();
    }
}
