//! The documented layout: a 64-bit size, then chunks of name, size and data, in either byte order.

use super::{MAX_MESSAGE, Malformed, Message, Terms};
use crate::tag::Tag;

/// The byte order of every integer, the chunks' names included.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Little,
    Big,
}

pub(super) fn encode(message: &Message, order: Order) -> Vec<u8> {
    let mut body = Body { bytes: Vec::new(), order };
    body.integer(SSIG, kind(message));
    match message {
        Message::Invite(tag, terms) => {
            // The bytes after the tag look like a continuation: a parser has to use its length.
            body.chunk(CTAG, tag.as_str().as_bytes());
            body.terms(terms);
        }
        Message::InviteOk(terms) => body.terms(terms),
        Message::Bye => body.integer(BYEC, 0),
        Message::NotAcceptable | Message::ByeOk | Message::Ping | Message::Pong => {}
    }
    let size = body.bytes.len() as u64;
    let mut bytes = match order {
        Order::Little => size.to_le_bytes().to_vec(),
        Order::Big => size.to_be_bytes().to_vec(),
    };
    bytes.append(&mut body.bytes);
    bytes
}

/// Reads the message at the start of some bytes.
pub(super) fn decode(bytes: &[u8], order: Order) -> Result<Option<(Message, usize)>, Malformed> {
    let Some((size, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let size = match order {
        Order::Little => u64::from_le_bytes(*size),
        Order::Big => u64::from_be_bytes(*size),
    };
    let size = usize::try_from(size).map_err(|_| Malformed::TooLong)?;
    if size > MAX_MESSAGE {
        return Err(Malformed::TooLong);
    }
    let Some(body) = rest.get(..size) else { return Ok(None) };
    let chunks = Chunks::parse(body, order)?;
    let Some((SSIG, _)) = chunks.list.first() else { return Err(Malformed::Missing) };
    let message = match chunks.integer(SSIG)? {
        0 => Message::Invite(chunks.tag()?, chunks.terms()?),
        1 => Message::InviteOk(chunks.terms()?),
        2 => Message::NotAcceptable,
        4 => Message::Bye,
        5 => Message::ByeOk,
        6 => Message::Ping,
        7 => Message::Pong,
        other => return Err(Malformed::Kind(other)),
    };
    Ok(Some((message, 8 + size)))
}

struct Body {
    bytes: Vec<u8>,
    order: Order,
}

struct Chunks<'a> {
    list: Vec<(u32, &'a [u8])>,
    order: Order,
}

impl Order {
    fn spell(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn read(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

impl Body {
    fn chunk(&mut self, name: u32, data: &[u8]) {
        let size = u32::try_from(data.len()).expect("tags and keys are short");
        self.bytes.extend(self.order.spell(name));
        self.bytes.extend(self.order.spell(size));
        self.bytes.extend(data);
    }

    fn integer(&mut self, name: u32, value: u32) {
        self.chunk(name, &self.order.spell(value));
    }

    fn terms(&mut self, terms: &Terms) {
        self.integer(PSEC, AES_256_GCM);
        self.chunk(KEY, &terms.key);
        self.chunk(SALT, &terms.salt);
        for spi in &terms.spis {
            self.integer(SPI, *spi);
        }
    }
}

impl<'a> Chunks<'a> {
    fn parse(mut bytes: &'a [u8], order: Order) -> Result<Self, Malformed> {
        let mut list = Vec::new();
        while !bytes.is_empty() {
            let (name, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed::Field)?;
            let (size, rest) = rest.split_first_chunk::<4>().ok_or(Malformed::Field)?;
            let size = usize::try_from(order.read(*size)).map_err(|_| Malformed::Field)?;
            let (data, rest) = rest.split_at_checked(size).ok_or(Malformed::Field)?;
            list.push((order.read(*name), data));
            bytes = rest;
        }
        Ok(Self { list, order })
    }

    fn data(&self, name: u32) -> Result<&'a [u8], Malformed> {
        let chunk = self.list.iter().find(|(found, _)| *found == name);
        chunk.map(|(_, data)| *data).ok_or(Malformed::Missing)
    }

    fn array<const N: usize>(&self, name: u32) -> Result<[u8; N], Malformed> {
        self.data(name)?.try_into().map_err(|_| Malformed::Field)
    }

    fn integer(&self, name: u32) -> Result<u32, Malformed> {
        Ok(self.order.read(self.array(name)?))
    }

    fn tag(&self) -> Result<Tag, Malformed> {
        let text = std::str::from_utf8(self.data(CTAG)?).map_err(|_| Malformed::Tag)?;
        Tag::parse(text).map_err(|_| Malformed::Tag)
    }

    fn terms(&self) -> Result<Terms, Malformed> {
        let (key, salt) = (self.array(KEY)?, self.array(SALT)?);
        Ok(Terms { key, salt, spis: vec![self.integer(SPI)?] })
    }
}

fn kind(message: &Message) -> u32 {
    match message {
        Message::Invite(..) => 0,
        Message::InviteOk(_) => 1,
        Message::NotAcceptable => 2,
        Message::Bye => 4,
        Message::ByeOk => 5,
        Message::Ping => 6,
        Message::Pong => 7,
    }
}

const SSIG: u32 = u32::from_be_bytes(*b"ssig");
const BYEC: u32 = u32::from_be_bytes(*b"byec");
const PSEC: u32 = u32::from_be_bytes(*b"psec");
const KEY: u32 = u32::from_be_bytes(*b"2key");
const SALT: u32 = u32::from_be_bytes(*b"2slt");
const SPI: u32 = u32::from_be_bytes(*b"2spi");
const CTAG: u32 = u32::from_be_bytes(*b"ctag");
const AES_256_GCM: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_has_the_documented_bytes() {
        assert_eq!(
            encode(&Message::Ping, Order::Big),
            b"\0\0\0\0\0\0\0\x0cssig\0\0\0\x04\0\0\0\x06"
        );
        assert_eq!(
            encode(&Message::Ping, Order::Little),
            b"\x0c\0\0\0\0\0\0\0giss\x04\0\0\0\x06\0\0\0"
        );
    }

    #[test]
    fn malformed_chunks_are_refused() {
        let table: [(&[u8], Malformed); 6] = [
            (b"\0\0\0\0\0\0\0\0", Malformed::Missing),
            (b"\0\0\0\0\0\0\0\x03ssi", Malformed::Field),
            (b"\0\0\0\0\0\0\0\x0cssig\0\0\0\x05\0\0\0\x06", Malformed::Field),
            (b"\0\0\0\0\0\0\0\x0cssig\0\0\0\x04\0\0\0\x09", Malformed::Kind(9)),
            (b"\0\0\0\0\0\0\0\x0cbyec\0\0\0\x04\0\0\0\x06", Malformed::Missing),
            (b"\0\0\0\0\0\0\0\x0cssig\0\0\0\x04\0\0\0\x00", Malformed::Missing),
        ];

        for (bytes, error) in table {
            assert_eq!(decode(bytes, Order::Big), Err(error), "{bytes:?}");
        }
    }
}
