//! The simulated agent: launches sessions over HTTPS, and accepts their TCP and UDP connections.

mod conversation;
mod datagrams;
mod launch;
mod sessions;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::credentials::Credentials;
use crate::datagram::Format;
use crate::events::Events;
use crate::faults::Faults;
use crate::http::server;
use crate::layout::Layout;
use crate::serve::{self, Running, Scope, StartError};
use crate::tag::Tag;
use crate::tls::{CertificateKind, Identity};
use crate::traffic::{Totals, Traffic};
pub use launch::Launch;
use sessions::Sessions;

/// How an agent behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens for launches.
    pub listen: SocketAddr,
    /// Where it listens for clients, on TCP and on UDP.
    pub pcoip_listen: SocketAddr,
    /// The spelling of its control messages.
    pub layout: Layout,
    /// Whether datagrams have a transport header.
    pub transport_header: bool,
    pub requires: Requires,
    /// The accepted user; any user if `None`.
    pub expect: Option<Credentials>,
}

/// What an agent requires to answer the datagrams of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Requires {
    /// Only a known SPI.
    #[default]
    Nothing,
    /// A control connection.
    Control,
    /// The source address of the flow's first datagram.
    Source,
    /// That no control connection of the session has ended yet.
    Unbroken,
}

/// What an agent has to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    Ready {
        /// Where it takes launches.
        https: SocketAddr,
        /// Where it takes clients, on TCP and on UDP.
        pcoip: SocketAddr,
    },
    /// It was asked to launch a session.
    Launch(Box<Launch>),
    /// A client or gateway opened a control connection.
    Connected {
        peer: SocketAddr,
        /// The name that it asked for.
        sni: Option<String>,
    },
    /// It sent an issued tag.
    TagOk {
        peer: SocketAddr,
        /// Whose tag it is.
        session_id: String,
    },
    /// The first datagram of a flow arrived.
    Udp {
        from: SocketAddr,
        session_id: String,
        spi: String,
        /// The SPI of the answers.
        answer_spi: String,
    },
    /// The peer violated the protocol.
    Violation { what: String },
    /// A control connection has ended.
    Closed {
        /// From where it came.
        peer: SocketAddr,
        /// Whose it was, if a tag was shown.
        session_id: Option<String>,
        reason: String,
    },
    Totals {
        #[serde(flatten)]
        traffic: Totals,
        /// Datagrams that were not what a client sends.
        udp_rejected: u64,
        /// The ports that good datagrams came from.
        udp_source_ports: BTreeSet<u16>,
    },
}

/// An agent that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Agent {
    /// Where it takes launches.
    pub https: SocketAddr,
    /// Where it takes clients, on TCP and on UDP.
    pub pcoip: SocketAddr,
    /// What it has to say: [`Event::Ready`] first, [`Event::Totals`] last.
    pub events: UnboundedReceiver<Event>,
    /// What it does wrong when it is to launch sessions.
    pub faults: Faults,
    shared: Arc<Shared>,
    running: Running,
}

/// What all of an agent's tasks use.
#[derive(Debug)]
struct Shared {
    options: Options,
    /// Where clients are sent.
    pcoip: SocketAddr,
    events: Events<Event>,
    traffic: Arc<Traffic>,
    sessions: Mutex<Sessions>,
    rejected: AtomicU64,
    source_ports: Mutex<BTreeSet<u16>>,
}

pub async fn start(options: Options) -> Result<Agent, StartError> {
    let (launches, https) = serve::listen(options.listen).await?;
    let (clients, socket, pcoip) = listen_twice(options.pcoip_listen).await?;
    let identity = Identity::generate(CertificateKind::Plain, https.ip())?;
    let (sink, events) = Events::channel();
    sink.emit(Event::Ready { https, pcoip });

    let shared = Arc::new(Shared::new(options, pcoip, sink));
    let scope = Scope::default();
    let faults = Faults::default();
    let played = faults.clone();
    let at_launch = Arc::clone(&shared);
    scope.accept(launches, identity.acceptor.clone(), move |stream, _| {
        let (shared, faults) = (Arc::clone(&at_launch), played.clone());
        async move {
            server::serve(stream, &faults, |request| launch::answer(&shared, request)).await;
        }
    });
    let at_connect = Arc::clone(&shared);
    scope.accept(clients, identity.acceptor, move |stream, peer| {
        conversation::hold(Arc::clone(&at_connect), stream, peer)
    });
    scope.spawn(datagrams::serve(Arc::clone(&shared), socket));
    Ok(Agent { https, pcoip, events, faults, shared, running: Running::new(scope) })
}

impl Agent {
    /// Launches a session without a request, and returns its tag.
    pub fn issue(&self) -> Tag {
        self.shared.sessions().launch().1
    }

    /// Stops the agent, emits its totals, and returns when all tasks have ended.
    pub async fn stop(&self) {
        self.running.stop().await;
        self.shared.events.emit(self.shared.totals());
    }
}

impl Shared {
    fn new(options: Options, pcoip: SocketAddr, events: Events<Event>) -> Self {
        Self {
            options,
            pcoip,
            events,
            traffic: Arc::default(),
            sessions: Mutex::default(),
            rejected: AtomicU64::default(),
            source_ports: Mutex::default(),
        }
    }

    fn format(&self) -> Format {
        Format { transport_header: self.options.transport_header }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source_ports(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        self.source_ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn violation(&self, what: impl Into<String>) {
        self.events.emit(Event::Violation { what: what.into() });
    }

    fn totals(&self) -> Event {
        Event::Totals {
            traffic: self.traffic.totals(),
            udp_rejected: self.rejected.load(Ordering::Relaxed),
            udp_source_ports: self.source_ports().clone(),
        }
    }
}

/// Binds TCP and UDP on the same port. For port 0, retries if the UDP port is in use.
async fn listen_twice(
    address: SocketAddr,
) -> Result<(TcpListener, UdpSocket, SocketAddr), StartError> {
    let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        let (listener, taken) = serve::listen(address).await?;
        attempts -= 1;
        match UdpSocket::bind(taken).await {
            Ok(socket) => return Ok((listener, socket, taken)),
            Err(source) if attempts == 0 => {
                return Err(StartError::Listen { address: taken, source });
            }
            Err(_) => {}
        }
    }
}

const PORT_ATTEMPTS: u32 = 16;
