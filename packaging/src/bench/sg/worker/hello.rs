//! Opens the datagram flows of sessions: each client sends a hello until its agent welcomes it.

use std::ops::RangeInclusive;

use super::{
    super::wire::{Kind, Mark, Purpose, Relay, SIZE, Side, client_ip},
    line::{Line, Route},
    now, sink, turn, until_done, wait_until,
};

/// Hellos that are sent at once, so that no buffer overflows.
const BATCH: usize = 100;
/// Pause after a batch, in nanoseconds.
const PAUSE: u64 = 20_000_000;
/// Pause before hellos are repeated, in nanoseconds.
const AGAIN: u64 = 100_000_000;

pub(super) fn set_up(
    line: &Line,
    relay: &Relay,
    sessions: RangeInclusive<u32>,
) -> anyhow::Result<()> {
    if relay.kind == Kind::Turn {
        turn::allocate(line, relay, sessions.clone())?;
    }
    line.forget(relay.id, sessions.clone());
    let mut left: Vec<u32> = sessions.collect();
    until_done("the hello of a session", || {
        for batch in left.chunks(BATCH) {
            batch.iter().for_each(|session| say(line, relay, *session));
            wait_until(now() + PAUSE);
        }
        left.retain(|session| !line.is_welcome(relay.id, *session));
        if !left.is_empty() {
            wait_until(now() + AGAIN);
            left.retain(|session| !line.is_welcome(relay.id, *session));
        }
        Ok(left.is_empty())
    })
}

fn say(line: &Line, relay: &Relay, session: u32) {
    let mut bytes = [0; SIZE];
    let mark = Mark { relay: relay.id, purpose: Purpose::Hello, run: 0, session, sent: now() };
    mark.write(Side::Clients.spi(session), 1, &mut bytes);
    let to = relay.peer_of_client(session);
    let prefix = relay.prefix(Side::Clients);
    let route = Route { session, from: client_ip(session), to, prefix };
    // It is repeated if it is lost.
    let _ = sink::send(line, &route, &[prefix, &bytes]);
}
