//! The documented layout of the control channel: messages of `u64 size` and chunks of
//! `fourcc, u32 size, data`, the first of which is `ssig`. Which byte order is meant shows in the
//! first 16 bytes; a stream that does not fit is foreign from there on.
//!
//! Keys pass through without being kept.

use zeroize::Zeroizing;

use super::Spi;
use crate::{SessionTag, TagDigest};

#[cfg(test)]
mod tests;

/// What the rules want to know of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A connection tag.
    Tag(TagDigest),
    /// A security parameter index as it stands in the chunk, in whichever byte order.
    Spi(Spi),
    /// Bye or ByeOk: the sender takes its session for ended.
    Bye,
}

/// Reads one direction of a control channel, in pieces of any size.
#[derive(Debug, Default)]
pub struct Reader {
    state: State,
    layout: Layout,
    /// Bytes of the message that are still to come.
    message: usize,
    /// Whether a whole message was read.
    has_message: bool,
}

#[derive(Debug)]
enum State {
    /// Collecting the size of the first message and the header of its first chunk.
    Opening(Head<16>),
    /// Collecting the size of a message.
    Message(Head<8>),
    /// Collecting the header of a chunk.
    Chunk(Head<8>),
    /// Inside a chunk.
    Data { wanted: Wanted, left: usize },
    /// Not this layout.
    Foreign,
}

#[derive(Debug)]
enum Wanted {
    Tag(Zeroizing<Vec<u8>>),
    Spi(Head<4>),
    Kind(Head<4>),
    Nothing,
}

/// How numbers and names are written.
#[derive(Debug, Default, Clone, Copy)]
struct Layout {
    little_endian: bool,
    reversed_names: bool,
}

impl Reader {
    /// Reads the next piece; what it completes is appended.
    pub fn read(&mut self, mut piece: &[u8], found: &mut Vec<Item>) {
        while !piece.is_empty() && self.understands() {
            piece = self.step(piece, found);
        }
    }

    /// Whether the stream fits so far.
    #[must_use]
    pub fn understands(&self) -> bool {
        !matches!(self.state, State::Foreign)
    }

    /// Whether the first message fits and is over.
    #[must_use]
    pub fn has_message(&self) -> bool {
        self.has_message
    }

    /// Takes at least one byte and returns the others.
    fn step<'a>(&mut self, piece: &'a [u8], found: &mut Vec<Item>) -> &'a [u8] {
        let mut rest = piece;
        self.state = match std::mem::replace(&mut self.state, State::Foreign) {
            State::Opening(mut head) => match head.take(&mut rest) {
                Some(head) => self.opening(head),
                None => State::Opening(head),
            },
            State::Message(mut head) => match head.take(&mut rest) {
                Some(head) => self.message(self.layout.u64(head)),
                None => State::Message(head),
            },
            State::Chunk(mut head) => match head.take(&mut rest) {
                Some(head) => {
                    self.message -= 8;
                    self.chunk(head)
                }
                None => State::Chunk(head),
            },
            State::Data { wanted, left } => self.data(wanted, left, &mut rest, found),
            State::Foreign => State::Foreign,
        };
        rest
    }

    fn opening(&mut self, head: [u8; 16]) -> State {
        let [size @ .., a, b, c, d, s, t, u, v] = head;
        self.layout = match ([a, b, c, d], [s, t, u, v]) {
            (name, [4, 0, 0, 0]) => {
                Layout { little_endian: true, reversed_names: name == *b"giss" }
            }
            (name, _) => Layout { little_endian: false, reversed_names: name == *b"giss" },
        };
        if self.layout.name([a, b, c, d]) != *b"ssig" {
            return State::Foreign;
        }
        match self.message(self.layout.u64(size)) {
            State::Foreign => State::Foreign,
            _ => {
                self.message -= 8;
                self.chunk([a, b, c, d, s, t, u, v])
            }
        }
    }

    fn message(&mut self, size: u64) -> State {
        match usize::try_from(size) {
            Ok(size @ 8..=MAX_MESSAGE) => {
                self.message = size;
                State::Chunk(Head::default())
            }
            _ => State::Foreign,
        }
    }

    fn chunk(&mut self, head: [u8; 8]) -> State {
        let [a, b, c, d, size @ ..] = head;
        let left = self.layout.u32(size) as usize;
        if left > self.message {
            return State::Foreign;
        }
        let wanted = match (&self.layout.name([a, b, c, d]), left) {
            (b"ssig", 4) => Wanted::Kind(Head::default()),
            (b"ctag", 1..=SessionTag::MAX_BYTES) => {
                Wanted::Tag(Zeroizing::new(Vec::with_capacity(left)))
            }
            (b"1spi" | b"2spi" | b"s12t", 4) => Wanted::Spi(Head::default()),
            (b"ssig" | b"ctag" | b"1spi" | b"2spi" | b"s12t", _) => return State::Foreign,
            _ => Wanted::Nothing,
        };
        if left == 0 { self.next() } else { State::Data { wanted, left } }
    }

    fn data(
        &mut self,
        mut wanted: Wanted,
        left: usize,
        rest: &mut &[u8],
        found: &mut Vec<Item>,
    ) -> State {
        let (mut piece, later) = rest.split_at(rest.len().min(left));
        *rest = later;
        let left = left - piece.len();
        self.message -= piece.len();
        match &mut wanted {
            Wanted::Tag(tag) => {
                tag.extend_from_slice(piece);
                if left == 0 {
                    found.push(Item::Tag(TagDigest::of(tag)));
                }
            }
            Wanted::Spi(head) => {
                found.extend(head.take(&mut piece).map(|spi| Item::Spi(Spi::from_bytes(spi))));
            }
            Wanted::Kind(head) => {
                let kind = head.take(&mut piece).map(|kind| self.layout.u32(kind));
                found.extend(kind.filter(|kind| [BYE, BYE_OK].contains(kind)).map(|_| Item::Bye));
            }
            Wanted::Nothing => {}
        }
        if left == 0 { self.next() } else { State::Data { wanted, left } }
    }

    /// What follows a chunk.
    fn next(&mut self) -> State {
        match self.message {
            0 => {
                self.has_message = true;
                State::Message(Head::default())
            }
            1..8 => State::Foreign,
            _ => State::Chunk(Head::default()),
        }
    }
}

/// What `ssig` says in a Bye and in the answer to one.
const BYE: u32 = 4;
const BYE_OK: u32 = 5;

/// Larger than any message that was described, and little enough to wait for.
const MAX_MESSAGE: usize = 64 * 1024;

impl Default for State {
    fn default() -> Self {
        Self::Opening(Head::default())
    }
}

impl Layout {
    fn u64(self, bytes: [u8; 8]) -> u64 {
        if self.little_endian { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    }

    fn name(self, mut bytes: [u8; 4]) -> [u8; 4] {
        if self.reversed_names {
            bytes.reverse();
        }
        bytes
    }
}

/// A fixed number of bytes, collected from pieces.
#[derive(Debug, Clone, Copy)]
struct Head<const N: usize> {
    bytes: [u8; N],
    have: usize,
}

impl<const N: usize> Head<N> {
    /// Takes what is missing off the front; the bytes when they are complete.
    fn take(&mut self, rest: &mut &[u8]) -> Option<[u8; N]> {
        let take = rest.len().min(N - self.have);
        let (now, later) = rest.split_at(take);
        self.bytes[self.have..self.have + take].copy_from_slice(now);
        self.have += take;
        *rest = later;
        (self.have == N).then_some(self.bytes)
    }
}

impl<const N: usize> Default for Head<N> {
    fn default() -> Self {
        Self { bytes: [0; N], have: 0 }
    }
}
