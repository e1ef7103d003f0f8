//! A gateway: its rules, its clock, and a minimal `Admission`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::world::{Packet, Payload};
use crate::{
    SessionKey, Time,
    failover::{BootId, GatewayId, Output, Recipient, Rules, Standby, standby::Replay},
};

pub(super) struct Node {
    pub(super) id: GatewayId,
    pub(super) standby: Standby,
    journal: Replay,
    /// The sessions that `Admission` has. True if a client has connected.
    pub(super) admitted: BTreeMap<SessionKey, bool>,
    /// The sessions that the Connection Manager or a client brought to this gateway.
    pub(super) caused: BTreeSet<SessionKey>,
    /// When the client of a session was heard here last.
    pub(super) heard: BTreeMap<SessionKey, Time>,
    /// The sessions that have disappeared before their grant expired.
    pub(super) dead: BTreeSet<SessionKey>,
    pub(super) keys: BTreeSet<SessionKey>,
    /// Milliseconds that its clock is ahead of the Connection Manager's.
    pub(super) ahead: i64,
    pub(super) latest: Time,
    pub(super) is_up: bool,
}

impl Node {
    pub(super) fn new(id: GatewayId, rules: Rules, boot: u64) -> Self {
        Self {
            id,
            standby: Standby::new(rules, BootId(boot)),
            journal: Replay::default(),
            admitted: BTreeMap::new(),
            caused: BTreeSet::new(),
            heard: BTreeMap::new(),
            dead: BTreeSet::new(),
            keys: BTreeSet::new(),
            ahead: 0,
            latest: Time::default(),
            is_up: true,
        }
    }

    /// Its clock, which never goes back.
    pub(super) fn now(&mut self, global: u64) -> Time {
        let millis = global.saturating_add_signed(self.ahead);
        self.latest = self.latest.max(Time::from_millis(millis));
        self.latest
    }

    /// Its clock does not stand still any more.
    pub(super) fn set_clock(&mut self, global: u64) {
        let ahead = self.latest.as_millis().saturating_sub(global);
        self.ahead = self.ahead.max(i64::try_from(ahead).unwrap());
    }

    pub(super) fn serves(&self, key: SessionKey) -> bool {
        self.standby.view(key).is_some_and(|view| view.is_served)
    }

    /// Restarts with or without its journal.
    pub(super) fn restart(&mut self, rules: Rules, boot: u64, has_journal: bool) {
        if has_journal {
            self.record();
            let (saved, recorded) = (self.standby.saved(), self.journal.clone().saved());
            assert_eq!(recorded.sessions, saved.sessions);
            // Expired ones are forgotten without a record.
            assert!(saved.ended.iter().all(|entry| recorded.ended.contains(entry)));
            self.standby = Standby::restored(rules, BootId(boot), recorded);
        } else {
            self.standby = Standby::new(rules, BootId(boot));
            self.journal = Replay::default();
            self.dead.clear();
            self.keys.clear();
        }
        self.admitted.clear();
        self.caused.clear();
        self.heard.clear();
    }

    /// Writes the journal.
    fn record(&mut self) {
        let records = self.standby.take_records();
        records.into_iter().for_each(|record| self.journal.apply(record));
    }

    /// The sessions that it serves and whose clients it heard within a second.
    pub(super) fn heard(&self, now: Time) -> Vec<SessionKey> {
        let is_recent = |heard: &Time| now.since(*heard) < Duration::from_secs(1);
        let heard = self.heard.iter().filter(|(_, heard)| is_recent(heard));
        heard.map(|(key, _)| *key).filter(|key| self.serves(*key)).collect()
    }

    /// Does what the rules decided, and returns the frames to send.
    pub(super) fn perform(&mut self, gateways: &[GatewayId]) -> Vec<Packet> {
        self.record();
        let mut packets = Vec::new();
        for output in self.standby.take_outputs() {
            match output {
                Output::Send(to, frame) => {
                    let is_to = |id: &&GatewayId| match to {
                        Recipient::All => **id != self.id,
                        Recipient::Peer(peer) => **id == peer,
                    };
                    packets.extend(gateways.iter().filter(is_to).map(|to| Packet {
                        from: self.id,
                        to: *to,
                        payload: Payload::Frame(frame.clone()),
                    }));
                }
                Output::TakeOver(grant, _) => {
                    self.admitted.insert(grant.key, false);
                }
                Output::HandOver(key) | Output::End(key) => {
                    self.admitted.remove(&key);
                    self.caused.remove(&key);
                }
                Output::Report(_) => {}
            }
        }
        packets
    }
}
