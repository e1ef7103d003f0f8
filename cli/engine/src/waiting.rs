//! Waits for the engine no longer than a timeout, and no longer than the operator wants.

use std::{pin::pin, time::Duration};

use tokio::time::{interval, sleep};

/// How often to check for an interrupt.
const CHECK: Duration = Duration::from_millis(50);

/// Why an answer was not waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    TimedOut,
    Interrupted,
}

/// The answer, if it comes within that time and before an interrupt.
pub(super) async fn within<T>(
    time: Duration,
    is_interrupted: fn() -> bool,
    answer: impl Future<Output = T>,
) -> Result<T, Stopped> {
    let (mut answer, mut timeout) = (pin!(answer), pin!(sleep(time)));
    let mut checks = interval(CHECK);
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer),
            () = &mut timeout => return Err(Stopped::TimedOut),
            _ = checks.tick() => {
                if is_interrupted() {
                    return Err(Stopped::Interrupted);
                }
            }
        }
    }
}
