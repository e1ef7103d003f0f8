//! What survives a restart.

use serde::{Deserialize, Serialize};

use super::{
    super::{BootId, Claim, Flows, GatewayId, Position, ended::Tombstone, peer::Peer},
    Grant, Rules, Standby,
};
use crate::SessionKey;

/// The persistent state at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Saved {
    /// All sessions.
    pub sessions: Vec<SavedSession>,
    /// All ended sessions.
    pub ended: Vec<(SessionKey, Tombstone)>,
    /// The latest batch of each peer.
    pub positions: Vec<(GatewayId, Position)>,
}

/// The persistent state of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSession {
    /// The grant.
    pub grant: Grant,
    /// The highest accepted claim.
    pub claim: Option<Claim>,
    /// The highest known claim.
    pub highest: Option<Claim>,
    /// The flows.
    pub flows: Flows,
}

impl Standby {
    /// The state to be persisted.
    #[must_use]
    pub fn saved(&self) -> Saved {
        let sessions = self.sessions.values().map(|session| SavedSession {
            grant: session.grant.clone(),
            claim: session.claim,
            highest: session.highest,
            flows: session.flows.clone(),
        });
        let positions = self.peers.iter().filter_map(|(id, peer)| Some((*id, peer.applied?)));
        Saved {
            sessions: sessions.collect(),
            ended: self.ended.iter().collect(),
            positions: positions.collect(),
        }
    }

    /// Restores the state of before a restart. This gateway serves no session until its client is
    /// heard: another one may have taken it over. The limits of `rules` apply to new grants only.
    #[must_use]
    pub fn restored(rules: Rules, boot: BootId, saved: Saved) -> Self {
        let mut standby = Self::new(rules, boot);
        for SavedSession { grant, claim, highest, flows } in saved.sessions {
            let key = grant.key;
            if !standby.sessions.contains_key(&key) {
                standby.insert(grant);
                standby.replace_flows(key, flows);
            }
            if let Some(session) = standby.sessions.get_mut(&key) {
                session.restore(claim, highest);
            }
        }
        for (key, tombstone) in saved.ended {
            standby.remove(key);
            standby.ended.restore(key, tombstone, 0);
        }
        for (id, position) in saved.positions {
            if let Some(peer) = standby.peers.get_mut(&id) {
                *peer = Peer::restored(position);
            }
        }
        standby
    }
}
