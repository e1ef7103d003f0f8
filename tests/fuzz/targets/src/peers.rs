//! Frames of peers are parsed as they were serialized, or refused. Whatever two peers report, a
//! gateway keeps the sessions whose clients it hears, revives no ended session, adds no agent, and
//! exceeds no limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use cmsg_proto::{
    SessionKey, TagDigest, Time,
    failover::{
        AgentFlow, BootId, Claim, ClientFlow, Content, Flows, Frame, GatewayId, Grant, Output,
        Position, Rules, SILENCE, Standby, Statement, Term,
    },
    gateway::{Slot, Spi},
};

use crate::input::Input;

/// Parses bytes as frames, and applies others to the rules of a gateway.
pub fn run(data: &[u8]) {
    check(data);
    for kind in 0..4 {
        check(&[&[1, kind], data].concat());
    }
    let input = &mut Input::new(data);
    let mut world = World::new();
    let mut steps = 0;
    while !input.is_empty() && steps < 400 {
        world.step(input);
        steps += 1;
    }
}

const STATEMENTS: usize = 64;

fn check(data: &[u8]) {
    let mut verified = 0;
    let read = Frame::decode(data, STATEMENTS, |token| {
        verified += 1;
        signed(token)
    });
    assert!(verified <= STATEMENTS, "more grants are verified than allowed");
    let Ok(frame) = read else { return };
    let written = frame.encode();
    // Refused grants are left out, and IPv4 addresses may come in the longer form.
    assert!(written.len() <= data.len());
    assert!(written.len() < data.len() || written == data);
    assert_eq!(Frame::decode(&written, STATEMENTS, signed), Ok(frame.clone()));
    let (Content::Batch(statements) | Content::Snapshot { statements, .. }) = &frame.content else {
        return;
    };
    assert!(statements.len() <= STATEMENTS);
    for statement in statements {
        if let Statement::Flows { flows, .. } | Statement::Known { flows, .. } = statement {
            within_limits(flows);
        }
    }
}

fn within_limits(flows: &Flows) {
    let max = Slot::FLOWS as usize;
    assert!(flows.client.len() <= max && flows.agent.len() <= max);
}

/// Sessions in the inputs.
const SESSIONS: u8 = 6;

/// The grant of a token with a valid signature, which is a digit.
fn signed(token: &str) -> Option<Grant> {
    let number = token.parse().ok().filter(|number| *number < SESSIONS)?;
    (token.len() == 1).then(|| grant(number))
}

fn key(number: u8) -> SessionKey {
    SessionKey::from_random([number; 16])
}

fn grant(number: u8) -> Grant {
    static GRANTS: LazyLock<Vec<Grant>> = LazyLock::new(|| (0..SESSIONS).map(granted).collect());
    GRANTS[usize::from(number)].clone()
}

fn granted(number: u8) -> Grant {
    Grant {
        key: key(number),
        id: format!("0b1c2d3e-0000-4000-8000-{number:012x}").parse().expect("a UUID"),
        agent: ([192, 0, 2, number % 4], 4172).into(),
        hostname: None,
        tag: TagDigest::of(format!("SCS1tag{number}").as_bytes()),
        issued: START,
        expires: START + Duration::from_mins(10),
        token: number.to_string().into(),
    }
}

const START: Time = Time::from_millis(1_800_000_000_000);

const OWN: GatewayId = GatewayId(1);

/// Gateway 1, and what must be true of it.
struct World {
    rules: Rules,
    standby: Standby,
    now: Time,
    /// Number of the latest batch of each peer.
    latest: BTreeMap<GatewayId, u64>,
    heard: BTreeMap<SessionKey, Time>,
    ended: BTreeSet<SessionKey>,
}

impl World {
    fn new() -> Self {
        let rules = Rules {
            id: OWN,
            peers: [GatewayId(2), GatewayId(3)].into(),
            shared: [[192, 0, 2, 0].into()].into(),
            max_standby: 3,
            max_remembered: 5,
        };
        Self {
            standby: Standby::new(rules.clone(), BootId(1)),
            rules,
            now: START,
            latest: BTreeMap::new(),
            heard: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let number = input.below(SESSIONS);
        let (key, now) = (key(number), self.now);
        match input.below(8) {
            0 => {
                let _ = self.standby.grant(grant(number), now);
            }
            1 => {
                let _ = self.standby.announced(grant(number), now);
            }
            2 => {
                let _ = self.standby.take_over(&[grant(number).tag], now);
            }
            3 => {
                self.standby.heard(key, Some(input.socket()), now);
                if self.serves(key) {
                    self.heard.insert(key, now);
                }
            }
            4 => {
                if self.serves(key) {
                    self.ended.insert(key);
                    self.heard.remove(&key);
                }
                self.standby.ended(key);
            }
            5 => {
                let millis = 10 * u64::from(input.byte());
                self.now = self.now + Duration::from_millis(millis);
                self.standby.tick(self.now);
            }
            6 if number == 0 => self.restart(),
            _ => self.frame(input),
        }
        self.check();
    }

    fn serves(&self, key: SessionKey) -> bool {
        self.standby.view(key).is_some_and(|view| view.is_served)
    }

    fn restart(&mut self) {
        let saved = self.standby.saved();
        self.standby = Standby::restored(self.rules.clone(), BootId(1), saved.clone());
        assert_eq!(self.standby.saved(), saved);
        self.heard.clear();
    }

    /// A frame of a peer. Requests, and the batch after the latest one, are most likely.
    fn frame(&mut self, input: &mut Input<'_>) {
        let from = GatewayId(2 + u16::from(input.below(2)));
        let latest = self.latest.entry(from).or_default();
        let sequence = match input.below(4) {
            0 => u64::from(input.byte()),
            _ => *latest + 1,
        };
        let number = u64::from(input.below(4));
        let content = match input.below(4) {
            0 => Content::Heartbeat(input.flag()),
            1 => Content::Resync {
                number,
                received: input.flag().then_some(Position { boot: BootId(1), sequence: number }),
            },
            2 => Content::Snapshot { to: BootId(1), number, statements: statements(input) },
            _ => Content::Batch(statements(input)),
        };
        if matches!(content, Content::Batch(_) | Content::Snapshot { .. }) {
            *latest = sequence;
        }
        let boot = BootId(u64::from(input.below(16) / 15));
        let bytes = Frame { boot, sequence, content }.encode();
        let frame = Frame::decode(&bytes, STATEMENTS, signed).expect("what is written is read");
        self.standby.receive(from, frame, self.now);
    }

    fn check(&mut self) {
        for output in self.standby.take_outputs() {
            match output {
                Output::Send(_, frame) => {
                    let read = Frame::decode(&frame.encode(), STATEMENTS, signed);
                    assert_eq!(read, Ok(frame));
                }
                Output::TakeOver(grant, flows) => {
                    assert!(!self.ended.contains(&grant.key), "an ended session is revived");
                    assert!(flows.agent.iter().all(|flow| flow.from.ip() == grant.agent.ip()));
                }
                Output::HandOver(key) | Output::End(key) => assert!(!self.is_heard(key)),
                Output::Report(_) => {}
            }
        }
        for key in self.heard.keys().copied().filter(|key| self.is_heard(*key)) {
            assert!(self.serves(key), "a session was lost while its client was heard");
        }
        for view in self.standby.views() {
            assert_eq!(signed(&view.grant.token).as_ref(), Some(view.grant));
            assert!(!self.ended.contains(&view.grant.key), "an ended session is revived");
            assert!(view.flows.agent.iter().all(|flow| flow.from.ip() == view.grant.agent.ip()));
            within_limits(view.flows);
        }
        let remembered = self.standby.count() + self.standby.tombstones();
        assert!(remembered <= self.rules.max_remembered, "{remembered}");
    }

    fn is_heard(&self, key: SessionKey) -> bool {
        self.heard.get(&key).is_some_and(|heard| self.now.since(*heard) < SILENCE)
    }
}

fn statements(input: &mut Input<'_>) -> Vec<Statement> {
    (0..input.below(8)).map(|_| statement(input)).collect()
}

fn statement(input: &mut Input<'_>) -> Statement {
    let number = input.below(SESSIONS);
    let key = key(number);
    let term = Term(match input.below(8) {
        7 => u64::MAX,
        6 => input.short().into(),
        small => small.into(),
    });
    match input.below(5) {
        0 => Statement::Grant(grant(number)),
        1 => Statement::Serving { key, term, is_silent: input.flag() },
        2 => Statement::Flows { key, term, flows: flows(input) },
        3 => Statement::Ended { key, term },
        _ => {
            let claim = Claim { term, gateway: GatewayId(input.below(5).into()) };
            Statement::Known { key, claim, flows: flows(input) }
        }
    }
}

fn flows(input: &mut Input<'_>) -> Flows {
    let spi = |input: &mut Input<'_>| Spi::from_bytes([1, 2, 3, input.below(4)]);
    let client = (0..input.below(5)).map(|_| {
        let (from, to) = (input.socket(), input.socket());
        ClientFlow { from, spi: spi(input), to }
    });
    let client = client.collect();
    let agent = (0..input.below(5)).map(|_| AgentFlow { from: input.socket(), spi: spi(input) });
    Flows { client, agent: agent.collect() }
}
