//! The single owner of the rules: passes them the time, publishes the routes, closes control
//! connections that lost their session, and logs the end of sessions.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
};

use cmsg_config::socket::{Connection, EndReason, Traffic, TurnedAway, Usage};
use cmsg_proto::{
    SessionKey, TagDigest, Time,
    allowed::Forbidden,
    control::{AddConnection, Claims, ClaimsError, ReplayError, Replays},
    failover::{Grant, Saved, Standby},
    gateway::{
        Admission, Admitted, Announcement, Control, Destination, Dropped, Journal, Local, Origin,
        Refusal, Routes, Side, Slot, SpiCandidates,
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::{settings::Settings, settle::Expected};
use super::{
    counters::{Counters, count, since},
    ends::Ends,
    floods::Floods,
    sockets::Pair,
};
use crate::{
    clock,
    drain::{self, Drain},
    journal::JournalQueue,
    own_addresses::{self, OwnAddresses},
};

mod agents;
mod failover;
mod settings;
mod settle;
mod taken_over;

pub(super) use failover::{NotGranted, TICK};
use failover::{served, standing_by};
use taken_over::TakeOvers;

/// Admission, routes and counters of a gateway.
#[derive(Debug)]
pub(super) struct GatewayState {
    /// Public addresses, and those that move between gateways.
    external: Vec<IpAddr>,
    /// The listening address for clients.
    listen: SocketAddr,
    own: OwnAddresses,
    settings: Settings,
    core: Mutex<Core>,
    /// Where datagrams go, as the workers read it. Only changed by the owner of the lock.
    pub(super) routes: Routes,
    pub(super) journal: Arc<JournalQueue<Journal>>,
    /// The journal of granted sessions.
    pub(super) granted: Arc<JournalQueue<Saved>>,
    /// Number of announced sessions so far.
    announced: watch::Sender<u64>,
    pub(super) counters: Counters,
    pub(super) drain: Drain,
    pub(super) ends: Ends,
    floods: Floods,
}

/// The state behind the lock. Datagrams with a route do not need it.
#[derive(Debug)]
struct Core {
    admission: Admission,
    /// The sessions that gateways know in common; `None` without peers.
    standby: Option<Standby>,
    /// Where frames to peers go.
    frames: Option<failover::Sender>,
    expected: Expected,
    /// The sessions of other gateways that this one serves now.
    taken_over: TakeOvers,
    /// When the sessions from before the restart end unless their clients were heard.
    unheard: Option<Time>,
    /// The keys of sessions that may be taken over, to report their ends.
    keys: HashMap<Slot, SessionKey>,
    replays: Replays,
    /// Whether control connections close because the gateway is stopping.
    stopping: bool,
    /// Closes a control connection.
    closers: HashMap<Control, CancellationToken>,
    /// The counters of each session's slot when the session began.
    began: HashMap<Slot, Traffic>,
    /// Dropped datagrams and refused clients, as last logged.
    turned_away: TurnedAway,
}

/// Why an announcement is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("the agent's address is the gateway's own")]
    Itself,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("{}", drain::REASON)]
    Draining,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// More than any gateway receives in the 90 seconds for which tokens are remembered.
const REPLAYS: usize = 65_536;

impl GatewayState {
    /// A gateway with this listening address.
    pub(super) fn new(
        config: &cmsg_config::SecurityGateway,
        listen: SocketAddr,
        sockets: &[Arc<Pair>],
    ) -> Self {
        let sessions = settings::sessions(config);
        let shared = config.failover.iter().flat_map(|failover| failover.shared.iter().copied());
        let external: Vec<_> = config.external.iter().copied().chain(shared).collect();
        let core = Core {
            admission: Admission::new(settings::rules(sessions, &config.timeouts)),
            standby: None,
            frames: None,
            expected: Expected::default(),
            taken_over: TakeOvers::default(),
            unheard: None,
            keys: HashMap::new(),
            replays: Replays::new(REPLAYS),
            stopping: false,
            closers: HashMap::new(),
            began: HashMap::new(),
            turned_away: TurnedAway::default(),
        };
        Self {
            own: OwnAddresses::new(external.iter().copied().chain([listen.ip()])),
            external,
            listen,
            settings: Settings::new(config, sessions),
            core: Mutex::new(core),
            routes: Routes::default(),
            journal: Arc::new(JournalQueue::new()),
            granted: Arc::new(JournalQueue::new()),
            announced: watch::Sender::new(0),
            counters: Counters::new(sessions),
            drain: Drain::load(&config.data_directory, "security-gateway"),
            ends: Ends::new(config),
            floods: Floods::new(sockets),
        }
    }

    /// Restores the state from before a restart, except sessions whose agents are not allowed any
    /// more by a changed configuration.
    pub(super) fn restore(&self, mut journal: Journal) {
        let written = journal.count();
        let mut core = self.core();
        // The others are served when their clients are heard: another gateway may have them.
        journal.retain(|_, key, _| !Self::is_granted(&core, key));
        journal.retain(|session, _, agent| {
            let judged = self.judge(agent);
            if let Err(error) = &judged {
                warn!(%session, %error, "A session from before the restart was not restored");
                self.ends.report(session, EndReason::Unknown);
            }
            judged.is_ok()
        });
        core.admission.restore(journal, clock::now());
        self.settle(&mut core);
        let sessions = core.admission.count();
        if written > 0 {
            info!(sessions, written, "Restored the sessions from before the restart");
        }
    }

    /// The state to be persisted, and the number of the last record that led to it.
    pub(super) fn journal(&self) -> (Journal, u64) {
        let core = self.core();
        // No record is queued while the state is locked.
        (core.admission.journal(), self.journal.restart())
    }

    /// Starts the shutdown, which closes the remaining control connections. Their sessions can be
    /// resumed after the restart for the full time, as after a crash.
    pub(super) fn stop(&self) {
        self.core().stopping = true;
    }

    /// Handles an announcement with a verified signature.
    pub(super) fn announce(
        &self,
        claims: &Claims,
        announced: &AddConnection,
        grant: Option<Grant>,
    ) -> Result<(), NotTaken> {
        let wall = clock::wall();
        claims.check(announced, &self.external, wall)?;
        self.judge(announced.agent)?;
        let mut core = self.core();
        if self.drain.is_on()
            && !core.admission.has(&announced.connection_id, announced.session_key)
        {
            return Err(NotTaken::Draining);
        }
        core.replays.use_once(claims, wall)?;
        let announcement = Announcement {
            id: announced.connection_id.clone(),
            key: announced.session_key,
            agent: announced.agent,
            hostname: announced.hostname.clone(),
            tag: announced.tag.digest(),
            issued: claims.issued(),
        };
        let now = clock::now();
        let taken = core.admission.announce(announcement.clone(), now);
        if taken.is_ok() {
            Self::share(&mut core, &announcement, grant, now);
        }
        self.settle(&mut core);
        Ok(taken?)
    }

    /// Notified when a session was announced.
    pub(super) fn announcements(&self) -> watch::Receiver<u64> {
        self.announced.subscribe()
    }

    /// Lengths in bytes of the tags that would be admitted.
    pub(super) fn tag_lengths(&self) -> Vec<usize> {
        let core = self.core();
        let granted = core.standby.iter().flat_map(Standby::tag_lengths);
        let lengths: BTreeSet<_> =
            core.admission.tag_lengths().into_iter().chain(granted).collect();
        lengths.into_iter().collect()
    }

    /// The first of these tags that belongs to an announced session, or else to a granted one.
    pub(super) fn announced(&self, tags: &[TagDigest]) -> Option<TagDigest> {
        let (core, now) = (self.core(), clock::now());
        let announced = core.admission.announced(tags.iter().copied(), now);
        announced.or_else(|| core.standby.as_ref()?.granted(tags.iter().copied(), now))
    }

    /// Admits a client that sent one of these tags. The token is cancelled when its control
    /// connection must be closed.
    pub(super) fn admit(
        &self,
        tags: &[TagDigest],
        client: IpAddr,
    ) -> Option<(Admitted, CancellationToken)> {
        let (mut core, now) = (self.core(), clock::now());
        self.take_over(&mut core, tags, now);
        let admitted = core.admission.admit(tags, client, now)?;
        let ended = CancellationToken::new();
        core.closers.insert(admitted.control, ended.clone());
        self.settle(&mut core);
        Some((admitted, ended))
    }

    /// Reads control bytes from that side. Returns whether more are needed.
    pub(super) fn observe(&self, control: Control, side: Side, bytes: &[u8]) -> bool {
        let mut core = self.core();
        let wanted = core.admission.observe(control, side, bytes);
        self.settle(&mut core);
        wanted
    }

    /// The control connection was closed.
    pub(super) fn control_closed(&self, control: Control) {
        let mut core = self.core();
        core.closers.remove(&control);
        if !core.stopping {
            core.admission.control_closed(control, clock::now());
            self.settle(&mut core);
        }
    }

    /// The destination of a datagram without a route, and its sequence number. Counts a drop.
    pub(super) fn decide(
        &self,
        side: Side,
        (from, at): (SocketAddr, Option<IpAddr>),
        candidates: SpiCandidates,
    ) -> Option<(Destination, Option<u32>)> {
        let is_usual = |at| own_addresses::usual_source(from).is_ok_and(|usual| usual == at);
        let local = at.map(|at| Local { at, is_usual: is_usual(at) });
        let mut core = self.core();
        let origin = Origin { from, local };
        let decided = self.judge_datagram(&mut core, (side, origin), candidates, clock::now());
        self.settle(&mut core);
        let drops = &self.counters.drops;
        match decided {
            Ok(destination) => {
                let numbered = self.routes.read().find_numbered(side, from, candidates);
                return Some((destination, numbered.and_then(|(_, sequence)| sequence)));
            }
            Err(Dropped::Unknown) => count(&drops.unknown),
            Err(Dropped::Ambiguous) => count(&drops.ambiguous),
            Err(Dropped::NoDestination) => count(&drops.no_destination),
        }
        None
    }

    pub(super) fn tick(&self) {
        let mut core = self.core();
        core.admission.tick(clock::now(), |flow| self.counters.datagrams(flow));
        self.end_unheard(&mut core, clock::now());
        self.settle(&mut core);
        let turned_away = self.counters.turned_away();
        if turned_away != core.turned_away {
            core.turned_away = turned_away;
            let TurnedAway { datagrams, clients } = turned_away;
            debug!(?datagrams, ?clients, "Dropped datagrams and refused clients so far");
        }
    }

    /// Has the kernel drop a flood of datagrams, while there is one.
    pub(super) fn check_flood(&self) {
        let unknown = &self.counters.drops.unknown;
        let expected = || self.routes.read().expected(Side::Client).collect();
        let filtered = self.floods.check(unknown.load(Relaxed), expected, clock::now());
        unknown.fetch_add(filtered, Relaxed);
    }

    pub(super) fn usage(&self) -> Usage {
        let usage = self.core().admission.usage(clock::now());
        Usage { in_use: usage.in_use, resumable: usage.resumable }
    }

    /// Why no further session is accepted.
    pub(super) fn why_not_ready(&self) -> Option<String> {
        if self.drain.is_on() {
            return Some(drain::REASON.to_owned());
        }
        self.core().admission.is_full().then(|| Refusal::Full.to_string())
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        let core = self.core();
        let connection = |view: cmsg_proto::gateway::View<'_>| Connection {
            id: view.id.to_string(),
            state: view.state.to_owned(),
            client: view.client.map(|ip| ip.to_string()),
            agent: Some(view.agent.to_string()),
            exchanges: Vec::new(),
            traffic: Some(self.traffic(&core, view.slot)),
            served: served(&core, core.admission.key(view.slot)),
        };
        core.admission.views().map(connection).chain(standing_by(&core)).collect()
    }

    fn traffic(&self, core: &Core, slot: Slot) -> Traffic {
        let before = core.began.get(&slot).copied().unwrap_or_default();
        since(self.counters.traffic(slot), before)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
