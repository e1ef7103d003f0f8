//! The gateway's rules with any order of events, observed from outside.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    time::Duration,
};

use cmsg_proto::{
    SessionId, TagDigest, Time,
    gateway::{
        Admission, Announcement, Control, Event, FlowId, Journal, Local, Origin, Record, Routes,
        Rules, Seen, Side, Slot, SpiCandidates, Timeouts,
    },
};

use crate::input::Input;

/// Applies events, and checks the result of each.
pub fn run(data: &[u8]) {
    let input = &mut Input::new(data);
    let mut world = World::new();
    let mut steps = 0;
    while !input.is_empty() && steps < 400 {
        world.step(input);
        world.settle();
        world.check();
        steps += 1;
    }
    world.end();
}

const PLACES: u32 = 4;

const RULES: Rules = Rules {
    max_connections: PLACES,
    timeouts: Timeouts {
        announced: Duration::from_secs(240),
        resume: Duration::from_secs(300),
        udp_idle: Duration::from_secs(60),
    },
};

struct World {
    admission: Admission,
    routes: Routes,
    now: Time,
    /// The journal's file.
    file: Vec<u8>,
    /// Sessions that were opened and did not end, by their place.
    open: HashMap<Slot, SessionId>,
    announced: HashMap<SessionId, Announcement>,
    controls: Vec<Control>,
    closed: HashSet<Control>,
    clients: HashSet<SocketAddr>,
}

impl World {
    fn new() -> Self {
        Self {
            admission: Admission::new(RULES),
            routes: Routes::default(),
            now: Time::from_millis(1_800_000_000_000),
            file: Journal::default().render(),
            open: HashMap::new(),
            announced: HashMap::new(),
            controls: Vec::new(),
            closed: HashSet::new(),
            clients: HashSet::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(8) {
            0 => self.announce(input),
            1 => self.admit(input),
            2 => self.observe(input),
            3 => {
                if let Some(control) = self.control(input) {
                    self.admission.control_closed(control, self.now);
                }
            }
            4 | 5 => self.datagram(input),
            6 => self.wait(input),
            _ => self.restart(),
        }
    }

    fn announce(&mut self, input: &mut Input<'_>) {
        let announced = Announcement {
            id: format!("0b1c2d3e-0000-4000-8000-{:012x}", input.below(6)).parse().expect("a UUID"),
            key: None,
            agent: SocketAddr::new([10, 0, 0, input.below(3)].into(), 4172),
            hostname: None,
            tag: tag(input.below(8)),
            issued: self.now + Duration::from_secs(input.below(3).into()),
        };
        let same = self.announced.get(&announced.id).cloned();
        match self.admission.announce(announced.clone(), self.now) {
            Ok(()) => {
                let view = self.admission.views().find(|view| *view.id == announced.id);
                assert_eq!(view.map(|view| view.agent), Some(announced.agent));
                let again = self.admission.announce(announced.clone(), self.now);
                assert_eq!(again, Ok(()), "the same announcement again is refused");
                self.announced.insert(announced.id.clone(), announced);
            }
            Err(_) => {
                assert!(self.admission.count() > 0 || same.is_some(), "refused without cause");
            }
        }
    }

    fn admit(&mut self, input: &mut Input<'_>) {
        let tags = [tag(input.below(8)), tag(input.below(8))];
        let client = input.ip().to_canonical();
        let Some(admitted) = self.admission.admit(&tags, client, self.now) else { return };
        let announced = &self.announced[&admitted.id];
        assert!(tags.contains(&announced.tag), "let in with a tag that is not its own");
        assert_eq!(admitted.agent, announced.agent);
        self.controls.push(admitted.control);
    }

    fn control(&self, input: &mut Input<'_>) -> Option<Control> {
        let back = usize::from(input.below(6));
        self.controls.iter().rev().nth(back).copied()
    }

    fn observe(&mut self, input: &mut Input<'_>) {
        let (side, layout) = (side(input), input.below(3));
        let Some(control) = self.control(input) else { return };
        let bytes = match layout {
            0 => input.piece().to_vec(),
            1 => chunks(spi(input)),
            _ => spi(input).to_vec(),
        };
        self.admission.observe(control, side, &bytes);
    }

    fn datagram(&mut self, input: &mut Input<'_>) {
        let side = side(input);
        let from = match side {
            Side::Client => cmsg_proto::gateway::canonical(input.socket()),
            Side::Agent => SocketAddr::new([10, 0, 0, input.below(3)].into(), 4172),
        };
        let at = [203, 0, 113, input.below(2)].into();
        let origin = Origin { from, local: Some(Local { at, is_usual: input.flag() }) };
        let bytes = [spi(input), spi(input)].concat();
        let Some(candidates) = SpiCandidates::of(&bytes[..if input.flag() { 8 } else { 4 }]) else {
            return;
        };
        if let Some(to) = self.routes.read().find(side, from, candidates) {
            self.leads_well(side, from, to.to, to.flow);
        }
        let (busy, now) = (input.flag(), self.now);
        let datagrams = if busy { now.as_millis() } else { 0 };
        let seen = |_| Seen { datagrams, sequence: Some(9) };
        if !self.routes.read().expects(side, from.ip()) {
            assert!(self.admission.datagram(side, origin, candidates, (now, seen)).is_err());
            return;
        }
        if side == Side::Client {
            self.clients.insert(from);
        }
        let Ok(to) = self.admission.datagram(side, origin, candidates, (now, seen)) else {
            assert_eq!(self.admission.take_changes(), [], "what is dropped changes a route");
            return;
        };
        self.leads_well(side, from, to.to, to.flow);
        self.settle();
        assert_eq!(
            self.routes.read().find(side, from, candidates),
            Some(to),
            "the next one goes elsewhere"
        );
        if side == Side::Client {
            self.is_kept(from, candidates, to.to);
        }
    }

    /// A client that sent a datagram recently is not moved to another port by datagrams from there.
    fn is_kept(&mut self, from: SocketAddr, candidates: SpiCandidates, agent: SocketAddr) {
        let seen = |_| Seen { datagrams: self.now.as_millis(), sequence: Some(9) };
        let other = SocketAddr::new(from.ip(), from.port() ^ 0x4000);
        let around = self.admission.views().filter(|view| view.client == Some(from.ip())).count();
        let intruding = self.admission.datagram(
            Side::Client,
            Origin { from: other, local: None },
            candidates,
            (self.now, seen),
        );
        if around == 1 && !self.clients.contains(&other) {
            let is_guess = intruding.is_ok_and(|to| to.to == agent);
            assert!(!is_guess, "a client is followed while it speaks");
        }
        self.clients.insert(other);
        self.settle();
    }

    /// The destination is an agent of a session with that client, or an address from which a client
    /// sent.
    fn leads_well(&self, side: Side, from: SocketAddr, to: SocketAddr, flow: FlowId) {
        let owner = self.admission.views().find(|view| view.slot.flows(side).any(|f| f == flow));
        let owner = owner.expect("a flow is some session's");
        match side {
            Side::Client => assert_eq!(to, owner.agent),
            Side::Agent => {
                assert_eq!(from.ip(), owner.agent.ip());
                assert!(self.clients.contains(&to), "{to} never sent anything");
            }
        }
    }

    fn wait(&mut self, input: &mut Input<'_>) {
        let seconds = [1, 30, 59, 61, 121, 239, 241, 299, 301][usize::from(input.below(9))];
        self.now = self.now + Duration::from_secs(seconds);
        let busy = input.flag();
        let count = if busy { self.now.as_millis() } else { 0 };
        self.admission.tick(self.now, |_| count);
    }

    fn restart(&mut self) {
        let journal = self.admission.journal();
        let read = Journal::parse(&journal.clone().render()).expect("what is written is read");
        assert_eq!(read.journal, journal);
        *self =
            Self { announced: std::mem::take(&mut self.announced), now: self.now, ..Self::new() };
        self.admission.restore(journal, self.now);
        self.open = self.admission.views().map(|view| (view.slot, view.id.clone())).collect();
        self.admission.take_events();
        self.admission.take_records();
        self.file = self.admission.journal().render();
    }

    fn settle(&mut self) {
        self.admission.take_changes().into_iter().for_each(|change| self.routes.apply(change));
        for event in self.admission.take_events() {
            match event {
                Event::Opened(slot, id) => assert_eq!(self.open.insert(slot, id), None),
                Event::Ended(slot, id, _) => assert_eq!(self.open.remove(&slot), Some(id)),
                Event::Close(control) => {
                    assert!(self.controls.contains(&control) && self.closed.insert(control));
                }
                Event::TakenOver(..) | Event::Moved(..) => panic!("there is no other gateway"),
            }
        }
    }

    fn check(&mut self) {
        let views: HashMap<_, _> =
            self.admission.views().map(|view| (view.slot, view.id.clone())).collect();
        assert_eq!(views, self.open, "the events do not add up");
        assert_eq!(views.values().collect::<HashSet<_>>().len(), views.len());
        assert_eq!(self.admission.count(), views.len());
        assert_eq!(self.admission.is_full(), views.len() == PLACES as usize);
        assert!(self.admission.tag_lengths().is_sorted_by(|a, b| a < b));
        assert_eq!(self.admission.tag_lengths().is_empty(), views.is_empty());
        for record in self.admission.take_records() {
            record.write(&mut self.file);
        }
        let loaded = Journal::parse(&self.file).expect("what is written is read");
        assert_eq!(sorted(&loaded.journal), sorted(&self.admission.journal()));
        for view in self.admission.views().filter(|view| view.state == "connected") {
            let client = view.client.expect("who is connected is somewhere");
            assert!(self.routes.read().expects(Side::Client, client));
            assert!(self.routes.read().expects(Side::Agent, view.agent.ip()));
        }
    }

    /// When all clients have been gone for long enough, nothing is left.
    fn end(mut self) {
        for control in self.controls.clone() {
            self.admission.control_closed(control, self.now);
        }
        for _ in 0..4 {
            self.now = self.now + Duration::from_secs(301);
            self.admission.tick(self.now, |_| 0);
            self.settle();
            self.check();
        }
        assert_eq!(self.admission.count(), 0, "a session outlives every time-out");
        assert_eq!(self.routes, Routes::default(), "the changes do not add up");
    }
}

/// The records of a state in any order.
fn sorted(journal: &Journal) -> Vec<Vec<u8>> {
    let line = |record: Record| {
        let mut line = Vec::new();
        record.write(&mut line);
        line
    };
    let mut lines: Vec<_> = journal.clone().records().map(line).collect();
    lines.sort();
    lines
}

fn side(input: &mut Input<'_>) -> Side {
    if input.flag() { Side::Client } else { Side::Agent }
}

fn tag(number: u8) -> TagDigest {
    TagDigest::of(&b"SCS1abcdefgh"[..4 + usize::from(number)])
}

/// Few values, some of them reserved and some byte-swapped.
fn spi(input: &mut Input<'_>) -> [u8; 4] {
    let number = input.below(12);
    match number {
        0..3 => [0, 0, 0, number],
        3..8 => [0xc0, 0xde, 0, number],
        _ => [number - 5, 0, 0xde, 0xc0],
    }
}

/// An opening message that names one SPI.
fn chunks(spi: [u8; 4]) -> Vec<u8> {
    let body = [b"ssig\0\0\0\x04\0\0\0\0".as_slice(), b"2spi\0\0\0\x04", &spi].concat();
    [&(body.len() as u64).to_be_bytes(), body.as_slice()].concat()
}
