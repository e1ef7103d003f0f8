//! The client of a TURN server (RFC 8656), as far as the benchmark needs one: an allocation and one
//! channel for each session, without credentials.

use std::{collections::HashSet, net::Ipv4Addr, ops::RangeInclusive};

use super::{
    super::wire::{CHANNEL, PORT, Relay, client_ip},
    line::{Line, Route},
    now, sink, until_done, wait_until,
};

/// What a server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Allocated,
    Bound,
    Refused,
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const ALLOCATE: u16 = 0x0003;
const CHANNEL_BIND: u16 = 0x0009;
const SUCCESS: u16 = 0x0100;
/// Requests that are sent without a pause.
const REQUESTS_AT_ONCE: usize = 50;
const PAUSE: u64 = 20_000_000;
/// Pause before requests are repeated, in nanoseconds.
const AGAIN: u64 = 200_000_000;

/// Reads an answer; `None` if the bytes are not one.
pub(super) fn answer(bytes: &[u8]) -> Option<Answer> {
    let head: &[u8; 8] = bytes.first_chunk()?;
    let [kind @ .., _, _, a, b, c, d] = *head;
    if [a, b, c, d] != COOKIE {
        return None;
    }
    match u16::from_be_bytes(kind) {
        kind if kind == ALLOCATE | SUCCESS => Some(Answer::Allocated),
        kind if kind == CHANNEL_BIND | SUCCESS => Some(Answer::Bound),
        _ => Some(Answer::Refused),
    }
}

/// Makes an allocation with a channel to the agent for each session.
pub(super) fn allocate(
    line: &Line,
    relay: &Relay,
    sessions: RangeInclusive<u32>,
) -> anyhow::Result<()> {
    // UDP, and a lifetime longer than any benchmark.
    let allocation = request(ALLOCATE, &[(0x0019, [17, 0, 0, 0].into()), lifetime()]);
    ask(line, relay, &sessions, Answer::Allocated, &|_| allocation.clone())?;
    ask(line, relay, &sessions, Answer::Bound, &|session| {
        let [high, low, ..] = CHANNEL;
        let peer = peer(relay.agent(session));
        request(CHANNEL_BIND, &[(0x000c, [high, low, 0, 0].into()), (0x0012, peer)])
    })
}

fn ask(
    line: &Line,
    relay: &Relay,
    sessions: &RangeInclusive<u32>,
    wanted: Answer,
    compose: &dyn Fn(u32) -> Vec<u8>,
) -> anyhow::Result<()> {
    let mut left: Vec<u32> = sessions.clone().collect();
    line.answers();
    until_done("a TURN server's answer", || {
        for batch in left.chunks(REQUESTS_AT_ONCE) {
            for session in batch {
                let (from, to) = (client_ip(*session), relay.clients);
                let route = Route { session: *session, from, to, prefix: &[] };
                // It is repeated if it is lost.
                let _ = sink::send(line, &route, &[&compose(*session)]);
            }
            wait_until(now() + PAUSE);
        }
        let answered: HashSet<Ipv4Addr> = line
            .answers()
            .into_iter()
            .filter_map(|(client, answer)| (answer == wanted).then_some(client))
            .collect();
        left.retain(|session| !answered.contains(&client_ip(*session)));
        if !left.is_empty() {
            wait_until(now() + AGAIN);
        }
        Ok(left.is_empty())
    })
}

fn lifetime() -> (u16, Vec<u8>) {
    (0x000d, 86_400_u32.to_be_bytes().into())
}

/// An XOR-PEER-ADDRESS (RFC 8489, section 14.2).
fn peer(agent: Ipv4Addr) -> Vec<u8> {
    let [a, b, ..] = COOKIE;
    let [high, low] = PORT.to_be_bytes();
    let mut value = vec![0, 1, high ^ a, low ^ b];
    value.extend(agent.octets().iter().zip(COOKIE).map(|(byte, cookie)| byte ^ cookie));
    value
}

/// A request (RFC 8489, section 5). Answers are distinguished by their client, so all have the same
/// transaction.
fn request(kind: u16, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in attributes {
        let length = u16::try_from(value.len()).unwrap_or_default();
        body.extend(name.to_be_bytes());
        body.extend(length.to_be_bytes());
        body.extend(value);
    }
    let length = u16::try_from(body.len()).unwrap_or_default();
    let head = [kind.to_be_bytes(), length.to_be_bytes()].concat();
    [head.as_slice(), &COOKIE, &[u8::try_from(kind).unwrap_or_default(); 12], &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_bound_to_the_agent() {
        let bytes = peer(Ipv4Addr::new(10, 10, 0, 1));

        assert_eq!(bytes, [0, 1, 0x31, 0x5e, 0x2b, 0x18, 0xa4, 0x43]);
        let request = request(CHANNEL_BIND, &[(0x0012, bytes)]);
        assert_eq!(request.len(), 32);
        assert_eq!(request[..8], [0, 9, 0, 12, 0x21, 0x12, 0xa4, 0x42]);
    }

    #[test]
    fn answers_are_told_from_datagrams() {
        let answered = |kind: [u8; 2]| answer(&[&kind[..], &[0, 0], &COOKIE, &[0; 12]].concat());
        assert_eq!(answered([1, 3]), Some(Answer::Allocated));
        assert_eq!(answered([1, 9]), Some(Answer::Bound));
        assert_eq!(answered([1, 0x13]), Some(Answer::Refused));
        assert_eq!(answer(&[0; 1200]), None);
        assert_eq!(answer(b""), None);
    }
}
