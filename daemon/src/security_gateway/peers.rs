//! The connections between gateways (`docs/protocol/peers.md`). Each gateway connects to every peer
//! and sends on that connection; it receives on those that it accepts. So a connection has one
//! direction, and either end notices on its own that it is broken.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::Context as _;
use cmsg_config::{Failover, failover, socket::Listen, values::Pin};
use cmsg_proto::failover::{Frame, GatewayId, Grant, Recipient};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::info;

use crate::{listen, tls::peers::Identity};
use accept::{Acceptor, Limits};
use connect::{Connector, Queue};

mod accept;
mod connect;
#[cfg(test)]
mod tests;

/// The file with the key of this gateway.
const KEY: &str = "peer.key";

/// A frame that is to be sent.
pub(super) type Outgoing = (Recipient, Frame);

/// Handles frames from peers.
pub(super) trait Receive: Send + Sync + 'static {
    /// The grant with this token, if its signature is valid and its agent is allowed.
    fn verify(&self, token: &str) -> Option<Grant>;

    /// A part of a long frame arrived or is being parsed: the peer runs.
    fn arriving(&self, from: GatewayId);

    /// A frame arrived.
    fn receive(&self, from: GatewayId, frame: Frame);
}

/// The bound port for peers, and what is needed to connect to them.
#[derive(Debug)]
pub(super) struct Peers {
    listener: Option<TcpListener>,
    config: Failover,
    identity: Identity,
    limits: Limits,
    connected: Arc<Connected>,
}

/// How this gateway is connected to its peers.
#[derive(Debug)]
pub(super) struct Peering {
    pub(super) config: Failover,
    /// The SHA-256 of the key of this gateway.
    pub(super) pin: Pin,
    pub(super) connected: Arc<Connected>,
}

/// Which peers this gateway has connections to, and how many bytes it has sent to each.
#[derive(Debug, Default)]
pub(super) struct Connected(BTreeMap<GatewayId, (AtomicBool, AtomicU64)>);

impl Connected {
    fn new(config: &Failover) -> Self {
        let peers = config.peers.iter();
        Self(peers.map(|peer| (GatewayId(peer.id), Default::default())).collect())
    }

    fn set(&self, peer: GatewayId, is_connected: bool) {
        if let Some((entry, _)) = self.0.get(&peer) {
            entry.store(is_connected, Relaxed);
        }
    }

    fn count(&self, peer: GatewayId, bytes: usize) {
        if let Some((_, sent)) = self.0.get(&peer) {
            sent.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Whether frames are sent to the peer.
    pub(super) fn has(&self, peer: GatewayId) -> bool {
        self.0.get(&peer).is_some_and(|(entry, _)| entry.load(Relaxed))
    }

    /// Number of bytes sent to the peer.
    pub(super) fn sent(&self, peer: GatewayId) -> u64 {
        self.0.get(&peer).map_or(0, |(_, sent)| sent.load(Relaxed))
    }
}

/// What a session needs in a frame at most: its grant and its flows.
const MAX_SESSION: usize = 2048;

/// The longest frame in bytes: a snapshot of 100,000 sessions.
const MAX_FRAME: usize = 128 * 1024 * 1024;

/// What a snapshot contains of a session: its grant, who serves it, and its flows.
const STATEMENTS: usize = 3;

/// The byte that a gateway sends after it has accepted the key of a peer that connects. In TLS 1.3,
/// the peer completes the handshake before that.
const ACCEPTED: u8 = 1;

impl Peers {
    /// Loads the key, and binds the port.
    ///
    /// # Errors
    ///
    /// If the key is invalid, or the port cannot be bound.
    pub(super) fn bind(config: &Failover, data: &Path, remembered: usize) -> anyhow::Result<Self> {
        let identity = Identity::load_or_create(&data.join(KEY))?;
        let listener = config.listen.map(|address| {
            listen::tcp(address).with_context(|| format!("binding `PeerListenAddress` {address}"))
        });
        let listener = listener.transpose()?;
        let pin = identity.pin;
        info!(gateway = config.id, %pin, "The key of this gateway for its peers");
        Ok(Self {
            listener,
            config: config.clone(),
            identity,
            limits: Limits::new(remembered),
            connected: Arc::new(Connected::new(config)),
        })
    }

    /// The bound address.
    pub(super) fn listens(&self) -> anyhow::Result<Option<Listen>> {
        let listens = |listener: &TcpListener| {
            let address = listener.local_addr().context("reading a bound address")?;
            Ok(Listen { key: "peers".to_owned(), transport: "tcp".to_owned(), address })
        };
        self.listener.as_ref().map(listens).transpose()
    }

    /// What the status reports.
    pub(super) fn peering(&self) -> Peering {
        Peering {
            config: self.config.clone(),
            pin: self.identity.pin,
            connected: Arc::clone(&self.connected),
        }
    }

    /// Connects to all peers and accepts their connections until the shutdown. Sends `frames`.
    pub(super) fn serve(
        self,
        frames: mpsc::UnboundedReceiver<Outgoing>,
        receiver: Arc<dyn Receive>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { listener, config, identity, limits, connected } = self;
        let mut queues = BTreeMap::new();
        let mut pins = BTreeMap::new();
        for failover::Peer { id, address, pin } in config.peers {
            let id = GatewayId(id);
            let queue = Queue::new();
            let connector =
                Connector::new((id, address), &identity, pin, &queue, Arc::clone(&connected))?;
            queues.insert(id, queue);
            pins.insert(pin.0, id);
            tasks.spawn(stop.clone().run_until_cancelled_owned(connector.keep_connected()));
        }
        tasks.spawn(stop.clone().run_until_cancelled_owned(send(frames, queues)));
        if let Some(listener) = listener {
            let tls = identity.server(pins.keys().copied().map(Pin).collect())?;
            let acceptor = Acceptor::new(tls, pins, limits, receiver);
            tasks.spawn(acceptor.accept(listener, tasks.clone(), stop.clone()));
        }
        Ok(())
    }
}

/// Encodes each frame once, and queues it for its recipients.
async fn send(
    mut frames: mpsc::UnboundedReceiver<Outgoing>,
    queues: BTreeMap<GatewayId, Arc<Queue>>,
) {
    while let Some((to, frame)) = frames.recv().await {
        let bytes: Arc<[u8]> = framed(&frame.encode()).into();
        match to {
            Recipient::All => queues.values().for_each(|queue| queue.push(&bytes)),
            Recipient::Peer(peer) => queues.get(&peer).into_iter().for_each(|queue| {
                queue.push(&bytes);
            }),
        }
    }
}

/// A frame behind its length.
fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), frame].concat()
}
