//! What a gateway knows of a peer: whether its lease is valid, and which of its batches have arrived.

use std::{collections::BTreeSet, time::Duration};

use super::{BootId, LEASE, Position};
use crate::{SessionKey, Time};

/// The state of one peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// When it was last heard.
    heard: Option<Time>,
    boot: Option<BootId>,
    /// Whether it accepts new sessions, according to its latest heartbeat.
    pub(super) is_ready: bool,
    /// The latest batch that was applied.
    pub(super) applied: Option<Position>,
    /// Sessions that it reported and that have no grant yet.
    skipped: BTreeSet<SessionKey>,
    /// Whether it must send a snapshot.
    is_behind: bool,
    /// The latest request for a snapshot.
    requested: Option<Time>,
    /// Its number.
    number: u64,
    /// The number of the first request since it must send one. The answer to any later request is
    /// complete too: a long one may arrive after the next request.
    first: u64,
    /// When this gateway last sent a snapshot to the peer.
    answered: Option<Time>,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Next,
    Repeated,
    Missing,
}

/// More sessions than are announced while a grant is on its way.
const MAX_SKIPPED: usize = 1024;

/// How long to wait for a snapshot before it is requested again. The time doubles with each request
/// but the first, since it may take longer to send the snapshot.
const RETRY: Duration = Duration::from_secs(1);

/// How often the time doubles.
const MAX_DOUBLINGS: u32 = 3;

/// How often a snapshot is sent to a peer at most.
const PAUSE: Duration = Duration::from_millis(500);

impl Peer {
    /// A peer whose batches up to this one were applied before a restart.
    pub(super) fn restored(applied: Position) -> Self {
        let (boot, applied) = (Some(applied.boot), Some(applied));
        Self { boot, applied, is_behind: true, first: 1, ..Self::default() }
    }

    /// A frame arrived, which renews the lease. Returns whether the peer has restarted.
    pub(super) fn hear(&mut self, boot: BootId, now: Time) -> bool {
        // It may have missed what this gateway reported, and claim sessions that have moved.
        if self.is_lost(now) {
            self.miss();
        }
        self.heard = Some(now);
        let is_new = self.boot.replace(boot).is_some_and(|former| former != boot);
        if is_new {
            self.applied = None;
            self.first = self.number + 1;
        }
        if self.applied.is_none() {
            self.miss();
        }
        is_new
    }

    /// A part of a long frame arrived or is being checked, which renews a valid lease.
    pub(super) fn renew(&mut self, now: Time) {
        if !self.is_lost(now) {
            self.heard = Some(now);
        }
    }

    /// Whether the lease has expired.
    pub(super) fn is_lost(&self, now: Time) -> bool {
        self.heard.is_none_or(|heard| now.since(heard) >= LEASE)
    }

    /// Whether the batch is the next one.
    pub(super) fn arrival(&mut self, sequence: u64) -> Arrival {
        match self.applied {
            Some(applied) if sequence <= applied.sequence => Arrival::Repeated,
            Some(applied) if sequence == applied.sequence.saturating_add(1) => Arrival::Next,
            _ => {
                self.miss();
                Arrival::Missing
            }
        }
    }

    /// A batch was sent that has not arrived.
    pub(super) fn miss(&mut self) {
        if !std::mem::replace(&mut self.is_behind, true) {
            self.first = self.number + 1;
        }
    }

    /// The batch was applied.
    pub(super) fn apply(&mut self, sequence: u64) {
        self.applied = self.boot.map(|boot| Position { boot, sequence });
    }

    /// A report of a session without a grant was ignored.
    pub(super) fn skip(&mut self, key: SessionKey) {
        self.skipped.insert(key);
        if self.skipped.len() > MAX_SKIPPED {
            self.skipped.pop_first();
        }
    }

    /// The session has a grant now.
    pub(super) fn granted(&mut self, key: SessionKey) {
        if self.skipped.remove(&key) {
            self.start_over();
        }
    }

    /// Something of the peer was refused: everything must be sent again.
    pub(super) fn start_over(&mut self) {
        self.applied = None;
        self.miss();
    }

    /// The number of a request for a snapshot, if it is time for one.
    pub(super) fn request(&mut self, now: Time) -> Option<u64> {
        let pause = RETRY * 2_u32.pow(self.tries().min(MAX_DOUBLINGS));
        let may_ask = self.requested.is_none_or(|requested| now.since(requested) >= pause);
        if !self.is_behind || !may_ask || self.boot.is_none() {
            return None;
        }
        self.requested = Some(now);
        self.number += 1;
        Some(self.number)
    }

    /// Number of requests since it must send a snapshot, except for the first one.
    fn tries(&self) -> u32 {
        u32::try_from(self.number.saturating_sub(self.first)).unwrap_or(u32::MAX)
    }

    /// Whether a snapshot answers a request. It does so once.
    pub(super) fn accept_snapshot(&mut self, number: u64, sequence: u64) -> bool {
        let is_old = self.applied.is_some_and(|applied| applied.sequence > sequence);
        let is_requested = (self.first..=self.number).contains(&number);
        let accepted = self.is_behind && is_requested && !is_old;
        if accepted {
            self.is_behind = false;
        }
        accepted
    }

    /// Whether a snapshot may be sent to the peer.
    pub(super) fn may_answer(&mut self, now: Time) -> bool {
        let may = self.answered.is_none_or(|answered| now.since(answered) >= PAUSE);
        if may {
            self.answered = Some(now);
        }
        may
    }
}
