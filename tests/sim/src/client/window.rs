//! Decides when to send which datagram: few at a time, so that none is lost for lack of buffers,
//! and again if its response is missing. No I/O and no clock.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::error::Error;

/// An exchange of datagrams with an answer to each.
#[derive(Debug)]
pub(super) struct Window {
    unsent: Range<u32>,
    unanswered: BTreeMap<u32, Attempt>,
    /// How many datagrams were sent again.
    pub(super) retransmitted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    sent: Instant,
    count: u32,
}

impl Window {
    /// Starts with these datagrams to send.
    pub(super) fn new(indices: Range<u32>) -> Self {
        Self { unsent: indices, unanswered: BTreeMap::new(), retransmitted: 0 }
    }

    /// Returns the datagram that is due at this time, if any.
    pub(super) fn due(&mut self, now: Instant) -> Result<Option<u32>, Error> {
        let late = |attempt: &Attempt| now.duration_since(attempt.sent) >= PATIENCE;
        if let Some((index, attempt)) = self.unanswered.iter_mut().find(|(_, it)| late(it)) {
            if attempt.count >= ATTEMPTS {
                return Err(Error::Lost { index: *index, attempts: ATTEMPTS });
            }
            *attempt = Attempt { sent: now, count: attempt.count + 1 };
            self.retransmitted += 1;
            return Ok(Some(*index));
        }
        if self.unanswered.len() >= ROOM {
            return Ok(None);
        }
        let index = self.unsent.next();
        if let Some(index) = index {
            self.unanswered.insert(index, Attempt { sent: now, count: 1 });
        }
        Ok(index)
    }

    pub(super) fn answered(&mut self, index: u32) {
        self.unanswered.remove(&index);
    }

    /// Tells whether every datagram was answered.
    pub(super) fn is_done(&self) -> bool {
        self.unsent.is_empty() && self.unanswered.is_empty()
    }
}

/// Maximum number of datagrams in transit, well below the size of a socket buffer.
const ROOM: usize = 16;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(250);
/// Maximum number of transmissions of a datagram.
const ATTEMPTS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn all_due(window: &mut Window, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| window.due(now).unwrap()).collect()
    }

    #[test]
    fn a_few_datagrams_are_under_way_at_a_time() {
        let start = Instant::now();
        let mut window = Window::new(0..20);

        assert_eq!(all_due(&mut window, start), (0..16).collect::<Vec<_>>());
        window.answered(3);
        window.answered(3);
        assert_eq!(all_due(&mut window, start), [16]);
        (0..17).for_each(|index| window.answered(index));
        assert_eq!(all_due(&mut window, start), [17, 18, 19]);
        assert!(!window.is_done());
        (17..20).for_each(|index| window.answered(index));
        assert!(window.is_done());
        assert_eq!(window.retransmitted, 0);
    }

    #[test]
    fn an_unanswered_datagram_is_sent_again_and_then_given_up() {
        let start = Instant::now();
        let mut window = Window::new(7..8);

        for attempt in 0..20 {
            assert_eq!(all_due(&mut window, start + PATIENCE * attempt), [7]);
        }
        let error = window.due(start + PATIENCE * 20).unwrap_err();

        assert!(matches!(error, Error::Lost { index: 7, attempts: 20 }));
        assert_eq!(window.retransmitted, 19);
    }
}
