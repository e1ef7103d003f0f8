//! Returns freed memory to the system. The allocator keeps it, in case that as many connections
//! come again.

use std::time::Duration;

use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::task::TaskTracker;
use tracing::debug;

/// How often the number of connections is compared.
const INTERVAL: Duration = Duration::from_secs(20);

/// Returns memory whenever many connections have ended.
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
    /// Number of checks until memory is returned without another change.
    left: u32,
}

impl Trims {
    /// Minimum number of connections that are worth it.
    const MANY: usize = 64;

    /// Number of checks after which new connections have freed what only their beginning needs. A
    /// gateway keeps control bytes for a minute.
    const SETTLED: u32 = 4;

    fn is_due(&mut self, connections: usize) -> bool {
        let before = self.connections;
        if connections.abs_diff(before) >= Self::MANY.max(before / 8) {
            (self.connections, self.left) = (connections, Self::SETTLED);
            return connections < before;
        }
        let was_left = self.left;
        self.left = was_left.saturating_sub(1);
        was_left == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_returned_when_many_connections_end_and_once_after_each_change() {
        let mut trims = Trims::default();
        let mut due = |connections: &[usize]| -> Vec<bool> {
            connections.iter().map(|connections| trims.is_due(*connections)).collect()
        };

        assert_eq!(due(&[63, 63, 0]), [false; 3], "few connections");
        assert_eq!(due(&[5000; 6]), [false, false, false, false, true, false], "many new ones");
        assert_eq!(due(&[4400, 5600, 5000]), [false; 3], "the usual coming and going");
        assert_eq!(due(&[4000, 4000]), [true, false], "many have ended");
        assert_eq!(due(&[10, 10, 0, 0, 0, 0]), [true, false, false, false, true, false]);
    }
}
