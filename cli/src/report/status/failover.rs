//! What `status` says of sessions that gateways take over from each other.

use cmsg_config::socket::{FailoverStatus, PeerStatus};

use crate::shown::counted;

/// One value for this gateway, and one for each peer.
pub(super) fn values(failover: &FailoverStatus) -> Vec<String> {
    let FailoverStatus { id, pin, serving, standing_by, .. } = failover;
    let sessions = counted(*serving, "session");
    let own = format!("gateway {id}: serves {sessions}, and may take over {standing_by} of others");
    let peers = failover.peers.iter().map(peer);
    [own, format!("key: {pin}")].into_iter().chain(peers).collect()
}

fn peer(PeerStatus { id, address, connected, heard, .. }: &PeerStatus) -> String {
    let state = match (heard, connected) {
        (true, true) => "connected",
        (true, false) => "connected, but this gateway cannot connect to it",
        (false, true) => "silent",
        (false, false) => "not connected",
    };
    format!("peer {id} at {address}: {state}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_state() {
        let peer = |id, connected, heard| PeerStatus {
            id,
            address: format!("10.0.0.{id}:4173"),
            connected,
            heard,
            sent: 0,
        };
        let failover = FailoverStatus {
            id: 1,
            pin: "sha256:00".to_owned(),
            serving: 1,
            standing_by: 30,
            ended: 7,
            peers: vec![
                peer(2, true, true),
                peer(3, false, true),
                peer(4, true, false),
                peer(5, false, false),
            ],
        };

        assert_eq!(
            values(&failover),
            [
                "gateway 1: serves 1 session, and may take over 30 of others",
                "key: sha256:00",
                "peer 2 at 10.0.0.2:4173: connected",
                "peer 3 at 10.0.0.3:4173: connected, but this gateway cannot connect to it",
                "peer 4 at 10.0.0.4:4173: silent",
                "peer 5 at 10.0.0.5:4173: not connected",
            ]
        );
    }
}
