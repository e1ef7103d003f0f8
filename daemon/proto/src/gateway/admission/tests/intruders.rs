//! Attackers behind the client's address who know all SPIs of its session.

use proptest::prelude::*;

use super::*;

const HOME: &str = "192.0.2.1:5000";
const MOVED: &str = "192.0.2.1:5001";
const INTRUDER: &str = "192.0.2.1:6000";
const AGENT: &str = "10.0.0.1:4172";

/// The SPIs in the control bytes: the client's, one that it does not use, and the agent's.
const SPIS: [u32; 3] = [0xc001, 0xc002, 0xa001];

/// A connected session with datagrams in both directions.
fn flowing() -> World {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.observe(control, Side::Client, &chunks(&SPIS[..2]));
    world.observe(control, Side::Agent, &chunks(&SPIS[2..]));
    world.send(Side::Client, HOME, candidates(0xc001, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();
    world
}

/// Destination of the agent's datagrams.
fn answers(world: &mut World) -> SocketAddr {
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap()
}

#[test]
fn a_sending_client_is_not_moved_to_another_port() {
    let mut world = flowing();
    for _ in 0..20 {
        world.now = world.now + Duration::from_millis(900);
        for spi in SPIS {
            let intruding = world.send(Side::Client, INTRUDER, candidates(spi, 2));
            assert_eq!(intruding, Err(Dropped::Unknown), "{spi:x}");
        }
        assert_eq!(answers(&mut world), address(HOME));
        assert_eq!(world.send(Side::Client, HOME, candidates(0xc001, 2)), Ok(address(AGENT)));
        world.tick();
    }
}

#[test]
fn a_client_that_paused_is_restored_by_its_first_datagram() {
    for spi in SPIS {
        let mut world = flowing();
        world.fall_silent();
        // One after the other, each when the previous one has been silent.
        for port in 6000..6020 {
            let intruder = format!("192.0.2.1:{port}");
            assert_eq!(world.send(Side::Client, &intruder, candidates(spi, 2)), Ok(address(AGENT)));
            assert_eq!(answers(&mut world), address(&intruder));
            world.fall_silent();
        }

        assert_eq!(world.send(Side::Client, HOME, candidates(0xc001, 3)), Ok(address(AGENT)));

        assert_eq!(answers(&mut world), address(HOME));
        for port in 6000..6020 {
            let intruder = format!("192.0.2.1:{port}");
            let intruding = world.send(Side::Client, &intruder, candidates(spi, 4));
            assert_eq!(intruding, Err(Dropped::Unknown));
        }
        assert_eq!(answers(&mut world), address(HOME));
    }
}

#[test]
fn a_client_with_a_new_port_is_moved_and_protected_there() {
    let mut world = flowing();
    assert_eq!(world.send(Side::Client, MOVED, candidates(0xc001, 2)), Err(Dropped::Unknown));
    world.fall_silent();

    assert_eq!(world.send(Side::Client, MOVED, candidates(0xc001, 3)), Ok(address(AGENT)));

    assert_eq!(answers(&mut world), address(MOVED));
    world.fall_silent();
    world.send(Side::Client, INTRUDER, candidates(0xc001, 4)).unwrap();
    assert_eq!(world.send(Side::Client, MOVED, candidates(0xc001, 5)), Ok(address(AGENT)));
    assert_eq!(answers(&mut world), address(MOVED));
}

#[test]
fn a_sequence_number_far_from_the_last_keeps_a_flow_where_it_is() {
    let near = 1 << 20;
    for last in [5_u32, u32::MAX - 5, 1 << 31] {
        for (offset, moves) in [(1, true), (near, true), (near + 1, false), (1 << 31, false)] {
            for this in [last.wrapping_add(offset), last.wrapping_sub(offset)] {
                let mut world = flowing();
                world.send(Side::Client, HOME, candidates(0xc001, last)).unwrap();
                world.fall_silent();

                let sent = world.send(Side::Client, INTRUDER, candidates(0xc001, this));

                assert_eq!(sent.is_ok(), moves, "{last:x} {this:x}");
                // No sequence number locks the client out.
                let back = world.send(Side::Client, HOME, candidates(0xc001, this ^ (1 << 31)));
                assert_eq!(back, Ok(address(AGENT)));
                assert_eq!(answers(&mut world), address(HOME));
            }
        }
    }
}

#[test]
fn a_revealed_spi_takes_precedence_over_a_guess() {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.send(Side::Client, INTRUDER, candidates(0xdddd, 1)).unwrap();
    world.observe(control, Side::Client, &chunks(&[0xc001]));
    world.observe(control, Side::Agent, &chunks(&[0xa001]));

    assert_eq!(world.send(Side::Client, HOME, candidates(0xc001, 1)), Ok(address(AGENT)));

    assert_eq!(answers(&mut world), address(HOME));
    assert_eq!(world.send(Side::Client, INTRUDER, candidates(0xdddd, 2)), Err(Dropped::Unknown));
    assert_eq!(answers(&mut world), address(HOME));
}

#[test]
fn a_reconnecting_client_regains_its_session_from_an_attacker() {
    let mut world = flowing();
    world.fall_silent();
    world.send(Side::Client, INTRUDER, candidates(0xc001, 2)).unwrap();
    assert_eq!(answers(&mut world), address(INTRUDER));
    let control = world.admit(1, "192.0.2.1").unwrap();
    world.observe(control, Side::Client, &chunks(&[0xc003]));
    world.observe(control, Side::Agent, &chunks(&[0xa003]));
    for spi in SPIS {
        world.send(Side::Client, INTRUDER, candidates(spi, 3)).unwrap();
        let other = world.send(Side::Client, "192.0.2.1:6001", candidates(spi, 3));
        assert_eq!(other, Err(Dropped::Unknown), "{spi:x}");
    }

    assert_eq!(world.send(Side::Client, MOVED, candidates(0xc003, 1)), Ok(address(AGENT)));

    assert_eq!(answers(&mut world), address(MOVED));
    for spi in SPIS.into_iter().chain([0xc003, 0xa003]) {
        for intruder in [INTRUDER, "192.0.2.1:6001"] {
            let intruding = world.send(Side::Client, intruder, candidates(spi, 4));
            assert_eq!(intruding, Err(Dropped::Unknown), "{spi:x}");
        }
    }
    assert_eq!(answers(&mut world), address(MOVED));
}

#[test]
fn an_active_agent_flow_does_not_move_and_returns_at_once() {
    let other = "10.0.0.1:9999";
    let mut world = flowing();
    let home = |number| candidates(0xa001, number);
    assert_eq!(world.send(Side::Agent, other, home(2)), Err(Dropped::Unknown));
    world.fall_silent();
    assert_eq!(world.send(Side::Agent, other, home(3)), Ok(address(HOME)));

    assert_eq!(world.send(Side::Agent, AGENT, home(4)), Ok(address(HOME)));

    assert_eq!(world.send(Side::Agent, other, home(5)), Err(Dropped::Unknown));
}

/// What happens in a tenth of a second.
#[derive(Debug, Clone)]
enum Step {
    /// The client waits, at most 800 ms.
    Wait,
    /// The client sends a datagram.
    Speak,
    /// The client is silent for this many tenths of a second, while attackers send.
    Pause(u8, Vec<Try>),
    /// Attackers send.
    Intrude(Vec<Try>),
}

/// An attacker's datagram: source port, SPI and sequence number.
#[derive(Debug, Clone)]
struct Try {
    port: u16,
    spi: usize,
    number: u32,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let number = prop_oneof![0..40_u32, any::<u32>()];
    let one = (6000..6012_u16, 0..SPIS.len(), number);
    let one = one.prop_map(|(port, spi, number)| Try { port, spi, number });
    prop::collection::vec(one, 0..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Wait),
        4 => Just(Step::Speak),
        1 => (1..60_u8, tries()).prop_map(|(tenths, tries)| Step::Pause(tenths, tries)),
        6 => tries().prop_map(Step::Intrude),
    ]
}

struct Neighbourhood {
    world: World,
    /// Tenths of a second since the client's last datagram.
    quiet: u32,
    tenths: u32,
    number: u32,
}

impl Neighbourhood {
    fn run(&mut self, step: Step) {
        match step {
            Step::Wait | Step::Intrude(_) if self.quiet >= 8 => self.speak(),
            Step::Wait => self.pass(),
            Step::Speak => self.speak(),
            Step::Intrude(tries) => {
                self.pass();
                for one in tries {
                    let sent = self.intrude(&one);
                    assert_eq!(sent, Err(Dropped::Unknown), "{one:?} is followed");
                    assert_eq!(answers(&mut self.world), address(HOME));
                }
            }
            Step::Pause(tenths, tries) => {
                for one in tries {
                    (0..tenths).for_each(|_| self.pass());
                    let _ = self.intrude(&one);
                }
                self.speak();
            }
        }
    }

    fn pass(&mut self) {
        self.world.now = self.world.now + Duration::from_millis(100);
        (self.quiet, self.tenths) = (self.quiet + 1, self.tenths + 1);
        if self.tenths % 10 == 3 {
            self.world.tick();
        }
    }

    /// No datagram of the client is lost, and the agent's datagrams go to it afterwards.
    fn speak(&mut self) {
        self.pass();
        (self.quiet, self.number) = (0, self.number + 1);
        let sent = self.world.send(Side::Client, HOME, candidates(0xc001, self.number));
        assert_eq!(sent, Ok(address(AGENT)));
        assert_eq!(answers(&mut self.world), address(HOME));
    }

    fn intrude(&mut self, one: &Try) -> Result<SocketAddr, Dropped> {
        let from = format!("192.0.2.1:{}", one.port);
        self.world.send(Side::Client, &from, candidates(SPIS[one.spi], one.number))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn an_attacker_behind_the_clients_address_cannot_take_over_its_session(
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let mut all = Neighbourhood { world: flowing(), quiet: 0, tenths: 0, number: 1 };
        for step in steps {
            all.run(step);
        }
    }
}
