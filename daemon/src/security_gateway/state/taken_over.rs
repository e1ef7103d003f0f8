//! The sessions of other gateways that this one has taken over, for the status.

use std::collections::VecDeque;

use cmsg_config::socket::TakenOver;
use cmsg_proto::{
    Time,
    failover::{Fact, GatewayId, Why},
};

/// The sessions that this gateway has taken over since it started.
#[derive(Debug, Default)]
pub(super) struct TakeOvers {
    count: u64,
    /// The last of them, the latest one last.
    latest: VecDeque<TakenOver>,
}

/// Maximum number of taken over sessions in the status.
const LATEST: usize = 5;

impl TakeOvers {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The last of them, the latest one first.
    pub(super) fn latest(&self) -> Vec<TakenOver> {
        self.latest.iter().rev().cloned().collect()
    }

    pub(super) fn note(&mut self, fact: &Fact, own: Option<GatewayId>, now: Time) {
        let Fact::Moved(session, claim, why @ (Why::Tag | Why::Datagram)) = fact else { return };
        if Some(claim.gateway) != own {
            return;
        }
        self.count += 1;
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        let (at, why) = (now.as_millis(), name(*why).to_owned());
        self.latest.push_back(TakenOver { session: session.to_string(), at, why });
    }
}

/// The name of a reason in the status.
pub(super) fn name(why: Why) -> &'static str {
    match why {
        Why::Announced => "announced",
        Why::Tag => "tag",
        Why::Datagram => "datagram",
        Why::Claimed => "claimed",
        Why::Kept => "kept",
    }
}
