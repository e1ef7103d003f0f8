//! Sessions that other gateways may take over, and theirs that this one may
//! (`docs/decisions/0017-gateways-tell-each-other.md`).

use std::net::{IpAddr, SocketAddr};

use cmsg_config::socket::{Connection, EndReason, FailoverStatus, PeerStatus, Served};
use cmsg_proto::{
    SessionKey, TagDigest, Time,
    control::Offer,
    failover::{
        self, BootId, Fact, Frame, GatewayId, Grant, Output, Refusal, Saved, SavedSession, Standby,
        Verdict, Why,
    },
    gateway::{
        Announcement, Destination, Dropped, Origin, Seen, Side, Slot, SpiCandidates, canonical,
    },
};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::{
    super::peers::{Outgoing, Peering},
    Core, GatewayState,
    settle::By,
    taken_over::name,
};
use crate::{clock, drain};

/// Where frames to peers go.
pub(super) type Sender = mpsc::UnboundedSender<Outgoing>;

/// Why a grant is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum NotGranted {
    #[error("failover is not configured")]
    Off,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// How often the rules are applied to the time.
pub(in super::super) const TICK: std::time::Duration = std::time::Duration::from_millis(100);

impl GatewayState {
    /// Whether other gateways may take over sessions.
    pub(in super::super) fn has_failover(&self) -> bool {
        self.core().standby.is_some()
    }

    /// Restores the granted sessions from before a restart, unless their agents are not allowed any
    /// more, and sends frames to `frames` from now on. Must be called before the sessions of
    /// this gateway are restored.
    pub(in super::super) fn join(
        &self,
        rules: failover::Rules,
        boot: BootId,
        mut saved: Saved,
        frames: Sender,
    ) {
        let written = saved.sessions.len();
        saved.sessions.retain(|SavedSession { grant, .. }| {
            let judged = self.judge(grant.agent);
            if let Err(error) = &judged {
                warn!(session = %grant.id, %error, "A granted session was not restored");
            }
            judged.is_ok()
        });
        let granted = saved.sessions.len();
        if written > 0 {
            info!(granted, written, "Restored the granted sessions from before the restart");
        }
        let mut core = self.core();
        core.standby = Some(Standby::restored(rules, boot, saved));
        core.frames = Some(frames);
        core.unheard = Some(clock::now() + self.timeouts().resume);
        self.settle(&mut core);
    }

    /// Whether the session is restored by the rules between gateways.
    pub(super) fn is_granted(core: &Core, key: Option<SessionKey>) -> bool {
        let standby = core.standby.as_ref().zip(key);
        standby.is_some_and(|(standby, key)| standby.view(key).is_some())
    }

    /// The granted sessions to be persisted, and the number of the last record that led to them.
    pub(in super::super) fn granted_journal(&self) -> (Saved, u64) {
        let core = self.core();
        let saved = core.standby.as_ref().map(Standby::saved).unwrap_or_default();
        (saved, self.granted.restart())
    }

    /// The state of failover.
    pub(in super::super) fn failover_status(
        &self,
        Peering { config, pin, connected }: &Peering,
    ) -> Option<FailoverStatus> {
        let core = self.core();
        let standby = core.standby.as_ref()?;
        let heard: Vec<_> = standby.reachable(clock::now()).collect();
        let mut peers: Vec<_> = config.peers.iter().collect();
        peers.sort_by_key(|peer| peer.id);
        let peers = peers.into_iter().map(|peer| PeerStatus {
            id: peer.id,
            address: peer.address.to_string(),
            connected: connected.has(GatewayId(peer.id)),
            heard: heard.contains(&GatewayId(peer.id)),
            sent: connected.sent(GatewayId(peer.id)),
        });
        Some(FailoverStatus {
            id: config.id,
            pin: pin.to_string(),
            serving: standby.served(),
            standing_by: standby.count() - standby.served(),
            ended: standby.tombstones(),
            taken_over: core.taken_over.count(),
            latest: core.taken_over.latest(),
            peers: peers.collect(),
        })
    }

    /// Why another host should have the shared addresses: this gateway drains, and a peer does not.
    /// A gateway whose sessions are as many as possible keeps them, since the sessions continue.
    pub(in super::super) fn why_not_shared(&self) -> Option<&'static str> {
        let has_ready_peer = || {
            let core = self.core();
            core.standby.as_ref().is_some_and(|standby| standby.has_ready_peer(clock::now()))
        };
        (self.drain.is_on() && has_ready_peer()).then_some(drain::REASON)
    }

    /// The addresses of this gateway that an announcement or a grant may be for.
    pub(in super::super) fn audience(&self) -> &[IpAddr] {
        &self.external
    }

    /// What the health document offers to Connection Managers.
    pub(in super::super) fn offer(&self) -> Offer {
        let core = self.core();
        if core.standby.is_none() {
            return Offer::default();
        }
        let load = Offer::load(core.admission.count(), core.admission.max_connections());
        Offer { grants: true, load: Some(load) }
    }

    /// Handles a grant with a verified signature and an allowed agent.
    pub(in super::super) fn grant(&self, grant: Grant) -> Result<(), NotGranted> {
        let mut core = self.core();
        let Some(standby) = &mut core.standby else { return Err(NotGranted::Off) };
        let granted = standby.grant(grant, clock::now());
        self.settle(&mut core);
        // A client may have sent the tag already.
        self.announced.send_modify(|sessions| *sessions += 1);
        Ok(granted?)
    }

    /// The session that was announced to this gateway may be taken over by others.
    pub(super) fn share(
        core: &mut Core,
        announced: &Announcement,
        grant: Option<Grant>,
        now: Time,
    ) {
        let (Some(standby), Some(grant)) = (&mut core.standby, grant) else { return };
        let is_same = Some(grant.key) == announced.key
            && (grant.tag, grant.agent) == (announced.tag, announced.agent);
        if !is_same {
            warn!(session = %announced.id, "The grant of an announced session belongs to another one");
        } else if let Err(error) = standby.announced(grant, now) {
            warn!(session = %announced.id, %error, "No other gateway can take over the session");
        }
    }

    /// A frame arrived from a peer.
    pub(in super::super) fn receive(&self, from: GatewayId, frame: Frame) {
        let mut core = self.core();
        let Some(standby) = &mut core.standby else { return };
        let has_grants = frame.has_grants();
        standby.receive(from, frame, clock::now());
        self.settle(&mut core);
        if has_grants {
            // A client may have sent the tag already.
            self.announced.send_modify(|sessions| *sessions += 1);
        }
    }

    /// A part of a long frame from a peer arrived or is being checked.
    pub(in super::super) fn arriving(&self, from: GatewayId) {
        if let Some(standby) = &mut self.core().standby {
            standby.arriving(from, clock::now());
        }
    }

    /// Applies the rules between gateways to the time. Call it every [`TICK`].
    pub(in super::super) fn tick_peers(&self) {
        let mut core = self.core();
        let Core { standby: Some(standby), admission, .. } = &mut *core else { return };
        let now = clock::now();
        for (key, from) in admission.heard(|slot| self.counters.of_client(slot)) {
            standby.heard(key, from, now);
        }
        standby.set_ready(!self.drain.is_on());
        standby.tick(now);
        self.settle(&mut core);
    }

    /// Ends the sessions from before the restart whose clients have left.
    pub(super) fn end_unheard(&self, core: &mut Core, now: Time) {
        let (Some(standby), Some(until)) = (&mut core.standby, core.unheard) else { return };
        if now < until {
            return;
        }
        for session in standby.end_unheard(now) {
            info!(%session, "Session from before the restart closed: its client did not return");
            self.ends.report(&session, EndReason::ResumeTimeout);
        }
        core.unheard = Some(now + self.timeouts().resume);
    }

    /// A client sent one of these tags: this gateway serves the session from now on.
    pub(super) fn take_over(&self, core: &mut Core, tags: &[TagDigest], now: Time) {
        if let Some(standby) = &mut core.standby {
            standby.take_over(tags, now);
            self.settle(core);
        }
    }

    /// The destination of a datagram without a route.
    pub(super) fn judge_datagram(
        &self,
        core: &mut Core,
        (side, origin): (Side, Origin),
        candidates: SpiCandidates,
        now: Time,
    ) -> Result<Destination, Dropped> {
        let seen = |flow| -> Seen { self.counters.seen(flow) };
        let Origin { from, local } = origin;
        let Core { standby, admission, .. } = &mut *core;
        let Some(standby) =
            standby.as_mut().filter(|_| !admission.is_certain(side, from, candidates))
        else {
            return admission.datagram(side, origin, candidates, (now, seen));
        };
        let at = local
            .map_or(canonical(self.listen), |local| SocketAddr::new(local.at, self.listen.port()));
        let verdict = standby.datagram(side, (from, at), candidates, now);
        let may_guess = standby.may_guess(side, from.ip());
        self.settle(core);
        let inherit = |core: &mut Core, key, spi| {
            let numbered = (spi, candidates.sequence(spi));
            core.admission.inherit((key, side), origin, numbered, now)
        };
        let decide = |core: &mut Core, may_guess| {
            core.admission.decide((side, may_guess), origin, candidates, (now, seen))
        };
        match verdict {
            Verdict::Relay(key, spi, _) => inherit(core, key, spi),
            Verdict::Admitted(key, Some(spi)) => {
                decide(core, false).or_else(|_| inherit(core, key, spi))
            }
            Verdict::Admitted(_, None) | Verdict::Drop(failover::Dropped::Unknown) => {
                decide(core, may_guess)
            }
            Verdict::Drop(failover::Dropped::Ambiguous) => Err(Dropped::Ambiguous),
            Verdict::Drop(_) => Err(Dropped::Unknown),
        }
    }

    /// A session of this gateway has ended. Another one may have its key already.
    pub(super) fn end_with_peers(&self, core: &mut Core, slot: Slot) {
        let key = core.keys.remove(&slot);
        if let (Some(key), Some(standby)) = (key, &mut core.standby)
            && !core.admission.has_key(key)
        {
            standby.ended(key);
        }
    }

    /// Passes decisions between the rules of this gateway and those between gateways. Returns
    /// whether the former have something new to apply.
    pub(super) fn settle_with_peers(&self, core: &mut Core, now: Time) -> bool {
        let touched = core.admission.take_touched();
        let Core { standby: Some(standby), admission, .. } = &mut *core else { return false };
        for slot in touched {
            // Without a flow of its client, a session that was taken over keeps the replicated ones.
            let flows = admission.flows(slot, canonical(self.listen));
            if let Some((key, flows)) = flows.filter(|(_, flows)| !flows.client.is_empty()) {
                standby.flows(key, flows);
            }
        }
        let outputs = standby.take_outputs();
        let addresses = standby.take_addresses();
        for (ip, is_expected) in addresses {
            self.expect(core, ip, By::Standby, is_expected);
        }
        let mut is_changed = false;
        for output in outputs {
            is_changed |= !matches!(output, Output::Send(..) | Output::Report(_));
            self.perform(core, output, now);
        }
        is_changed
    }

    fn perform(&self, core: &mut Core, output: Output, now: Time) {
        match output {
            Output::Send(to, frame) => {
                if let Some(frames) = &core.frames {
                    // Nobody receives them while the gateway stops.
                    let _ = frames.send((to, frame));
                }
            }
            Output::TakeOver(grant, flows) => {
                let client = flows.client.first().map(|flow| flow.from.ip());
                core.admission.take_over(announcement(grant), client, now);
            }
            Output::HandOver(key) => core.admission.hand_over(key, now),
            Output::End(key) => core.admission.supersede(key, now),
            Output::Report(fact) => {
                let own = core.standby.as_ref().map(Standby::id);
                core.taken_over.note(&fact, own, now);
                report(&fact, own);
            }
        }
    }

    /// Queues the changes of the granted sessions. Nobody waits for them to be on disk.
    pub(super) fn record_granted(&self, core: &mut Core) {
        if let Some(standby) = &mut core.standby {
            let entries = standby.count() + standby.tombstones();
            self.granted.push(standby.take_records(), entries);
        }
    }
}

/// Which gateway serves a session.
pub(super) fn served(core: &Core, key: Option<SessionKey>) -> Option<Served> {
    let view = core.standby.as_ref()?.view(key?)?;
    Some(Served {
        by: view.claim.map(|claim| claim.gateway.0),
        since: view.moved.map(|(at, _)| at.as_millis()),
        why: view.moved.map(|(_, why)| name(why).to_owned()),
    })
}

/// The sessions that other gateways serve.
pub(super) fn standing_by(core: &Core) -> impl Iterator<Item = Connection> {
    let views = core.standby.iter().flat_map(Standby::views).filter(|view| !view.is_served);
    views.map(|view| Connection {
        id: view.grant.id.to_string(),
        state: "standby".to_owned(),
        client: view.flows.client.first().map(|flow| flow.from.ip().to_string()),
        agent: Some(view.grant.agent.to_string()),
        served: served(core, Some(view.grant.key)),
        ..Connection::default()
    })
}

fn announcement(grant: Grant) -> Announcement {
    let Grant { key, id, agent, hostname, tag, issued, .. } = grant;
    Announcement { id, key: Some(key), agent, hostname, tag, issued }
}

fn report(fact: &Fact, own: Option<GatewayId>) {
    match fact {
        Fact::Moved(session, claim, Why::Tag) if Some(claim.gateway) == own => {
            info!(%session, term = claim.term.0, "Session taken over: its client connected");
        }
        Fact::Moved(session, claim, Why::Datagram) if Some(claim.gateway) == own => {
            info!(%session, term = claim.term.0, "Session taken over: its client's datagrams arrive");
        }
        Fact::Moved(session, claim, why) => {
            let (gateway, term, why) = (claim.gateway.0, claim.term.0, name(*why));
            debug!(%session, gateway, term, why, "Session is served by this gateway");
        }
        Fact::TermTooHigh(session, claim) => {
            let (gateway, term) = (claim.gateway.0, claim.term.0);
            warn!(%session, gateway, term, "A peer claimed a session with an implausible term");
        }
        Fact::Restarted(gateway) => info!(gateway = gateway.0, "A peer has restarted"),
    }
}

#[cfg(test)]
impl GatewayState {
    /// Ends a session, as a later grant does.
    pub(in super::super) fn supersede(&self, key: SessionKey) {
        let mut core = self.core();
        core.admission.supersede(key, clock::now());
        self.settle(&mut core);
    }
}
