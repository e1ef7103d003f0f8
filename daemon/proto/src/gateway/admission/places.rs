//! Which sessions may have sent a datagram, by its source address.

use std::net::IpAddr;

use super::{
    super::{RouteChange, Side, Slot, Spi},
    Admission,
    leg::{Because, Placed, SILENCE},
    session::Piece,
};

impl Admission {
    pub(super) fn list(&mut self, side: Side, ip: IpAddr, slot: Slot) {
        let listed = self.by_address.entry((side, ip)).or_default();
        if listed.is_empty() {
            self.changes.push(RouteChange::Expected(side, ip));
        }
        if !listed.contains(&slot) {
            listed.push(slot);
        }
    }

    pub(super) fn unlist(&mut self, side: Side, ip: IpAddr, slot: Slot) {
        let Some(listed) = self.by_address.get_mut(&(side, ip)) else { return };
        listed.retain(|other| *other != slot);
        if listed.is_empty() {
            self.by_address.remove(&(side, ip));
            self.changes.push(RouteChange::Unexpected(side, ip));
        }
    }

    /// Corrects guesses after a session revealed an SPI or moved to an address: flows from there
    /// that were assigned to other sessions by a guess, and whose SPI it revealed, become its own.
    /// Only the latest piece of control bytes is searched, since earlier pieces have already
    /// decided about earlier datagrams.
    pub(super) fn correct(&mut self, slot: Slot, piece: Option<Piece>) {
        for side in Side::BOTH {
            let Some((_, session)) = self.at(slot) else { return };
            let Some(ip) = session.address(side) else { return };
            let Some(listed) = self.by_address.get(&(side, ip)) else { return };
            let guessed = listed.iter().filter_map(|slot| self.at(*slot));
            let wrong: Vec<_> = guessed
                .flat_map(|(other, session)| session.guesses(side).map(move |flow| (other, flow)))
                .filter_map(|(other, flow)| {
                    let shows = |spi| match piece {
                        Some(piece) => session.shows_in(piece, spi),
                        None => session.revealed(spi),
                    };
                    let revealed = |spi: &Spi| !spi.is_reserved() && shows(*spi);
                    let spi = flow.spis().find(revealed)?;
                    let (from, because) = (flow.from?, Because::Revealed);
                    Some((other, flow, Placed { from, spi, sequence: None, because }))
                })
                .collect();
            for (other, flow, placed) in wrong {
                if let Some(other) = self.sessions[other.index()].as_mut().filter(|_| other != slot)
                {
                    self.changes.extend(other.forget_flow(side, flow.id));
                    self.records.extend(other.take_record());
                }
                if let Some(session) = self.sessions[slot.index()].as_mut() {
                    // Without a destination, the flow gets its route later. It does not prove where
                    // the client is while the client sends from another source.
                    let long_ago = flow.active - SILENCE;
                    let (_, changes) = session.place(side, placed, long_ago);
                    self.changes.extend(changes);
                    self.records.extend(session.take_record());
                }
            }
        }
    }
}
