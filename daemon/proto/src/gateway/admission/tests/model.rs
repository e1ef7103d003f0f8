//! Random events against a simple model: a revealed SPI belongs to the session that revealed it,
//! while the session exists and the datagram comes from its client's address.

use proptest::prelude::*;

use super::{journal::restart, *};

const SESSIONS: u32 = 6;
const PLACES: u32 = 4;

#[derive(Debug, Clone)]
enum Step {
    Announce(u32),
    Admit(u32, u8),
    Tell(u32, bool),
    Close(u32),
    FromClient(u32, u8, u16),
    FromAgent(u32),
    Wait(u64),
    ChangePlaces(u32),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    prop_oneof![
        session.clone().prop_map(Step::Announce),
        (session.clone(), 1..3_u8).prop_map(|(s, place)| Step::Admit(s, place)),
        (session.clone(), any::<bool>()).prop_map(|(s, layout)| Step::Tell(s, layout)),
        session.clone().prop_map(Step::Close),
        (session.clone(), 1..3_u8, 5000..5003_u16)
            .prop_map(|(s, place, port)| Step::FromClient(s, place, port)),
        session.prop_map(Step::FromAgent),
        prop_oneof![Just(1), Just(30), Just(61), Just(241), Just(301)].prop_map(Step::Wait),
        (1..=SESSIONS).prop_map(Step::ChangePlaces),
        Just(Step::Restart),
    ]
}

/// The model's state of a session.
#[derive(Default, Clone, Copy)]
struct Known {
    control: Option<Control>,
    client: Option<u8>,
    /// Whether its chunks revealed its SPIs.
    revealed: bool,
    /// Whether its stream has left the known layout.
    foreign: bool,
}

fn client_spi(session: u32) -> u32 {
    0xc0de_0000 + session
}

fn agent_spi(session: u32) -> u32 {
    0xa9e1_0000 + session
}

struct Checked {
    world: World,
    known: [Known; SESSIONS as usize],
}

impl Checked {
    fn run(&mut self, step: &Step) {
        let known = |checked: &mut Self, session: u32| checked.known[session as usize];
        match *step {
            Step::Announce(session) => {
                let _ = self.world.announce(session);
            }
            Step::Admit(session, place) => {
                if let Some(control) = self.world.admit(session, &format!("192.0.2.{place}")) {
                    let revealed = known(self, session).revealed;
                    self.known[session as usize] = Known {
                        control: Some(control),
                        client: Some(place),
                        revealed,
                        foreign: false,
                    };
                }
            }
            Step::Tell(session, layout) => {
                let Some(control) = known(self, session).control else { return };
                let spis = [client_spi(session), agent_spi(session)];
                let bytes = if layout { chunks(&spis) } else { bytes(&spis) };
                self.world.observe(control, Side::Client, &bytes);
                let known = &mut self.known[session as usize];
                known.foreign |= !layout;
                known.revealed |= !known.foreign;
            }
            Step::Close(session) => {
                let Some(control) = self.known[session as usize].control.take() else { return };
                self.world.close(control);
            }
            Step::FromClient(session, place, port) => self.client_sends(session, place, port),
            Step::ChangePlaces(places) => self.change_places(places),
            Step::Restart => {
                restart(&mut self.world);
                self.known = Default::default();
            }
            Step::FromAgent(session) => {
                let from = agent(session).to_string();
                let sent = self.world.send(Side::Agent, &from, candidates(agent_spi(session), 9));
                let place = known(self, session).client;
                assert!(sent.is_err() || place.is_some());
            }
            Step::Wait(seconds) => {
                self.world.wait(seconds);
                for (id_, _) in self.world.ends() {
                    let ended = (0..SESSIONS).find(|s| id(*s) == id_).unwrap();
                    self.known[ended as usize] = Known::default();
                }
            }
        }
    }

    /// No session ends because of fewer places.
    fn change_places(&mut self, places: u32) {
        let before = self.world.admission.count();
        self.world.change(places, TIMEOUTS);
        assert_eq!(self.world.admission.count(), before);
    }

    fn client_sends(&mut self, session: u32, place: u8, port: u16) {
        let from = format!("192.0.2.{place}:{port}");
        let candidates = candidates(client_spi(session), 9);
        let routed =
            self.world.routes.read().find(Side::Client, address(&from), candidates).is_some();
        let sent = self.world.send(Side::Client, &from, candidates);
        let Known { revealed, client, .. } = self.known[session as usize];

        if let Ok(to) = sent {
            let owner = (0..SESSIONS).find(|owner| agent(*owner) == to).unwrap();
            assert!(self.known[owner as usize].client.is_some(), "led to a session without client");
            if revealed && client == Some(place) {
                assert_eq!(owner, session, "a revealed SPI went elsewhere");
            }
        }
        let known_there = self.known.iter().any(|known| known.client == Some(place));
        assert!(sent.is_err() || routed || known_there, "a flow from nowhere was taken");
    }

    /// Invariants that hold after every event.
    fn check(&self, before: usize) {
        let Rules { max_connections, .. } = self.world.admission.rules;
        assert!(self.world.admission.count() <= before.max(max_connections as usize));
        let all = Routes::default();
        for session in self.world.admission.sessions.iter().flatten() {
            for (key, destination) in session.routes() {
                assert!(
                    all.read()
                        .find(
                            key.side,
                            key.from,
                            SpiCandidates { first: key.spi, second: None, third: None }
                        )
                        .is_none()
                );
                all.apply(RouteChange::Added(key, destination));
            }
        }
        for (side, ip) in self.world.admission.by_address.keys() {
            all.apply(RouteChange::Expected(*side, *ip));
        }
        assert_eq!(all, self.world.routes, "the changes do not add up");
        assert_eq!(self.world.admission.by_address, self.world.admission.places());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_rules_hold_for_any_sequence_of_events(steps in prop::collection::vec(step(), 1..80)) {
        let mut checked = Checked { world: World::new(PLACES), known: Default::default() };
        for step in steps {
            let before = checked.world.admission.count();
            checked.run(&step);
            checked.check(before);
        }
    }
}
