//! The only module that reads a clock.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use cmsg_proto::Time;

/// The steady clock and the wall clock when the process first asked for the time.
static START: LazyLock<(Instant, Time)> = LazyLock::new(|| (Instant::now(), wall()));

/// Maximum lead of the wall clock over the monotonic clock so far, in milliseconds.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// The current time for rules and timeouts. It follows the wall clock forward, also over a suspend,
/// and never goes back.
#[must_use]
pub fn now() -> Time {
    let passed = u64::try_from(START.0.elapsed().as_millis()).unwrap_or(u64::MAX);
    let ahead = wall().as_millis().saturating_sub(passed);
    let ahead = AHEAD.fetch_max(ahead, Ordering::Relaxed).max(ahead);
    Time::from_millis(ahead.saturating_add(passed))
}

/// When the process started, by the wall clock.
#[must_use]
pub fn started() -> Time {
    START.1
}

/// The wall clock, for comparison with other hosts. It may go back.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_never_goes_back_and_is_near_the_wall_clock() {
        let mut before = now();
        for _ in 0..10_000 {
            let after = now();
            assert!(after >= before);
            before = after;
        }

        assert!(wall().since(before).as_secs() < 5 && before.since(wall()).as_secs() < 5);
    }
}
