//! Peers and strangers that don't keep to the protocol.

use std::{
    io::ErrorKind,
    sync::{Condvar, atomic::AtomicUsize},
};

use cmsg_proto::{
    SessionKey,
    failover::{Statement, Term},
};
use tokio::io::{DuplexStream, duplex};

use super::{
    super::{
        accept::{Acceptor, Limits},
        connect::{Connector, Queue},
    },
    *,
};

/// Short enough for a test. Only deadlines that are expected to pass are this short.
const SOON: Duration = Duration::from_millis(50);

const PEER: GatewayId = GatewayId(2);

fn acceptor(receiver: Arc<dyn Receive>, limits: Limits) -> Arc<Acceptor> {
    let (folder, pin) = keyed();
    let identity = Identity::load_or_create(&folder.path().join(KEY)).unwrap();
    let tls = identity.server(vec![pin]).unwrap();
    Acceptor::new(tls, [(pin.0, PEER)].into(), limits, receiver)
}

/// Sends the bytes, and reports why the connection was closed. The peer keeps it open, unless
/// `is_closed`.
async fn outcome(acceptor: &Acceptor, bytes: &[u8], is_closed: bool) -> String {
    let (mut peer, stream) = duplex(1024 * 1024);
    peer.write_all(bytes).await.unwrap();
    let peer = (!is_closed).then_some(peer);
    let received = timeout(PATIENCE, acceptor.receive(stream, PEER)).await.expect("it is closed");
    drop(peer);
    received.map_or_else(|error| format!("{error:#}"), |()| "closed".to_owned())
}

#[tokio::test]
async fn the_reason_is_reported_for_each_violation() {
    let received = Arc::new(Received::default());
    let receiver: Arc<dyn Receive> = Arc::<Received>::clone(&received);
    let limits = Limits { frame: 2000, statements: 20, silent: SOON, slow: SOON };
    let acceptor = acceptor(receiver, limits);
    let valid = framed(&heartbeat(1).encode());
    let ended = Statement::Ended { key: SessionKey::from_random([1; 16]), term: Term(1) };
    let content = Content::Batch(vec![ended; 21]);
    let many = Frame { boot: BootId(1), sequence: 1, content }.encode();
    let part = &valid[..valid.len() - 1];
    let table: [(&[u8], bool, &str); 10] = [
        (&[], true, "closed"),
        (&valid, true, "closed"),
        (&[], false, "the peer is silent"),
        (&[0, 0], false, "the peer is silent"),
        (part, false, "the peer is too slow"),
        (part, true, "the connection ended within a frame"),
        (&2001_u32.to_be_bytes(), false, "a frame of 2001 bytes; at most 2000 are possible"),
        (&framed(&[]), false, "the frame is truncated"),
        (&framed(b"\x02"), false, "version 2 of the peers' protocol is not supported"),
        (&framed(&many), false, "the frame has more than 20 statements"),
    ];

    for (bytes, is_closed, expected) in table {
        assert_eq!(outcome(&acceptor, bytes, is_closed).await, expected, "{bytes:?}");
    }

    assert_eq!(received.until(1).await, [(PEER, heartbeat(1))], "and nothing else");
}

#[test]
fn the_limits_of_a_frame_depend_on_the_configured_sessions() {
    let [small, large] = [100, 1_000_000].map(Limits::new);

    assert_eq!((small.frame, small.statements), (204_800, 300));
    assert_eq!((large.frame, large.statements), (134_217_728, 3_000_000));
}

/// The first token of each frame is verified only when it may be.
#[derive(Default)]
struct Blocked {
    verifying: AtomicUsize,
    may_finish: Mutex<bool>,
    changed: Condvar,
    arriving: AtomicUsize,
    received: AtomicUsize,
}

const FIRST: &str = "000000";

impl Receive for Blocked {
    fn verify(&self, token: &str) -> Option<Grant> {
        if token == FIRST {
            self.verifying.fetch_add(1, Relaxed);
            let may_finish = self.may_finish.lock().unwrap();
            let waiting = self.changed.wait_timeout_while(may_finish, PATIENCE, |may| !*may);
            assert!(!waiting.unwrap().1.timed_out());
        }
        None
    }

    fn arriving(&self, _: GatewayId) {
        self.arriving.fetch_add(1, Relaxed);
    }

    fn receive(&self, _: GatewayId, _: Frame) {
        self.received.fetch_add(1, Relaxed);
    }
}

/// A long batch of grants, whose tokens are numbers from [`FIRST`].
fn grants() -> Vec<u8> {
    let empty = Frame { boot: BootId(1), sequence: 1, content: Content::Batch(Vec::new()) };
    let mut frame = empty.encode();
    (0..10_000).for_each(|number| frame.extend(format!("\x01\0\x06{number:06}").bytes()));
    framed(&frame)
}

async fn until(count: &AtomicUsize, expected: usize) {
    let waiting = async {
        while count.load(Relaxed) < expected {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("in time");
}

#[tokio::test]
async fn a_peer_that_connects_again_waits_for_its_former_frame() {
    let blocked = Arc::new(Blocked::default());
    let receiver: Arc<dyn Receive> = Arc::<Blocked>::clone(&blocked);
    let acceptor = acceptor(receiver, Limits::new(10_000));
    let receive = |stream: DuplexStream| {
        let acceptor = Arc::clone(&acceptor);
        tokio::spawn(async move { acceptor.receive(stream, PEER).await })
    };
    let long = grants();
    let half = long.len() / 2;
    let (mut former, stream) = duplex(long.len());
    let replaced = receive(stream);
    former.write_all(&long).await.unwrap();
    until(&blocked.verifying, 1).await;

    replaced.abort();
    let (mut peer, stream) = duplex(half);
    let receiving = receive(stream);
    let written = timeout(4 * SOON, peer.write_all(&long)).await;

    assert!(written.is_err(), "nothing is read from the new connection yet");
    *blocked.may_finish.lock().unwrap() = true;
    blocked.changed.notify_all();
    // The first half has filled the buffer.
    peer.write_all(&long[half..]).await.unwrap();
    until(&blocked.received, 1).await;
    assert_eq!(blocked.verifying.load(Relaxed), 2, "each frame was parsed");
    drop(peer);
    assert!(receiving.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_peer_whose_long_frame_arrives_or_is_parsed_is_not_silent() {
    let blocked = Arc::new(Blocked::default());
    let receiver: Arc<dyn Receive> = Arc::<Blocked>::clone(&blocked);
    let acceptor = acceptor(receiver, Limits::new(10_000));
    let long = grants();
    let (first, rest) = long.split_at(long.len() / 2);
    let (mut peer, stream) = duplex(long.len());
    let receiving = tokio::spawn(async move { acceptor.receive(stream, PEER).await });

    peer.write_all(first).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(blocked.arriving.load(Relaxed), 0, "nothing arrived");
    peer.write_all(&rest[..1]).await.unwrap();
    until(&blocked.arriving, 1).await;
    peer.write_all(&rest[1..]).await.unwrap();
    until(&blocked.verifying, 1).await;
    until(&blocked.arriving, 3).await;

    *blocked.may_finish.lock().unwrap() = true;
    blocked.changed.notify_all();
    until(&blocked.received, 1).await;
    drop(peer);
    assert!(receiving.await.unwrap().is_ok());
}

/// A connector with a key that no peer knows.
fn connector(queue: &Arc<Queue>, pin: Pin, address: SocketAddr) -> Connector {
    let (folder, _) = keyed();
    let identity = Identity::load_or_create(&folder.path().join(KEY)).unwrap();
    let address = peer(2, address, pin).address;
    Connector::new((PEER, address), &identity, pin, queue, Arc::default()).unwrap()
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_disconnected_and_a_slow_one_is_not() {
    let queue = Queue::new();
    let mut connector = connector(&queue, Pin([0; 32]), free_address());
    let frame: Arc<[u8]> = vec![7; 256 * 1024].into();
    queue.set_open(true);
    queue.push(&frame);

    connector.stalled = SOON;
    let (hung, stream) = duplex(1024);
    let error = timeout(PATIENCE, connector.send(stream)).await.expect("it is disconnected");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(hung);

    // The whole frame takes longer than a chunk may.
    connector.stalled = 20 * SOON;
    queue.push(&frame);
    let (mut slow, stream) = duplex(1024);
    let reading = async {
        let mut bytes = vec![0; frame.len()];
        for chunk in bytes.chunks_mut(16 * 1024) {
            sleep(2 * SOON).await;
            slow.read_exact(chunk).await.unwrap();
        }
        slow.write_all(b"!").await.unwrap();
        bytes
    };
    let (error, bytes) = tokio::join!(connector.send(stream), reading);

    assert!(bytes == *frame);
    assert_eq!(error.to_string(), "the peer sent unexpected bytes");
}

#[tokio::test]
async fn frames_for_a_full_or_closed_queue_are_dropped() {
    let queue = Queue::new();
    let frames: [Arc<[u8]>; 3] = [1, 2, 3].map(|byte| vec![byte; 40 * 1024 * 1024].into());
    let [first, second, third] = &frames;
    queue.push(first);
    queue.set_open(true);

    queue.push(second);
    queue.push(third);
    assert!(Arc::ptr_eq(&queue.next().await, second), "the first came before the connection");
    queue.push(first);
    assert!(Arc::ptr_eq(&queue.next().await, first), "the third came while it was full");
    queue.push(third);
    queue.set_open(false);

    assert!(timeout(SOON, queue.next()).await.is_err(), "nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_key_the_peer_does_not_know_is_not_connected() {
    let (one, two) = pair();
    let connector = connector(&Queue::new(), one.pin, one.address);

    let error = timeout(PATIENCE, connector.connect()).await.expect("in time").unwrap_err();

    let error = format!("{error:#}");
    let expected = "the peer has not accepted the key of this gateway: received fatal alert: ";
    assert!(error.starts_with(expected), "{error}");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_strangers_do_not_keep_a_peer_out() {
    let (one, two) = pair();
    two.until_connected(1, true).await;
    let (address, peers) = (two.address, vec![peer(1, one.address, one.pin)]);
    let folder = two.stop().await;
    let mut strangers = Vec::new();
    for _ in 0..80 {
        strangers.push(TcpStream::connect(one.address).await.unwrap());
    }

    let two = Gateway::start(folder, 2, address, peers);
    two.until_connected(1, true).await;
    two.frames.send((Recipient::All, heartbeat(1))).unwrap();

    assert_eq!(one.received.until(1).await, [(PEER, heartbeat(1))]);
    for mut stranger in strangers {
        let closed = timeout(PATIENCE, stranger.read_u8()).await.expect("it is closed");
        assert!(closed.is_err());
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_of_a_peer_replaces_the_former_one() {
    let (one, two) = pair();
    two.until_connected(1, true).await;
    let identity = Identity::load_or_create(&two.folder.path().join(KEY)).unwrap();
    two.stop().await;
    let mut former = dial(&identity, &one).await;

    let mut current = dial(&identity, &one).await;

    // The former one may belong to a host that has failed.
    assert!(timeout(PATIENCE, former.read_u8()).await.expect("it is closed").is_err());
    current.write_all(&framed(&heartbeat(1).encode())).await.unwrap();
    assert_eq!(one.received.until(1).await, [(PEER, heartbeat(1))]);
    one.stop().await;
}
