//! Random histories of three gateways, a compromised fourth one, four clients behind two NATs, and
//! a network that loses, repeats and reorders frames. After every step, the invariants must hold.
//!
//! `FAILOVER_STEPS` sets the number of steps, and `FAILOVER_SEED` the seed of the first history.

use std::env;

use world::World;

mod invariants;
mod node;
mod random;
mod rogue;
mod steps;
mod world;

/// Steps of one history.
const HISTORY: u64 = 250;

/// Steps of all histories by default: some seconds without optimization.
const STEPS: u64 = 60_000;

#[test]
fn the_rules_hold_in_any_history() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let steps = number("FAILOVER_STEPS").unwrap_or(STEPS);
    let first = number("FAILOVER_SEED").unwrap_or(1);
    let mut seen = world::Seen::default();

    for seed in first..first + steps.div_ceil(HISTORY) {
        let mut world = World::new(seed);
        for _ in 0..HISTORY {
            world.step();
            world.check();
        }
        world.settle();
        seen.add(&world.seen);
    }

    assert!(steps < STEPS || seen.is_everything(), "something never happened: {seen:?}");
}
