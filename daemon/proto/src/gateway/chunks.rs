//! The most likely layout of the control channel: messages of `u64 size` and chunks of `fourcc, u32
//! size, data`, the first of which is `ssig`. The first 16 bytes show the byte order. A stream that
//! does not match is ignored from there on.
//!
//! Keys in the stream are skipped, not stored.

use zeroize::Zeroizing;

use super::Spi;
use crate::{SessionTag, TagDigest};

#[cfg(test)]
mod tests;

/// What the rules need from a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The digest of a session tag (`ctag`).
    Tag(TagDigest),
    /// A security parameter index with its bytes in the order of the chunk, whose byte order is
    /// unknown.
    Spi(Spi),
    /// Bye or ByeOk: the sender considers the session ended.
    Bye,
}

/// Parses one direction of a control channel, in pieces of any size.
#[derive(Debug, Default)]
pub struct Reader {
    state: State,
    layout: Layout,
    /// Bytes of the current message that have not been read yet.
    message: usize,
    /// Whether a complete message was read.
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
    /// The stream does not have this layout.
    Foreign,
}

#[derive(Debug)]
enum Wanted {
    Tag(Zeroizing<Vec<u8>>),
    Spi(Head<4>),
    Kind(Head<4>),
    Nothing,
}

/// Byte order of numbers and names.
#[derive(Debug, Default, Clone, Copy)]
struct Layout {
    little_endian: bool,
    reversed_names: bool,
}

impl Reader {
    /// Parses the next piece, and appends completed items to `found`.
    pub fn read(&mut self, mut piece: &[u8], found: &mut Vec<Item>) {
        while !piece.is_empty() && self.understands() {
            piece = self.step(piece, found);
        }
    }

    /// Whether the stream has matched the layout so far.
    #[must_use]
    pub fn understands(&self) -> bool {
        !matches!(self.state, State::Foreign)
    }

    /// Whether the first message was read completely.
    #[must_use]
    pub fn has_message(&self) -> bool {
        self.has_message
    }

    /// Parses at least one byte and returns the rest.
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

    /// The state after the end of a chunk.
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

/// The value of `ssig` in a Bye; ByeOk has the next one.
const BYE: u32 = 4;
const BYE_OK: u32 = 5;

/// Larger than any known message. A stream with a larger one does not have this layout.
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
    /// Removes the missing bytes from `rest`. Returns all of them once complete.
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
