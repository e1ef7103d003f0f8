//! Decides which of the sessions with a datagram's source address it belongs to.

use std::net::SocketAddr;

use super::{
    super::{Side, Slot, Spi, SpiCandidates},
    Dropped,
    leg::{Because, Guess, Placed},
    session::Session,
};

/// The session that a datagram belongs to, and its SPI.
///
/// The rules are tried in order, each with both positions of the SPI. The first rule that matches
/// exactly one session decides. A rule that matches several drops the datagram. Without `may_guess`,
/// a session must have the SPI.
pub(super) fn judge(
    sessions: &[(Slot, &Session)],
    (side, may_guess): (Side, bool),
    from: SocketAddr,
    candidates: SpiCandidates,
) -> Result<(Slot, Placed), Dropped> {
    // A sequence number must not be mistaken for an SPI.
    let second = candidates.second.filter(|spi| !spi.is_reserved());
    for (rule, because) in RULES {
        let mut several = false;
        for spi in [Some(candidates.first), second].into_iter().flatten() {
            match only(sessions, |session| rule(session, side, from, spi)) {
                Ok(Some(slot)) => {
                    let sequence = candidates.sequence(spi);
                    return Ok((slot, Placed { from, spi, sequence, because }));
                }
                Ok(None) => {}
                Err(Several) => several = true,
            }
        }
        if several {
            return Err(Dropped::Ambiguous);
        }
    }
    if !may_guess {
        return Err(Dropped::Unknown);
    }
    match only(sessions, |session| session.lacks_flow(side)) {
        Ok(Some(slot)) => Ok((slot, guess(from, candidates.first, second))),
        Ok(None) => Err(Dropped::Unknown),
        Err(Several) => Err(Dropped::Ambiguous),
    }
}

/// Whether a rule that needs no guess and no change of a port matches exactly one session.
pub(super) fn is_certain(
    sessions: &[(Slot, &Session)],
    side: Side,
    from: SocketAddr,
    candidates: SpiCandidates,
) -> bool {
    let second = candidates.second.filter(|spi| !spi.is_reserved());
    let rules: [Rule; 2] =
        [RULES[0].0, |session, side, _, spi| session.revealed(spi) && !session.has_flow(side, spi)];
    let spis = [Some(candidates.first), second].into_iter().flatten();
    spis.into_iter().any(|spi| {
        let is_only = |rule: Rule| {
            matches!(only(sessions, |session| rule(session, side, from, spi)), Ok(Some(_)))
        };
        rules.into_iter().any(is_only)
    })
}

type Rule = fn(&Session, Side, SocketAddr, Spi) -> bool;

/// From certain to likely.
const RULES: [(Rule, Because); 7] = [
    // The flow is known, but was not in the worker's snapshot yet.
    (|session, side, from, spi| session.has_flow_from(side, from, spi), Because::Known),
    // Parsed chunks contain the SPI, and the session lacks a flow from this side.
    (
        |session, side, _, spi| {
            session.lacks_flow(side) && session.revealed(spi) && !session.has_flow(side, spi)
        },
        Because::Revealed,
    ),
    // The flow moved to another port, or to the new address of its control connection.
    (|session, side, _, spi| session.has_revealed_flow(side, spi), Because::Known),
    // Parsed chunks contain the SPI: a further flow, for example after a key exchange.
    (|session, _, _, spi| session.revealed(spi), Because::Revealed),
    // The control bytes contain the SPI, and the session lacks a flow from this side.
    (
        |session, side, _, spi| {
            !spi.is_reserved() && session.lacks_flow(side) && session.shows(spi)
        },
        Because::Revealed,
    ),
    // The control bytes contain the SPI.
    (|session, _, _, spi| !spi.is_reserved() && session.shows(spi), Because::Revealed),
    // No control bytes contain the SPI, and the flow that has it moved.
    (|session, side, _, spi| session.has_flow(side, spi), Because::Known),
];

/// More than one session matches.
struct Several;

fn only(
    sessions: &[(Slot, &Session)],
    fits: impl Fn(&Session) -> bool,
) -> Result<Option<Slot>, Several> {
    let mut fitting = sessions.iter().filter(|(_, session)| fits(session));
    match (fitting.next(), fitting.next()) {
        (_, Some(_)) => Err(Several),
        (first, None) => Ok(first.map(|(slot, _)| *slot)),
    }
}

/// Takes the first word for the SPI, unless its value is reserved. The second word is remembered:
/// it is the SPI if the next datagram has it again after a different first word.
fn guess(from: SocketAddr, first: Spi, second: Option<Spi>) -> Placed {
    let (spi, instead) = match second {
        Some(second) if first.is_reserved() => (second, None),
        _ => (first, second),
    };
    Placed { from, spi, sequence: None, because: Because::Guess(Guess { instead }) }
}
