//! Connections between gateways on the loopback interface.

use std::{net::SocketAddr, sync::Mutex, time::Duration};

use cmsg_config::values::HostPort;
use cmsg_proto::failover::{BootId, Content};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

mod hostile;

/// Long enough for any machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Records the frames that arrive.
#[derive(Default)]
struct Received(Mutex<Vec<(GatewayId, Frame)>>);

impl Receive for Received {
    fn verify(&self, _: &str) -> Option<Grant> {
        None
    }

    fn arriving(&self, _: GatewayId) {}

    fn receive(&self, from: GatewayId, frame: Frame) {
        self.0.lock().unwrap().push((from, frame));
    }
}

impl Received {
    async fn until(&self, count: usize) -> Vec<(GatewayId, Frame)> {
        let waiting = async {
            loop {
                let received = self.0.lock().unwrap().clone();
                if received.len() >= count {
                    return received;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("in time")
    }
}

/// A gateway with its key, and what it received.
struct Gateway {
    folder: TempDir,
    address: SocketAddr,
    pin: Pin,
    received: Arc<Received>,
    frames: mpsc::UnboundedSender<Outgoing>,
    connected: Arc<Connected>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

fn heartbeat(sequence: u64) -> Frame {
    Frame { boot: BootId(1), sequence, content: Content::Heartbeat(true) }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn peer(id: u16, address: SocketAddr, pin: Pin) -> failover::Peer {
    let host = address.ip().to_string().parse().unwrap();
    failover::Peer { id, address: HostPort { host, port: address.port() }, pin }
}

impl Gateway {
    /// Starts a gateway with the key in the folder.
    fn start(folder: TempDir, id: u16, address: SocketAddr, peers: Vec<failover::Peer>) -> Self {
        let listen = Some(address);
        let config = Failover { id, listen, peers, shared: Vec::new(), max_standby: 10 };
        let bound = Peers::bind(&config, folder.path(), 100).unwrap();
        let Peering { pin, connected, .. } = bound.peering();
        let (frames, outgoing) = mpsc::unbounded_channel();
        let received = Arc::new(Received::default());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let receiver: Arc<dyn Receive> = Arc::<Received>::clone(&received);
        bound.serve(outgoing, receiver, &tasks, &stop).unwrap();
        Self { folder, address, pin, received, frames, connected, stop, tasks }
    }

    async fn stop(self) -> TempDir {
        self.stop.cancel();
        self.tasks.close();
        timeout(PATIENCE, self.tasks.wait()).await.unwrap();
        self.folder
    }

    async fn until_connected(&self, peer: u16, is_connected: bool) {
        let waiting = async {
            while self.connected.has(GatewayId(peer)) != is_connected {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("in time");
    }
}

/// Connects to the gateway with this key, and expects its key to be accepted.
async fn dial(identity: &Identity, to: &Gateway) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(to.address).await.unwrap();
    let tls = TlsConnector::from(Arc::new(identity.client(to.pin).unwrap()));
    let mut stream = tls.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), ACCEPTED);
    stream
}

/// A folder with a key, and the SHA-256 of the public key.
fn keyed() -> (TempDir, Pin) {
    let folder = tempfile::tempdir().unwrap();
    let pin = Identity::load_or_create(&folder.path().join(KEY)).unwrap().pin;
    (folder, pin)
}

/// Gateways 1 and 2, which know each other.
fn pair() -> (Gateway, Gateway) {
    let [(one, one_pin), (two, two_pin)] = [keyed(), keyed()];
    let [one_at, two_at] = [free_address(), free_address()];
    let one = Gateway::start(one, 1, one_at, vec![peer(2, two_at, two_pin)]);
    let two = Gateway::start(two, 2, two_at, vec![peer(1, one_at, one_pin)]);
    (one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_arrive_in_order_in_both_directions() {
    let (one, two) = pair();
    one.until_connected(2, true).await;
    two.until_connected(1, true).await;

    for sequence in 1..=100 {
        one.frames.send((Recipient::All, heartbeat(sequence))).unwrap();
    }
    two.frames.send((Recipient::Peer(GatewayId(1)), heartbeat(7))).unwrap();
    two.frames.send((Recipient::Peer(GatewayId(9)), heartbeat(8))).unwrap();

    let expected: Vec<_> = (1..=100).map(|at| (GatewayId(1), heartbeat(at))).collect();
    assert_eq!(two.received.until(100).await, expected);
    assert_eq!(one.received.until(1).await, [(GatewayId(2), heartbeat(7))]);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_is_connected_to_again() {
    let (one, two) = pair();
    one.until_connected(2, true).await;
    let (address, peers) = (two.address, vec![peer(1, one.address, one.pin)]);
    let folder = two.stop().await;
    one.until_connected(2, false).await;
    one.frames.send((Recipient::All, heartbeat(1))).unwrap();

    let two = Gateway::start(folder, 2, address, peers);
    one.until_connected(2, true).await;
    one.frames.send((Recipient::All, heartbeat(2))).unwrap();

    let received = two.received.until(1).await;
    assert_eq!(received, [(GatewayId(1), heartbeat(2))], "nothing was kept for it");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_another_key_is_refused_by_either_end() {
    let (one, two) = pair();
    two.until_connected(1, true).await;
    let (stranger, _) = keyed();
    let identity = Identity::load_or_create(&stranger.path().join(KEY)).unwrap();
    let connect = async |identity: &Identity, pin| {
        let stream = TcpStream::connect(one.address).await.unwrap();
        let tls = TlsConnector::from(Arc::new(identity.client(pin).unwrap()));
        let mut stream = tls.connect("localhost".try_into().unwrap(), stream).await?;
        // In TLS 1.3, the client learns only now that its certificate was refused.
        stream.write_all(&framed(&heartbeat(1).encode())).await?;
        stream.read_u8().await
    };

    assert!(connect(&identity, one.pin).await.is_err(), "its key is unknown");
    assert!(connect(&identity, two.pin).await.is_err(), "it expects another key");
    assert_eq!(one.received.until(0).await, []);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_anything_but_frames_is_closed() {
    let (one, two) = pair();
    let identity = Identity::load_or_create(&two.folder.path().join(KEY)).unwrap();
    let table: [&[u8]; 3] = [
        &framed(b"no frame"),
        &u32::MAX.to_be_bytes(),
        &framed(&[heartbeat(1).encode(), vec![0]].concat()),
    ];
    for bytes in table {
        let mut stream = dial(&identity, &one).await;
        stream.write_all(bytes).await.unwrap();

        let closed = timeout(PATIENCE, stream.read_u8()).await.expect("it is closed");

        assert!(closed.is_err(), "{bytes:?}");
    }
    assert_eq!(one.received.until(0).await, []);
    one.stop().await;
    two.stop().await;
}
