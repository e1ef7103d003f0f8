//! Which sessions may have sent a datagram, by its source address and its possible SPIs. Thousands
//! of clients may share one address, so that no rule looks at all sessions of an address.

use std::{collections::BTreeSet, mem, net::IpAddr};

use super::{
    super::{RouteChange, Side, Slot, Spi, SpiCandidates},
    Admission,
    leg::{Because, Flow, Placed, SILENCE},
    session::{Piece, Session},
};

/// The sessions that datagrams from an address may belong to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    sessions: BTreeSet<Slot>,
    /// Those without a flow from there.
    lacking: BTreeSet<Slot>,
    /// Those whose retained control bytes may contain any SPI.
    retaining: BTreeSet<Slot>,
    /// Those with a flow whose SPI is a guess.
    guessing: BTreeSet<Slot>,
    /// Those whose flows or parsed chunks have the SPI, in either byte order.
    by_spi: BTreeSet<(Spi, Slot)>,
}

/// How a session is listed at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    ip: IpAddr,
    lacks_flow: bool,
    retains: bool,
    guesses: bool,
    spis: BTreeSet<Spi>,
}

/// Among so few sessions, all are searched.
const FEW: usize = if cfg!(test) { 1 } else { 16 };

impl Place {
    /// All sessions that a datagram with one of these SPIs may belong to. If any session that lacks
    /// a flow may have sent it, two of them stand for all.
    pub(super) fn candidates(&self, candidates: SpiCandidates) -> BTreeSet<Slot> {
        let spis = [Some(candidates.first), candidates.second].into_iter().flatten();
        let known = spis.flat_map(|spi| self.with(spi));
        known
            .chain(self.retaining.iter().copied())
            .chain(self.lacking.iter().copied().take(2))
            .collect()
    }

    /// The sessions with a guessed flow whose SPI may be one of these.
    fn suspects(&self, shown: impl Iterator<Item = Spi>) -> BTreeSet<Slot> {
        if self.guessing.len() <= FEW {
            return self.guessing.clone();
        }
        shown.flat_map(|spi| self.with(spi)).filter(|slot| self.guessing.contains(slot)).collect()
    }

    fn with(&self, spi: Spi) -> impl Iterator<Item = Slot> {
        let spi = spi.either();
        self.by_spi.range((spi, Slot(0))..=(spi, Slot(u32::MAX))).map(|(_, slot)| *slot)
    }

    fn add(&mut self, slot: Slot, listed: &Listed) {
        let Listed { lacks_flow, retains, guesses, spis, .. } = listed;
        self.sessions.insert(slot);
        let flags = [
            (lacks_flow, &mut self.lacking),
            (retains, &mut self.retaining),
            (guesses, &mut self.guessing),
        ];
        for (is_listed, slots) in flags {
            if *is_listed {
                slots.insert(slot);
            }
        }
        self.by_spi.extend(spis.iter().map(|spi| (*spi, slot)));
    }

    fn remove(&mut self, slot: Slot, listed: &Listed) {
        self.sessions.remove(&slot);
        for slots in [&mut self.lacking, &mut self.retaining, &mut self.guessing] {
            slots.remove(&slot);
        }
        for spi in &listed.spis {
            self.by_spi.remove(&(*spi, slot));
        }
    }
}

impl Listed {
    /// How the session is to be listed at its address on that side.
    fn of(session: &Session, side: Side) -> Option<Self> {
        let flows = session.leg(side).flows().iter().flat_map(Flow::spis);
        Some(Self {
            ip: session.address(side)?,
            lacks_flow: session.lacks_flow(side),
            retains: session.retains(),
            guesses: session.guesses(side).next().is_some(),
            spis: flows.chain(session.shown(None)).map(Spi::either).collect(),
        })
    }
}

impl Admission {
    /// The places as they follow from the sessions.
    #[cfg(test)]
    pub(super) fn places(&self) -> std::collections::HashMap<(Side, IpAddr), Place> {
        let mut places = std::collections::HashMap::new();
        for session in self.sessions.iter().flatten().filter(|it| it.listed[0].is_some()) {
            for side in Side::BOTH {
                let listed = Listed::of(session, side).unwrap();
                let place: &mut Place = places.entry((side, listed.ip)).or_default();
                place.add(session.slot, &listed);
            }
        }
        places
    }

    /// Lists a session whose client was admitted.
    pub(super) fn list(&mut self, slot: Slot) {
        let Some(session) = self.sessions[slot.index()].as_deref() else { return };
        let listed = Side::BOTH.map(|side| Listed::of(session, side));
        self.set_listed(slot, listed);
    }

    /// Updates what depends on the state of a session: how it is listed, and its record.
    pub(super) fn note(&mut self, slot: Slot) {
        let session = self.sessions.get(slot.index()).and_then(Option::as_deref);
        if session.is_some_and(|session| session.listed[0].is_some()) {
            self.list(slot);
        }
        self.touched.insert(slot);
        self.record(slot);
    }

    fn set_listed(&mut self, slot: Slot, listed: [Option<Listed>; 2]) {
        let Some(session) = self.sessions[slot.index()].as_deref_mut() else { return };
        let before = mem::replace(&mut session.listed, listed.clone());
        for ((side, before), after) in Side::BOTH.into_iter().zip(before).zip(listed) {
            self.relist(side, slot, before, after);
        }
    }

    /// Lists a session differently; `None` where it is not listed.
    pub(super) fn relist(
        &mut self,
        side: Side,
        slot: Slot,
        before: Option<Listed>,
        after: Option<Listed>,
    ) {
        if before == after {
            return;
        }
        let to = after.as_ref().map(|after| after.ip);
        if let Some(before) = before
            && let Some(place) = self.by_address.get_mut(&(side, before.ip))
        {
            place.remove(slot, &before);
            if place.sessions.is_empty() && to != Some(before.ip) {
                self.by_address.remove(&(side, before.ip));
                self.changes.push(RouteChange::Unexpected(side, before.ip));
            }
        }
        if let Some(after) = after {
            let place = self.by_address.entry((side, after.ip)).or_insert_with(|| {
                self.changes.push(RouteChange::Expected(side, after.ip));
                Place::default()
            });
            place.add(slot, &after);
        }
    }

    /// Corrects guesses after a session revealed an SPI or moved to an address: flows from there
    /// that were assigned to other sessions by a guess, and whose SPI it revealed, become its own.
    /// Only the latest piece of control bytes is searched, since earlier pieces have already
    /// decided about earlier datagrams.
    pub(super) fn correct(&mut self, slot: Slot, piece: Option<Piece>) {
        for side in Side::BOTH {
            for (other, flow, placed) in self.wrong_guesses(slot, side, piece) {
                if let Some(other) = self.sessions[other.index()].as_mut().filter(|_| other != slot)
                {
                    self.changes.extend(other.forget_flow(side, flow.id));
                }
                self.note(other);
                if let Some(session) = self.sessions[slot.index()].as_mut() {
                    // Without a destination, the flow gets its route later. It does not prove where
                    // the client is while the client sends from another source.
                    let long_ago = flow.active - SILENCE;
                    let (_, changes) = session.place(side, placed, long_ago);
                    self.changes.extend(changes);
                }
            }
        }
        self.note(slot);
    }

    /// The guessed flows whose SPIs the session reveals, and the sessions that have them.
    fn wrong_guesses(
        &self,
        slot: Slot,
        side: Side,
        piece: Option<Piece>,
    ) -> Vec<(Slot, Flow, Placed)> {
        let Some((_, session)) = self.at(slot) else { return Vec::new() };
        let place = session.address(side).and_then(|ip| self.by_address.get(&(side, ip)));
        let Some(place) = place else { return Vec::new() };
        let shows = |spi| match piece {
            Some(piece) => session.shows_in(piece, spi),
            None => session.revealed(spi),
        };
        let revealed = |spi: &Spi| !spi.is_reserved() && shows(*spi);
        let suspects = place.suspects(session.shown(piece)).into_iter();
        let guesses = suspects
            .filter_map(|suspect| self.at(suspect))
            .flat_map(|(other, session)| session.guesses(side).map(move |flow| (other, flow)));
        guesses
            .filter_map(|(other, flow)| {
                let spi = flow.spis().find(revealed)?;
                let (from, because) = (flow.from?, Because::Revealed);
                Some((other, flow, Placed { from, spi, sequence: None, because }))
            })
            .collect()
    }
}
