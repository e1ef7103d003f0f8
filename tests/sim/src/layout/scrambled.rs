//! An invented layout, so that the gateway cannot rely on chunks.
//!
//! A frame is `c5`, its kind, the length of its body in three little-endian bytes, and the body.
//! The body of an Invite begins with `SCS1` as a decoy, directly followed by the real tag, the key,
//! the salt and the length of the tag. It contains no SPI. The body of the response is the salt,
//! the key, the SPI towards the client, three zeros, and the SPI towards the agent: the agent
//! announces both, in network byte order.

use super::{MAX_MESSAGE, Malformed, Message, Terms};
use crate::tag::Tag;

pub(super) fn encode(message: &Message) -> Vec<u8> {
    let (kind, body) = match message {
        Message::Invite(tag, terms) => (INVITE, invite_body(tag, terms)),
        Message::InviteOk(terms) => (INVITE_OK, answer_body(terms)),
        Message::NotAcceptable => (NOT_ACCEPTABLE, Vec::new()),
        Message::Ping => (PING, Vec::new()),
        Message::Pong => (PONG, Vec::new()),
        Message::Bye => (BYE, Vec::new()),
        Message::ByeOk => (BYE_OK, Vec::new()),
    };
    let [low, middle, high, ..] = body.len().to_le_bytes();
    let mut bytes = vec![MAGIC, kind, low, middle, high];
    bytes.extend(body);
    bytes
}

/// Reads the message at the start of some bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, Malformed> {
    let Some((&[magic, kind, low, middle, high], rest)) = bytes.split_first_chunk::<5>() else {
        return Ok(None);
    };
    if magic != MAGIC {
        return Err(Malformed::Kind(u32::from(magic)));
    }
    let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
    if length > MAX_MESSAGE {
        return Err(Malformed::TooLong);
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let message = match kind {
        INVITE => read_invite(body)?,
        INVITE_OK => read_answer(body)?,
        NOT_ACCEPTABLE => Message::NotAcceptable,
        PING => Message::Ping,
        PONG => Message::Pong,
        BYE => Message::Bye,
        BYE_OK => Message::ByeOk,
        other => return Err(Malformed::Kind(u32::from(other))),
    };
    Ok(Some((message, HEADER + length)))
}

fn invite_body(tag: &Tag, terms: &Terms) -> Vec<u8> {
    let tag = tag.as_str().as_bytes();
    let length = u8::try_from(tag.len()).expect("a tag has at most 127 characters");
    [DECOY, tag, &terms.key, &terms.salt, &[length]].concat()
}

fn read_invite(body: &[u8]) -> Result<Message, Malformed> {
    let rest = body.strip_prefix(DECOY).ok_or(Malformed::Missing)?;
    let (length, rest) = rest.split_last().ok_or(Malformed::Field)?;
    let (tag, rest) = rest.split_at_checked(usize::from(*length)).ok_or(Malformed::Field)?;
    let (key, rest) = rest.split_first_chunk().ok_or(Malformed::Field)?;
    let salt = rest.try_into().map_err(|_| Malformed::Field)?;
    let tag = std::str::from_utf8(tag).map_err(|_| Malformed::Tag)?;
    let tag = Tag::parse(tag).map_err(|_| Malformed::Tag)?;
    Ok(Message::Invite(tag, Terms { key: *key, salt, spis: Vec::new() }))
}

fn answer_body(terms: &Terms) -> Vec<u8> {
    let spi = |place: usize| terms.spis.get(place).copied().unwrap_or_default().to_be_bytes();
    [&terms.salt[..], &terms.key, &spi(1), &[0; 3], &spi(0)].concat()
}

fn read_answer(body: &[u8]) -> Result<Message, Malformed> {
    let (salt, rest) = body.split_first_chunk().ok_or(Malformed::Field)?;
    let (key, rest) = rest.split_first_chunk().ok_or(Malformed::Field)?;
    let (to_client, rest) = rest.split_first_chunk().ok_or(Malformed::Field)?;
    let to_agent = rest.strip_prefix(&[0; 3]).ok_or(Malformed::Field)?;
    let to_agent = to_agent.try_into().map_err(|_| Malformed::Field)?;
    let spis = vec![u32::from_be_bytes(to_agent), u32::from_be_bytes(*to_client)];
    Ok(Message::InviteOk(Terms { key: *key, salt: *salt, spis }))
}

const HEADER: usize = 5;
const MAGIC: u8 = 0xc5;
const DECOY: &[u8] = b"SCS1";
const INVITE: u8 = 0x31;
const INVITE_OK: u8 = 0x32;
const NOT_ACCEPTABLE: u8 = 0x33;
const PING: u8 = 0x40;
const PONG: u8 = 0x41;
const BYE: u8 = 0x50;
const BYE_OK: u8 = 0x51;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_frame_is_refused() {
        let table: [(&[u8], Malformed); 5] = [
            (b"\xc6\x40\0\0\0", Malformed::Kind(0xc6)),
            (b"\xc5\x77\0\0\0", Malformed::Kind(0x77)),
            (b"\xc5\x31\0\0\0", Malformed::Missing),
            (b"\xc5\x31\x05\0\0SCS1\x09", Malformed::Field),
            (b"\xc5\x32\x01\0\0\0", Malformed::Field),
        ];

        for (bytes, error) in table {
            assert_eq!(decode(bytes), Err(error), "{bytes:?}");
        }
    }
}
