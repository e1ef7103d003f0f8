//! One gateway: its addresses, how to contact it, and its state.

use std::{
    fs::File,
    net::IpAddr,
    os::fd::AsRawFd as _,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use cmsg_config::{
    cause,
    connection_manager::ExternalGateway,
    distrust,
    socket::{self, GatewayStanding, LastRefusal, Role},
};
use cmsg_proto::{
    control::{GRANT_HEADER, HEALTH, Offer, PATH, PORT},
    xml,
};
use http::{HeaderName, HeaderValue, Method, header};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::reachability::{Answer, Reachability, ReachabilityChange};
use crate::{
    clock,
    connection_manager::upstream::{self, Address, Client, Failure, Reply, Request},
    https::bodies::Buffer,
    reload::Files,
    tls::{LastRefused, Trust},
};

const GRANT: HeaderName = HeaderName::from_static(GRANT_HEADER);

/// Timeout of an announcement. A gateway only stores the session.
const WAIT: Duration = Duration::from_secs(5);

/// Timeout of a check. Load balancers wait five seconds for `/health`.
const LOOK: Duration = Duration::from_secs(3);

/// How long a check of the gateway of this host stays pending. The socket reports when the gateway
/// exits, so this matters only for one that loses a request.
const UNANSWERED: Duration = Duration::from_secs(3600);

/// How long the gateway of this host may take to start before it counts as not answering. Load
/// balancers wait five seconds for `/health`.
const START: Duration = Duration::from_secs(3);

/// How often it is checked while it starts.
const START_POLL: Duration = Duration::from_millis(50);

/// Maximum number of announcements of other hosts that are forwarded at once. Anyone can send them,
/// and the gateway must keep serving its own host.
pub(in crate::connection_manager) const PLACES: usize = 16;

use answers::{found, is_away};
use grants::GrantQueue;
pub(super) use grants::Queued;

mod answers;
mod grants;

/// A check that may be answered after its timeout.
type Pending = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send>>;

pub(in crate::connection_manager) struct Gateway {
    /// Public addresses for clients, at most one for IPv4 and one for IPv6.
    addresses: Vec<IpAddr>,
    /// Its public addresses, and its control address if another gateway has the same.
    name: String,
    pub(super) port: u16,
    client: Client,
    certificate: LastRefused,
    /// Where it accepts announcements.
    control: Arc<Address>,
    /// The directory of the unix socket, which the HTTP client opens through this descriptor.
    folder: Option<File>,
    /// The check of the gateway of this host that has not been answered yet.
    pending: tokio::sync::Mutex<Option<Pending>>,
    /// Permits to forward announcements of other hosts.
    places: Semaphore,
    reachability: Mutex<Reachability>,
    /// What it offered in its last answer to a check.
    offer: Mutex<Offer>,
    /// Grants on their way to it.
    grants: GrantQueue,
    last_refusal: Mutex<Option<LastRefusal>>,
    accepted: AtomicU64,
    refused: AtomicU64,
    silent: AtomicU64,
}

impl Gateway {
    pub(super) fn own(
        config: &cmsg_config::ConnectionManager,
        files: &Files,
    ) -> anyhow::Result<Self> {
        let run = &config.run_directory;
        let folder = File::open(run).with_context(|| format!("opening `{}`", run.display()))?;
        let socket = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), Role::Sg.socket());
        let client = Client::watched(&Trust::Off, files, WAIT)?;
        let control = Address::Unix(socket.into());
        let gateway = Self::new(config.own_gateway.clone(), client, control);
        Ok(Self { port: config.external_port, folder: Some(folder), ..gateway })
    }

    pub(super) fn external(
        config: &cmsg_config::ConnectionManager,
        gateway: &ExternalGateway,
        files: &Files,
    ) -> anyhow::Result<Self> {
        let ExternalGateway { address, control, .. } = gateway;
        let same = |other: &&ExternalGateway| other.address == *address;
        let is_shared = config.external_gateways.iter().filter(same).count() > 1;
        let trust = upstream::trust(config, true, gateway.pin.into_iter().collect());
        let client = Client::watched(&trust, files, WAIT)?;
        let gateway = Self::new(vec![*address], client, Address::Tcp(control.clone()));
        Ok(match is_shared {
            true => Self { name: format!("{address} ({control})"), ..gateway },
            false => gateway,
        })
    }

    fn new(
        addresses: Vec<IpAddr>,
        (client, certificate): (Client, LastRefused),
        control: Address,
    ) -> Self {
        let names: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Self {
            addresses,
            name: names.join(", "),
            port: PORT,
            client,
            certificate,
            control: Arc::new(control),
            folder: None,
            pending: tokio::sync::Mutex::default(),
            places: Semaphore::new(PLACES),
            reachability: Mutex::default(),
            offer: Mutex::default(),
            grants: GrantQueue::default(),
            last_refusal: Mutex::default(),
            accepted: AtomicU64::default(),
            refused: AtomicU64::default(),
            silent: AtomicU64::default(),
        }
    }

    /// Whether it runs on this host.
    pub(super) fn is_own(&self) -> bool {
        self.folder.is_some()
    }

    /// Waits until the gateway of this host has started, since both roles may start at the same
    /// time. Returns after [`START`] at the latest, and immediately for a gateway on another host.
    pub(in crate::connection_manager) async fn wait_for_start(&self) {
        let answers = async {
            while let Answer::Silent(_) = self.ask().await {
                sleep(START_POLL).await;
            }
        };
        if self.is_own() {
            let _ = timeout(START, answers).await;
        }
    }

    /// Checks the gateway and logs a change. Returns whether it accepts sessions.
    pub(in crate::connection_manager) async fn look(&self) -> bool {
        let found = self.ask().await;
        self.changes(|reachability| reachability.looked(found, clock::now()));
        self.found() == Some(Answer::Takes)
    }

    async fn ask(&self) -> Answer {
        self.ask_within(LOOK).await
    }

    async fn ask_within(&self, wait: Duration) -> Answer {
        let asked = self.request(Method::GET, HEALTH).closing();
        let asked = asked.header(header::CONNECTION, "close");
        let answered = match self.is_own() {
            true => self.ask_once(asked, wait).await,
            false => asked.timeout(wait).send(Bytes::new(), Buffer::unaccounted()).await,
        };
        match answered {
            Ok(reply) => {
                if !is_away(reply.status) {
                    *self.offer.lock().unwrap_or_else(PoisonError::into_inner) =
                        Offer::parse(&reply.body);
                }
                found(&reply)
            }
            Err(failure) => {
                let failure = failure.explained(&self.certificate);
                Answer::Silent(cause::chain(&failure))
            }
        }
    }

    /// Waits for the answer to the pending check, or sends this one. A gateway that hangs has at most one
    /// connection of a check in the queue of its socket, so that others can still connect.
    async fn ask_once(&self, request: Request, wait: Duration) -> Result<Reply, Failure> {
        let mut pending = self.pending.lock().await;
        let check = pending.get_or_insert_with(|| {
            Box::pin(request.timeout(UNANSWERED).send(Bytes::new(), Buffer::unaccounted()))
        });
        let answered = timeout(wait, check).await.map_err(|_| Failure::TimedOut)?;
        *pending = None;
        answered
    }

    /// The result of the last check; `None` before the first one.
    pub(in crate::connection_manager) fn found(&self) -> Option<Answer> {
        self.reachability.lock().unwrap_or_else(PoisonError::into_inner).found().cloned()
    }

    /// What it offered when it last answered a check.
    pub(in crate::connection_manager) fn offer(&self) -> Offer {
        *self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces a session with this token. A gateway that accepts grants gets that of the session
    /// too, to pass it on.
    pub(super) async fn announce(
        &self,
        token: String,
        document: Zeroizing<String>,
        granted: Option<&Bytes>,
    ) -> anyhow::Result<Reply> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
        bearer.set_sensitive(true);
        let mut request = self.request(Method::POST, PATH).header(header::AUTHORIZATION, bearer);
        if let Some(granted) = granted.filter(|_| self.accepts_grants()) {
            request = request.header(GRANT, granted.as_ref());
        }
        let sent = request
            .send_document(document, Buffer::unaccounted(), xml::MAX_BYTES)
            .await
            .map_err(|failure| anyhow::Error::new(failure.explained(&self.certificate)));
        let answered = sent.and_then(|reply| match is_away(reply.status) {
            false => Ok(reply),
            true => Err(anyhow::anyhow!("it returned {}", reply.status)),
        });
        match &answered {
            Ok(_) => self.changes(Reachability::answered),
            Err(error) => {
                self.silent.fetch_add(1, Relaxed);
                let why = cause::chain(error.as_ref());
                self.changes(|reachability| reachability.unanswered(why, clock::now()));
            }
        }
        answered
    }

    /// Records whether it accepted a session, if it answered.
    pub(super) fn note_answer<T>(&self, answer: &anyhow::Result<T>) {
        let refusal = answer.as_ref().err().map(|why| LastRefusal {
            at: distrust::date(clock::wall().as_secs()),
            reason: cause::chain(why.as_ref()),
        });
        let counter = if refusal.is_some() { &self.refused } else { &self.accepted };
        counter.fetch_add(1, Relaxed);
        *self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    fn changes(&self, change: impl FnOnce(&mut Reachability) -> Option<ReachabilityChange>) {
        let mut reachability = self.reachability.lock().unwrap_or_else(PoisonError::into_inner);
        let gateway = || self.name();
        match (change(&mut reachability), reachability.found()) {
            (Some(ReachabilityChange::Away), Some(Answer::Silent(error))) => {
                warn!(gateway = gateway(), error, "A gateway does not answer and is tried last");
            }
            (Some(ReachabilityChange::Back), _) => {
                info!(gateway = gateway(), "A gateway answers again");
            }
            _ => {}
        }
    }

    /// Gateways that do not accept sessions are tried after the others, and those that do not answer
    /// after these.
    pub(super) fn rank(&self) -> u8 {
        match self.reachability.lock().unwrap_or_else(PoisonError::into_inner).found() {
            Some(Answer::Takes) | None => 0,
            Some(Answer::Refuses(_)) => 1,
            Some(Answer::Silent(_)) => 2,
        }
    }

    /// The gateway with the lowest value has the fewest sessions. Of gateways with the same
    /// percentage, it is the one that has accepted the fewest sessions of this host. Gateways that
    /// report no load have the same value.
    pub(super) fn load(&self) -> (u8, u64) {
        let percent = self.offer().load;
        percent.map_or((u8::MAX, 0), |percent| (percent, self.accepted.load(Relaxed)))
    }

    /// Whether both are the same gateway, which may have several public addresses.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.control == other.control
    }

    /// Forwards an announcement of another host.
    pub(in crate::connection_manager) async fn pass_on(
        &self,
        token: Option<HeaderValue>,
        grant: Option<HeaderValue>,
        announcement: Bytes,
    ) -> Result<Reply, Failure> {
        let mut request = self.request(Method::POST, PATH).of_type(upstream::CONTENT_TYPE);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        if let Some(grant) = grant {
            request = request.header(GRANT, grant);
        }
        self.in_place(request.send(announcement, Buffer::unaccounted())).await
    }

    fn request(&self, method: Method, path: &str) -> Request {
        self.client.request(method, &self.control, path)
    }

    /// Forwards a grant of another host.
    pub(in crate::connection_manager) async fn pass_on_grant(
        &self,
        token: Bytes,
    ) -> Result<Reply, Failure> {
        self.in_place(self.post_grant(token)).await
    }

    async fn in_place(
        &self,
        exchange: impl Future<Output = Result<Reply, Failure>>,
    ) -> Result<Reply, Failure> {
        let exchange = async {
            let _place = self.places.acquire().await;
            exchange.await
        };
        timeout(WAIT, exchange).await.unwrap_or(Err(Failure::TimedOut))
    }

    pub(super) fn address_for(&self, client: IpAddr) -> Option<IpAddr> {
        let same_family = |address: &&IpAddr| address.is_ipv4() == client.is_ipv4();
        self.addresses.iter().find(same_family).or_else(|| self.addresses.first()).copied()
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    pub(super) fn has_family_of(&self, client: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.is_ipv4() == client.is_ipv4())
    }

    /// Its name for the log and the status.
    pub(in crate::connection_manager) fn name(&self) -> String {
        self.name.clone()
    }

    /// Its state, for `GET /status`.
    pub(super) fn standing(&self) -> GatewayStanding {
        let (takes_sessions, reason) = match self.found() {
            None => (false, Some(socket::NOT_LOOKED.to_owned())),
            Some(Answer::Takes) => (true, None),
            Some(Answer::Refuses(reason) | Answer::Silent(reason)) => (false, Some(reason)),
        };
        GatewayStanding {
            gateway: self.name(),
            is_own: Some(self.is_own()),
            takes_sessions,
            reason,
            refused: self.refused.load(Relaxed),
            silent: self.silent.load(Relaxed),
            last_refusal: self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

#[cfg(test)]
mod tests;
