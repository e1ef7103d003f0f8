//! Two gateways that take over each other's sessions, without sockets: frames are passed on by the
//! test.

use std::net::IpAddr;

use cmsg_config::{Failover, values::Pin};
use cmsg_proto::{
    SessionKey, TagDigest,
    control::GrantClaims,
    failover::{BootId, Frame, GatewayId, Recipient, Rules, Saved},
    gateway::{Side, SpiCandidates},
};

use tokio::sync::mpsc;

use super::{
    super::peers::{Outgoing, Peering, Receive as _},
    *,
};

const AGENT: &str = "198.51.100.1:4172";
const CLIENT: &str = "192.0.2.1:5000";
const C_SPI: [u8; 4] = *b"c-01";
const A_SPI: [u8; 4] = *b"a-01";

struct Site {
    folder: TempDir,
    signer: Signer,
    gateways: Vec<Gateway>,
}

struct Gateway {
    handler: AnnouncementHandler,
    frames: mpsc::UnboundedReceiver<Outgoing>,
}

impl Site {
    /// How many sessions the gateway has taken over, and why, as in its status.
    fn taken_over(&self, id: usize) -> (u64, Vec<String>) {
        let (listen, peers, shared) = (None, Vec::new(), Vec::new());
        let config = Failover { id: 1, listen, peers, shared, max_standby: 10 };
        let (pin, connected) = (Pin([0; 32]), Arc::default());
        let status = self.state(id).failover_status(&Peering { config, pin, connected }).unwrap();
        let why = status.latest.into_iter().map(|taken| taken.why);
        (status.taken_over, why.collect())
    }

    /// Two gateways that have heard each other.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        identity(&folder, "tls");
        let (_, key) = identity(&folder, "jwt");
        let signer = Signer::load(&key).unwrap();
        let gateways = [1, 2].map(|id| Gateway::new(&folder, id, Saved::default())).into();
        let mut site = Self { folder, signer, gateways };
        site.pass();
        site.pass();
        site
    }

    /// Announces a session to gateway 1, and grants it to gateway 2.
    fn announce(&self, number: u8) {
        let session_key = Some(SessionKey::from_random([number; 16]));
        let agent = AGENT.parse().unwrap();
        let announced = AddConnection { session_key, ..announcement(number, agent) };
        let external: IpAddr = EXTERNAL.parse().unwrap();
        let now = clock::wall();
        let claims = Claims::of(&announced, external, [number; 16], now);
        let granted = GrantClaims::of(&announced, [external], [number; 16], now).unwrap();
        let token = self.signer.sign_grant(&granted).unwrap();
        let grant = self.gateways[0].handler.verify(&token);
        assert!(grant.is_some());
        self.state(1).announce(&claims, &announced, grant).unwrap();
        assert_eq!(self.gateways[1].handler.grant(token.as_bytes()).status(), 200);
    }

    /// A session with a flow in each direction through gateway 1.
    fn flowing(&mut self, number: u8) -> CancellationToken {
        self.announce(number);
        let gateway = self.state(1);
        let client: SocketAddr = CLIENT.parse().unwrap();
        let (admitted, ended) = gateway.admit(&digests(number), client.ip()).unwrap();
        gateway.observe(admitted.control, Side::Client, &hello(number, C_SPI));
        gateway.observe(admitted.control, Side::Agent, &hello(number, A_SPI));
        assert_eq!(self.send(1, Side::Client), Some(AGENT.parse().unwrap()));
        assert_eq!(self.send(1, Side::Agent), Some(client));
        self.pass();
        ended
    }

    /// Where a gateway sends a datagram of the flow, as its worker or its rules decide.
    fn send(&self, id: usize, side: Side) -> Option<SocketAddr> {
        let (from, spi) = match side {
            Side::Client => (CLIENT, C_SPI),
            Side::Agent => (AGENT, A_SPI),
        };
        let (from, at) = (from.parse().unwrap(), EXTERNAL.parse().unwrap());
        let candidates = SpiCandidates::of(&spi).unwrap();
        let gateway = self.state(id);
        let routed = gateway.routes.read().find(side, from, candidates);
        routed.or_else(|| Some(gateway.decide(side, (from, Some(at)), candidates)?.0)).map(
            |destination| {
                gateway.counters.forwarded(destination.flow.index(), 1, 100);
                destination.to
            },
        )
    }

    /// Lets 100 ms pass for the rules, and passes all frames on.
    fn pass(&mut self) {
        for from in 0..self.gateways.len() {
            self.gateways[from].handler.gateway.tick_peers();
        }
        loop {
            let mut frames = Vec::new();
            for (from, gateway) in self.gateways.iter_mut().enumerate() {
                while let Ok((to, frame)) = gateway.frames.try_recv() {
                    frames.push((from, to, frame.encode()));
                }
            }
            if frames.is_empty() {
                return;
            }
            for (from, to, frame) in frames {
                let id = |at: usize| GatewayId(u16::try_from(at).unwrap() + 1);
                for (at, gateway) in self.gateways.iter().enumerate().filter(|(at, _)| *at != from)
                {
                    if to == Recipient::All || to == Recipient::Peer(id(at)) {
                        let verify = |token: &str| gateway.handler.verify(token);
                        let frame = Frame::decode(&frame, 1000, verify).unwrap();
                        gateway.handler.receive(id(from), frame);
                    }
                }
            }
        }
    }

    fn state(&self, id: usize) -> &GatewayState {
        &self.gateways[id - 1].handler.gateway
    }

    fn sessions(&self, id: usize) -> usize {
        self.state(id).usage().in_use + self.state(id).usage().resumable
    }
}

impl Gateway {
    fn new(folder: &TempDir, id: u16, saved: Saved) -> Self {
        let listen = format!("{EXTERNAL}:4172").parse().unwrap();
        let state = GatewayState::new(&config(folder, ""), listen, &[]);
        let rules = Rules {
            id: GatewayId(id),
            peers: [GatewayId(1), GatewayId(2)].into(),
            shared: [EXTERNAL.parse().unwrap()].into(),
            max_standby: 10,
            max_remembered: 100,
        };
        let (send, frames) = mpsc::unbounded_channel();
        let boot = BootId(clock::now().as_millis() + u64::from(id));
        state.join(rules, boot, saved, send);
        let verifier = Verifier::load(&folder.path().join("jwt.crt")).unwrap();
        let verifier = Arc::new(ArcSwap::from_pointee(verifier));
        Self { handler: AnnouncementHandler { gateway: Arc::new(state), verifier }, frames }
    }
}

fn digests(number: u8) -> [TagDigest; 1] {
    [tag(number).digest()]
}

/// Longer than the lease of a gateway.
async fn lost() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

#[tokio::test]
async fn datagrams_at_the_shared_address_move_a_session_when_its_gateway_is_lost() {
    let mut site = Site::new();
    site.flowing(1);
    assert_eq!(site.send(2, Side::Client), None, "gateway 1 serves it");
    assert_eq!(site.sessions(2), 0);

    lost().await;

    assert_eq!(site.send(2, Side::Client), Some(AGENT.parse().unwrap()));
    assert_eq!(site.send(2, Side::Agent), Some(CLIENT.parse().unwrap()));
    assert_eq!(site.sessions(2), 1);
    let candidates = SpiCandidates::of(&C_SPI).unwrap();
    let routed =
        site.state(2).routes.read().find(Side::Client, CLIENT.parse().unwrap(), candidates);
    assert!(routed.is_some(), "further datagrams are not decided about");
}

#[tokio::test]
async fn a_client_that_connects_to_another_gateway_is_served_there() {
    let mut site = Site::new();
    let ended = site.flowing(1);
    lost().await;
    assert_eq!(site.state(2).announced(&digests(1)), Some(digests(1)[0]));

    let (admitted, _) =
        site.state(2).admit(&digests(1), CLIENT.parse::<SocketAddr>().unwrap().ip()).unwrap();
    site.pass();

    assert_eq!(admitted.agent, AGENT.parse().unwrap());
    assert!(ended.is_cancelled(), "the former connection is closed");
    assert_eq!((site.sessions(1), site.sessions(2)), (0, 1));
    assert_eq!(site.send(2, Side::Client), Some(AGENT.parse().unwrap()), "its flow continues");
    assert_eq!([1, 2].map(|id| site.taken_over(id)), [(0, vec![]), (1, vec!["tag".to_owned()])]);
}

#[tokio::test]
async fn a_client_that_is_still_heard_stays_at_its_gateway() {
    let mut site = Site::new();
    let ended = site.flowing(1);
    site.send(1, Side::Client);
    site.pass();

    site.state(2).admit(&digests(1), CLIENT.parse::<SocketAddr>().unwrap().ip()).unwrap();
    site.pass();

    assert!(!ended.is_cancelled());
    assert_eq!(site.sessions(1), 1);
}

#[tokio::test]
async fn a_restarted_gateway_continues_the_flows_of_its_journal() {
    let mut site = Site::new();
    site.flowing(1);
    let (saved, _) = site.state(1).granted_journal();
    let file = saved.render();

    let saved = Saved::parse(&file).unwrap().journal;
    site.gateways[0] = Gateway::new(&site.folder, 1, saved);

    assert_eq!(site.sessions(1), 0, "another gateway may serve it");
    assert_eq!(site.send(1, Side::Client), Some(AGENT.parse().unwrap()));
    assert_eq!(site.sessions(1), 1);
}

#[tokio::test]
async fn an_ended_session_is_ended_everywhere() {
    let mut site = Site::new();
    site.flowing(1);
    site.announce(2);
    site.pass();

    site.state(1).supersede(SessionKey::from_random([1; 16]));
    site.pass();
    lost().await;

    assert_eq!(site.send(2, Side::Client), None);
    assert_eq!(site.state(2).announced(&digests(1)), None);
    assert!(site.state(2).announced(&digests(2)).is_some());
}

#[tokio::test]
async fn nothing_is_guessed_for_a_neighbour_that_another_gateway_serves() {
    let mut site = Site::new();
    site.flowing(1);
    site.announce(2);
    site.pass();
    let client = CLIENT.parse::<SocketAddr>().unwrap().ip();
    // The second session has the same agent and client address, and no flow yet.
    site.state(2).admit(&digests(2), client).unwrap();
    let unknown = SpiCandidates::of(b"????").unwrap();
    let decide = |site: &Site, side, from: &str| {
        let at = Some(EXTERNAL.parse().unwrap());
        site.state(2).decide(side, (from.parse().unwrap(), at), unknown)
    };

    assert_eq!(decide(&site, Side::Client, CLIENT), None);
    assert_eq!(decide(&site, Side::Agent, AGENT), None);

    site.state(1).supersede(SessionKey::from_random([1; 16]));
    site.pass();

    let guessed = decide(&site, Side::Client, CLIENT);
    assert_eq!(guessed.map(|(destination, _)| destination.to), Some(AGENT.parse().unwrap()));
}

#[tokio::test]
async fn a_client_that_waits_is_noticed_when_a_peer_sends_the_grant() {
    let mut site = Site::new();
    site.announce(1);
    site.pass();
    lost().await;
    site.gateways[1] = Gateway::new(&site.folder, 2, Saved::default());
    let mut waiting = site.state(2).announcements();
    waiting.mark_unchanged();
    assert_eq!(site.state(2).announced(&digests(1)), None);

    site.pass();
    site.pass();

    assert_eq!(site.state(2).announced(&digests(1)), Some(digests(1)[0]));
    assert!(waiting.has_changed().unwrap());
}
