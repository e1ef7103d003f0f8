//! Whose a datagram is, of all sessions that have its source address.

use std::net::SocketAddr;

use super::{
    super::{Side, Slot, Spi, SpiCandidates},
    Dropped,
    leg::{Because, Guess, Placed},
    session::Session,
};

/// Finds the one session that a datagram belongs to, and its SPI.
///
/// The rules are tried in their order, each with both places of the SPI; the first that fits one
/// session decides, and one that fits several drops the datagram.
pub(super) fn judge(
    sessions: &[(Slot, &Session)],
    side: Side,
    from: SocketAddr,
    candidates: SpiCandidates,
) -> Result<(Slot, Placed), Dropped> {
    // A sequence number must not pass for an SPI.
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
    match only(sessions, |session| session.lacks_flow(side)) {
        Ok(Some(slot)) => Ok((slot, guess(from, candidates.first, second))),
        Ok(None) => Err(Dropped::Unknown),
        Err(Several) => Err(Dropped::Ambiguous),
    }
}

type Rule = fn(&Session, Side, SocketAddr, Spi) -> bool;

/// From what is certain to what is likely.
const RULES: [(Rule, Because); 7] = [
    // Its flow is known, and only the worker's snapshot is older.
    (|session, side, from, spi| session.has_flow_from(side, from, spi), Because::Known),
    // Its parsed chunks name the SPI that it has yet to use.
    (
        |session, side, _, spi| {
            session.lacks_flow(side) && session.told(spi) && !session.has_flow(side, spi)
        },
        Because::Told,
    ),
    // Its flow comes from another port, or from where its control connection is meanwhile.
    (|session, side, _, spi| session.has_told_flow(side, spi), Because::Known),
    // Its parsed chunks name the SPI: one more flow, as after new keys.
    (|session, _, _, spi| session.told(spi), Because::Told),
    // The SPI stands somewhere in its control bytes, and it has yet to use one.
    (
        |session, side, _, spi| {
            !spi.is_reserved() && session.lacks_flow(side) && session.shows(spi)
        },
        Because::Told,
    ),
    // The SPI stands somewhere in its control bytes.
    (|session, _, _, spi| !spi.is_reserved() && session.shows(spi), Because::Told),
    // Nobody told the SPI, and the flow that has it moved.
    (|session, side, _, spi| session.has_flow(side, spi), Because::Known),
];

/// More than one.
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

/// The first word is taken for the SPI, unless it cannot be one; the second is kept in mind, since
/// it proves to be the SPI if the next datagram has it again behind another first word.
fn guess(from: SocketAddr, first: Spi, second: Option<Spi>) -> Placed {
    let (spi, instead) = match second {
        Some(second) if first.is_reserved() => (second, None),
        _ => (first, second),
    };
    Placed { from, spi, sequence: None, because: Because::Guess(Guess { instead }) }
}
