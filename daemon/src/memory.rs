//! The memory of the process: its limit, and freed memory, which is returned to the system. The allocator keeps it, in case that as many connections
//! come again.

use std::time::Duration;

use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::task::TaskTracker;
use tracing::debug;

pub(crate) use limit::limit;

mod limit;

/// How often the number of connections is compared.
const INTERVAL: Duration = Duration::from_secs(20);

/// Returns memory while the number of connections changes much, and for some time afterwards.
pub(crate) async fn keep_small(connections: TaskTracker) {
    let mut trims = Trims::default();
    loop {
        sleep(INTERVAL).await;
        if trims.is_due(connections.len()) && spawn_blocking(cmsg_udp::release_memory).await.is_ok()
        {
            debug!("Returned freed memory to the system");
        }
    }
}

/// When to return memory. It costs some milliseconds in which others wait for the allocator.
#[derive(Debug, Default)]
struct Trims {
    /// Number of connections at the last change.
    connections: usize,
    /// Number of checks for which the change still matters.
    left: u32,
}

impl Trims {
    /// Minimum number of connections that are worth it.
    const MANY: usize = 64;

    /// Number of checks in which connections free what only their beginning needs, and sessions
    /// what their connections have left. A gateway keeps control bytes for a minute.
    const SETTLED: u32 = 4;

    fn is_due(&mut self, connections: usize) -> bool {
        if connections.abs_diff(self.connections) >= Self::MANY.max(self.connections / 8) {
            (self.connections, self.left) = (connections, Self::SETTLED);
            return true;
        }
        let is_due = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_returned_until_a_change_of_connections_has_settled() {
        let mut trims = Trims::default();
        let mut due = |connections: &[usize]| -> Vec<bool> {
            connections.iter().map(|connections| trims.is_due(*connections)).collect()
        };

        assert_eq!(due(&[63, 63, 0]), [false; 3], "few connections");
        assert_eq!(due(&[5000; 6]), [true, true, true, true, true, false], "many new ones");
        assert_eq!(due(&[4400, 5600, 5000]), [false; 3], "the usual coming and going");
        assert_eq!(due(&[4000; 6]), [true, true, true, true, true, false], "many have ended");
        assert_eq!(
            due(&[2000, 10, 10, 10, 10, 10, 10]),
            [true, true, true, true, true, true, false]
        );
    }
}
