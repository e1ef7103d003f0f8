//! What `status` says of sessions that gateways take over from each other.

use cmsg_config::{
    distrust,
    socket::{FailoverStatus, PeerStatus, TakenOver},
};

use crate::shown::counted;

/// One value for this gateway, and one for each peer.
pub(super) fn values(failover: &FailoverStatus) -> Vec<String> {
    let FailoverStatus { id, pin, serving, standing_by, .. } = failover;
    let sessions = counted(*serving, "session");
    let own = format!("gateway {id}: serves {sessions}, and may take over {standing_by} of others");
    let peers = failover.peers.iter().map(peer);
    [own, format!("key: {pin}")].into_iter().chain(peers).chain(taken_over(failover)).collect()
}

/// How many sessions this gateway has taken over, and why the last of them.
fn taken_over(FailoverStatus { taken_over, latest, .. }: &FailoverStatus) -> Vec<String> {
    if *taken_over == 0 {
        return Vec::new();
    }
    let count = usize::try_from(*taken_over).unwrap_or(usize::MAX);
    let total = format!("taken over since the start: {}", counted(count, "session"));
    let each = latest.iter().map(|TakenOver { session, at, why }| {
        let reason = match why.as_str() {
            "tag" => "its client connected",
            "datagram" => "its client's datagrams arrived",
            other => other,
        };
        format!("{} session {session}: {reason}", distrust::date(at / 1000))
    });
    [total].into_iter().chain(each).collect()
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
            taken_over: 12,
            latest: vec![
                TakenOver {
                    session: "0b1c2d3e-0000-4000-8000-00000000000a".to_owned(),
                    at: 1_800_000_000_000,
                    why: "datagram".to_owned(),
                },
                TakenOver {
                    session: "0b1c2d3e-0000-4000-8000-00000000000b".to_owned(),
                    at: 1_799_999_999_000,
                    why: "tag".to_owned(),
                },
            ],
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
                "taken over since the start: 12 sessions",
                "2027-01-15T08:00:00Z session 0b1c2d3e-0000-4000-8000-00000000000a: its client's \
                 datagrams arrived",
                "2027-01-15T07:59:59Z session 0b1c2d3e-0000-4000-8000-00000000000b: its client \
                 connected",
            ]
        );
    }
}
