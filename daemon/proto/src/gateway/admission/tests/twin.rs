//! Random events against a simple reimplementation that predicts each result: which clients are
//! admitted, where each datagram goes, and when sessions end. All SPIs are revealed and unique, so
//! there are no guesses; those are tested in `model`.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{journal::restart, *};
use known::{Known, State};

mod known;

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
    ChangeRules { places: u32, short: bool },
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
        1 => (1..=SESSIONS, any::<bool>())
            .prop_map(|(places, short)| Step::ChangeRules { places, short }),
        1 => Just(Step::Restart),
    ]
}

struct Twin {
    world: World,
    rules: Rules,
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
        Self {
            world: World::new(PLACES),
            rules: Rules { max_connections: PLACES, timeouts: TIMEOUTS },
            sessions: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
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
            Step::ChangeRules { places, short } => self.change_rules(places, short),
            Step::Restart => self.restart(),
        }
    }

    fn announce(&mut self, session: u32) {
        let now = self.world.now;
        let expected = if self.sessions.contains_key(&session) {
            Ok(())
        } else if self.ended.contains_key(&session) {
            Err(Refusal::Ended)
        } else if self.is_full() {
            Err(Refusal::Full)
        } else {
            let state = State::Announced { until: now + self.rules.timeouts.announced };
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
        let Rules { timeouts, .. } = self.rules;
        self.sessions.values_mut().for_each(|known| known.tick(now, &timeouts));
        let over = self.sessions.extract_if(.., |_, known| known.is_over(now, &timeouts));
        let ends: Vec<_> = over.map(|(session, known)| (session, known.end())).collect();
        self.ended.extend(ends.iter().map(|(session, _)| (*session, now + KEPT)));
        self.ended.retain(|_, until| *until > now);
        let mut ended = self.world.ends();
        ended.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(ended, ends.iter().map(|(s, end)| (id(*s), *end)).collect::<Vec<_>>());
    }

    /// Ends the sessions whose changed deadline has passed, but none because of fewer places.
    fn change_rules(&mut self, places: u32, short: bool) {
        let timeouts = if short { SHORT } else { TIMEOUTS };
        let before =
            std::mem::replace(&mut self.rules, Rules { max_connections: places, timeouts });
        for known in self.sessions.values_mut() {
            if let State::Announced { until } = &mut known.state {
                *until = *until - before.timeouts.announced + timeouts.announced;
            }
        }

        self.world.change(places, timeouts);
        self.wait(0);
    }

    fn is_full(&self) -> bool {
        self.sessions.len() >= self.rules.max_connections as usize
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
        assert_eq!(self.world.admission.is_full(), self.is_full());
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
