//! Random events against a simple reimplementation that predicts each result: which clients are
//! admitted, where each datagram goes, and when sessions end. All SPIs are revealed and unique, so
//! there are no guesses; those are tested in `model`.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{journal::restart, *};

const SESSIONS: u32 = 5;
const PLACES: u32 = 3;
const SPIS: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Announce(u32),
    Admit { session: u32, place: u8 },
    Close(u32),
    CloseReplaced(u32),
    FromClient { session: u32, spi: u32, from: Source },
    FromAgent { session: u32, spi: u32 },
    Wait(u64),
    Restart,
}

/// The source of a client: `place` selects its IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    place: u8,
    port: u16,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    let source = (1..4_u8, 5000..5003_u16).prop_map(|(place, port)| Source { place, port });
    prop_oneof![
        3 => session.clone().prop_map(Step::Announce),
        3 => (session.clone(), 1..4_u8)
            .prop_map(|(session, place)| Step::Admit { session, place }),
        1 => session.clone().prop_map(Step::Close),
        1 => session.clone().prop_map(Step::CloseReplaced),
        6 => (session.clone(), 0..SPIS, source)
            .prop_map(|(session, spi, from)| Step::FromClient { session, spi, from }),
        4 => (session, 0..SPIS).prop_map(|(session, spi)| Step::FromAgent { session, spi }),
        3 => prop::sample::select(vec![1, 30, 59, 60, 120, 240, 300]).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

/// The twin's state of a session.
#[derive(Debug)]
struct Known {
    state: State,
    /// Where the client last sent the tag, since the restart.
    place: Option<u8>,
    replaced: Option<Control>,
    /// The client's flows, by number.
    flows: BTreeMap<u32, Flow>,
    /// Destination of the agent's datagrams.
    answers: Option<Source>,
    /// Former sources, which are accepted at once.
    former: Vec<Source>,
    /// Whether a flow began or moved since the tag was sent.
    settled: bool,
    /// When that is assumed without a flow.
    learning: Option<Time>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Announced { until: Time },
    Connected(Control),
    Waiting { since: Time },
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    /// `None` after the client moved.
    from: Option<Source>,
    active: Time,
    /// Whether it had datagrams since the last check.
    sent: bool,
    /// Higher if it was placed later.
    placed: usize,
}

struct Twin {
    world: World,
    sessions: BTreeMap<u32, Known>,
    /// Ended sessions, and until when their announcements are ignored.
    ended: BTreeMap<u32, Time>,
}

fn client_spi(session: u32, number: u32) -> u32 {
    0xc0de_0000 + session * 16 + number
}

fn agent_spi(session: u32, number: u32) -> u32 {
    0xa9e1_0000 + session * 16 + number
}

impl Source {
    fn text(self) -> String {
        format!("192.0.2.{}:{}", self.place, self.port)
    }
}

impl Twin {
    fn new() -> Self {
        Self { world: World::new(PLACES), sessions: BTreeMap::new(), ended: BTreeMap::new() }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Announce(session) => self.announce(session),
            Step::Admit { session, place } => self.admit(session, place),
            Step::Close(session) => self.close(session),
            Step::CloseReplaced(session) => {
                let known = self.sessions.get(&session);
                if let Some(replaced) = known.and_then(|known| known.replaced) {
                    let wanted = self.world.observe(replaced, Side::Client, b"late");
                    self.world.close(replaced);
                    assert!(!wanted, "a replaced connection was listened to");
                }
            }
            Step::FromClient { session, spi, from } => self.client_sends(session, spi, from),
            Step::FromAgent { session, spi } => self.agent_sends(session, spi),
            Step::Wait(seconds) => self.wait(seconds),
            Step::Restart => self.restart(),
        }
    }

    fn announce(&mut self, session: u32) {
        let now = self.world.now;
        let expected = if self.sessions.contains_key(&session) {
            Ok(())
        } else if self.ended.contains_key(&session) {
            Err(Refusal::Ended)
        } else if self.sessions.len() == PLACES as usize {
            Err(Refusal::Full)
        } else {
            let state = State::Announced { until: now + TIMEOUTS.announced };
            self.sessions.insert(session, Known::new(state));
            Ok(())
        };

        assert_eq!(self.world.announce(session), expected);
    }

    fn admit(&mut self, session: u32, place: u8) {
        let control = self.world.admit(session, &format!("192.0.2.{place}"));

        let Some(known) = self.sessions.get_mut(&session) else {
            return assert_eq!(control, None, "somebody came without a session");
        };
        let control = control.expect("who has a session is let in");
        let closed = self.world.admission.take_events().into_iter().filter_map(|event| {
            if let Event::Close(control) = event { Some(control) } else { None }
        });
        let before = if let State::Connected(before) = known.state { Some(before) } else { None };
        assert_eq!(closed.collect::<Vec<_>>(), Vec::from_iter(before));
        known.connect(control, place, self.world.now);
        let spis = |name: fn(u32, u32) -> u32| (0..SPIS).map(move |n| name(session, n));
        let (client, agent): (Vec<_>, Vec<_>) =
            (spis(client_spi).collect(), spis(agent_spi).collect());
        self.world.observe(control, Side::Client, &chunks(&client));
        self.world.observe(control, Side::Agent, &chunks(&agent));
    }

    fn close(&mut self, session: u32) {
        let Some(known) = self.sessions.get_mut(&session) else { return };
        if let State::Connected(control) = known.state {
            known.state = State::Waiting { since: self.world.now };
            self.world.close(control);
        }
    }

    fn client_sends(&mut self, session: u32, spi: u32, from: Source) {
        let here = |known: &&Known| known.place == Some(from.place);
        let owner = self.sessions.get(&session).filter(here).is_some();
        let may_guess = self.sessions.values().filter(here).any(|known| !known.settled);
        if !owner && may_guess {
            return;
        }

        let candidates = candidates(client_spi(session, spi), 9);
        let sent = self.world.send(Side::Client, &from.text(), candidates);

        let now = self.world.now;
        let known = self.sessions.get_mut(&session).filter(|_| owner);
        let is_taken = known.is_some_and(|known| known.client_sent(spi, from, now));
        let expected = if is_taken { Ok(agent(session)) } else { Err(Dropped::Unknown) };
        assert_eq!(sent, expected, "{from:?}");
    }

    fn agent_sends(&mut self, session: u32, spi: u32) {
        let candidates = candidates(agent_spi(session, spi), 9);

        let sent = self.world.send(Side::Agent, &agent(session).to_string(), candidates);

        let known = self.sessions.get(&session).filter(|known| known.place.is_some());
        let expected = match known.map(|known| known.answers) {
            None => Err(Dropped::Unknown),
            Some(None) => Err(Dropped::NoDestination),
            Some(Some(client)) => Ok(address(&client.text())),
        };
        assert_eq!(sent, expected);
    }

    fn wait(&mut self, seconds: u64) {
        self.world.wait(seconds);

        let now = self.world.now;
        self.sessions.values_mut().for_each(|known| known.tick(now));
        let over = self.sessions.extract_if(.., |_, known| known.is_over(now));
        let ends: Vec<_> = over.map(|(session, known)| (session, known.end())).collect();
        self.ended.extend(ends.iter().map(|(session, _)| (*session, now + KEPT)));
        self.ended.retain(|_, until| *until > now);
        let mut ended = self.world.ends();
        ended.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(ended, ends.iter().map(|(s, end)| (id(*s), *end)).collect::<Vec<_>>());
    }

    fn restart(&mut self) {
        restart(&mut self.world);

        let now = self.world.now;
        for known in self.sessions.values_mut() {
            let state = match known.state {
                State::Waiting { .. } if !known.flows.is_empty() => State::Waiting { since: now },
                State::Connected(_) => State::Waiting { since: now },
                other => other,
            };
            *known = Known::new(state);
        }
    }

    /// Invariants that hold after every step.
    fn check(&self) {
        let state = |known: &Known| match known.state {
            State::Announced { .. } => "announced",
            State::Connected(_) => "connected",
            State::Waiting { .. } => "waiting",
        };
        let mut views: Vec<_> =
            self.world.admission.views().map(|view| (view.id.clone(), view.state)).collect();
        views.sort();
        let known = self.sessions.iter().map(|(session, known)| (id(*session), state(known)));
        assert_eq!(views, known.collect::<Vec<_>>());
        assert_eq!(self.world.admission.is_full(), self.sessions.len() == PLACES as usize);
    }
}

impl Known {
    fn new(state: State) -> Self {
        Self {
            state,
            place: None,
            replaced: None,
            flows: BTreeMap::new(),
            answers: None,
            former: Vec::new(),
            settled: false,
            learning: None,
        }
    }

    fn connect(&mut self, control: Control, place: u8, now: Time) {
        if let State::Connected(before) = self.state {
            self.replaced = Some(before);
        }
        if self.place.replace(place) != Some(place) {
            self.flows.values_mut().for_each(|flow| flow.from = None);
            (self.answers, self.former) = (None, Vec::new());
        }
        self.state = State::Connected(control);
        self.settled = false;
        self.learning = Some(now + Duration::from_mins(1));
    }

    /// Whether a datagram from this source is accepted.
    fn client_sent(&mut self, number: u32, from: Source, now: Time) -> bool {
        let placed = self.flows.values().map(|flow| flow.placed + 1).max().unwrap_or_default();
        if let Some(flow) = self.flows.get_mut(&number)
            && flow.from == Some(from)
            && self.answers == Some(from)
        {
            flow.sent = true;
            return true;
        }
        self.look(now);
        let mut there = self.flows.values().filter(|flow| flow.from == self.answers);
        let is_silent = there.all(|flow| now.since(flow.active) >= Duration::from_secs(1));
        match (self.answers, self.former.iter().position(|former| *former == from)) {
            (None, _) => {}
            (Some(at), _) if at == from => {}
            (_, Some(at)) => self.former.truncate(at),
            (Some(_), None) if !is_silent => return false,
            (Some(at), None) if self.former.len() < 8 => self.former.push(at),
            _ => {}
        }
        self.answers = Some(from);
        self.flows.insert(number, Flow { from: Some(from), active: now, sent: true, placed });
        self.settled = true;
        true
    }

    fn look(&mut self, now: Time) {
        for flow in self.flows.values_mut().filter(|flow| flow.sent) {
            (flow.sent, flow.active) = (false, now);
        }
    }

    fn tick(&mut self, now: Time) {
        self.look(now);
        if !matches!(self.state, State::Connected(_)) && !self.flows.is_empty() {
            self.flows.retain(|_, flow| now.since(flow.active) < TIMEOUTS.udp_idle);
            self.settled &= !self.flows.is_empty();
        }
        if !self.flows.values().any(|flow| flow.from == self.answers) {
            let liveliest = self.flows.values().max_by_key(|flow| (flow.active, flow.placed));
            self.answers = liveliest.and_then(|flow| flow.from);
            self.former.retain(|former| self.answers.is_some_and(|answers| answers != *former));
        }
        if self.learning.is_some_and(|until| now >= until) {
            self.learning = None;
            self.settled |= !self.flows.is_empty();
        }
    }

    fn is_over(&self, now: Time) -> bool {
        match self.state {
            State::Announced { until } => now >= until,
            State::Connected(_) => false,
            State::Waiting { since } => now >= since + TIMEOUTS.resume && self.flows.is_empty(),
        }
    }

    fn end(&self) -> End {
        match self.state {
            State::Announced { .. } => End::Unused,
            _ => End::ResumeTimeout,
        }
    }
}

/// Longer than the validity of any token.
const KEPT: Duration = Duration::from_mins(2);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_admission_agrees_with_a_simple_reimplementation(steps in prop::collection::vec(step(), 1..120)) {
        let mut twin = Twin::new();
        for step in steps {
            twin.run(&step);
            twin.check();
        }
    }
}
