//! Searches for an announced tag in the first plaintext of a client, in any layout. Known tags
//! begin with `SCS1`, and the bytes after a tag may look like a continuation. At each `SCS1`, the
//! prefixes with the length of an announced tag are compared by digest. A prefix of a much longer
//! tag does not match, so an agent that issues a prefix of other agents' tags does not receive
//! their clients.

use memchr::memmem;
use sha2::{Digest as _, Sha256};

use crate::{SessionTag, TagDigest};

/// The state of the search in one connection.
#[derive(Debug, Default)]
pub struct Search {
    scanned: usize,
    places: Vec<Candidate>,
    lengths: Vec<usize>,
}

/// A possible tag in the plaintext of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Digest of the possible tag, for the lookup of announced tags.
    pub tag: TagDigest,
    /// Whether the tag certainly ends there. Otherwise, the next bytes may show that it is a prefix
    /// of a longer tag.
    pub is_whole: bool,
}

/// A position where a tag may begin, the digest of what follows so far, and those of announced
/// lengths.
#[derive(Debug)]
struct Candidate {
    start: usize,
    hashed: usize,
    hasher: Sha256,
    tags: Vec<TagDigest>,
}

impl Search {
    /// Maximum number of bytes of a connection that are searched.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Maximum number of positions of a connection that are compared.
    pub const MAX_PLACES: usize = 16;

    /// Minimum length of a tag: shorter ones could match by chance.
    pub const MIN_TAG: usize = 20;

    /// How many characters of a tag may follow one, for example the name of the next chunk.
    pub const MAX_MORE: usize = 8;

    /// All possible tags. `seen` is all plaintext since the connection began; `lengths` are those
    /// of the announced tags, in ascending order.
    pub fn advance(&mut self, seen: &[u8], lengths: &[usize]) -> Vec<Shown> {
        let seen = &seen[..seen.len().min(Self::MAX_BYTES)];
        self.find_places(seen);
        if self.lengths != lengths {
            lengths.clone_into(&mut self.lengths);
            self.places.iter_mut().for_each(Candidate::again);
        }
        self.places.iter_mut().for_each(|place| place.advance(seen, lengths));
        self.places.iter().flat_map(|place| place.shown(seen)).collect()
    }

    /// Whether a possible tag was seen.
    #[must_use]
    pub fn is_on_to_something(&self) -> bool {
        !self.places.is_empty()
    }

    fn find_places(&mut self, seen: &[u8]) {
        let marker = SessionTag::PREFIX.as_bytes();
        let from = self.scanned.saturating_sub(marker.len() - 1);
        let room = Self::MAX_PLACES - self.places.len();
        let new =
            memmem::find_iter(&seen[from..], marker).take(room).map(|at| Candidate::at(from + at));
        self.places.extend(new);
        self.scanned = seen.len();
    }
}

impl Candidate {
    fn at(start: usize) -> Self {
        Self { start, hashed: 0, hasher: Sha256::new(), tags: Vec::new() }
    }

    fn again(&mut self) {
        *self = Self::at(self.start);
    }

    fn advance(&mut self, seen: &[u8], lengths: &[usize]) {
        for &length in lengths {
            if length <= self.hashed || !(Search::MIN_TAG..=SessionTag::MAX_BYTES).contains(&length)
            {
                continue;
            }
            let Some(more) = seen.get(self.start + self.hashed..self.start + length) else { break };
            self.hasher.update(more);
            self.hashed = length;
            let sha256 = self.hasher.clone().finalize().into();
            self.tags.push(TagDigest { length, sha256 });
        }
    }

    fn shown(&self, seen: &[u8]) -> impl Iterator<Item = Shown> {
        self.tags.iter().filter_map(|&tag| {
            let behind = &seen[self.start + tag.length..];
            let more = behind.iter().take_while(|byte| is_of_a_tag(**byte));
            let more = more.take(Search::MAX_MORE + 1).count();
            let is_whole = more < behind.len();
            (more <= Search::MAX_MORE).then_some(Shown { tag, is_whole })
        })
    }
}

/// The characters of both base64 alphabets (RFC 4648), of which tags consist.
fn is_of_a_tag(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

#[cfg(test)]
mod tests;
