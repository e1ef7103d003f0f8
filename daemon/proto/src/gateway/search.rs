//! The search for an announced tag in the first plaintext of a client, whatever surrounds it. Known
//! tags begin with `SCS1`, and what follows a tag may look like more of it: so at each such place
//! the prefixes that are as long as an announced tag are compared, by digest.

use memchr::memmem;
use sha2::{Digest as _, Sha256};

use crate::{SessionTag, TagDigest};

/// The state of the search in one connection.
#[derive(Debug, Default)]
pub struct Search {
    scanned: usize,
    places: Vec<Place>,
    lengths: Vec<usize>,
}

/// Where a tag may begin, and the digest of what follows so far.
#[derive(Debug)]
struct Place {
    start: usize,
    hashed: usize,
    hasher: Sha256,
}

impl Search {
    /// How much of a connection's plaintext is searched.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// How many places of a connection are looked at.
    pub const MAX_PLACES: usize = 16;

    /// The digests to compare that became computable. `seen` is everything since the connection
    /// began, `lengths` those of the tags that are announced, in ascending order.
    pub fn advance(&mut self, seen: &[u8], lengths: &[usize]) -> Vec<TagDigest> {
        let seen = &seen[..seen.len().min(Self::MAX_BYTES)];
        self.find_places(seen);
        if self.lengths != lengths {
            lengths.clone_into(&mut self.lengths);
            self.places.iter_mut().for_each(Place::again);
        }
        self.places.iter_mut().flat_map(|place| place.advance(seen, lengths)).collect()
    }

    /// Whether something was seen that may be a tag.
    #[must_use]
    pub fn is_on_to_something(&self) -> bool {
        !self.places.is_empty()
    }

    fn find_places(&mut self, seen: &[u8]) {
        let marker = SessionTag::PREFIX.as_bytes();
        let from = self.scanned.saturating_sub(marker.len() - 1);
        let room = Self::MAX_PLACES - self.places.len();
        let new =
            memmem::find_iter(&seen[from..], marker).take(room).map(|at| Place::at(from + at));
        self.places.extend(new);
        self.scanned = seen.len();
    }
}

impl Place {
    fn at(start: usize) -> Self {
        Self { start, hashed: 0, hasher: Sha256::new() }
    }

    fn again(&mut self) {
        *self = Self::at(self.start);
    }

    fn advance(&mut self, seen: &[u8], lengths: &[usize]) -> Vec<TagDigest> {
        let mut digests = Vec::new();
        for &length in lengths {
            if length <= self.hashed || length > SessionTag::MAX_BYTES {
                continue;
            }
            let Some(more) = seen.get(self.start + self.hashed..self.start + length) else { break };
            self.hasher.update(more);
            self.hashed = length;
            digests.push(TagDigest { length, sha256: self.hasher.clone().finalize().into() });
        }
        digests
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digests(tags: &[&str]) -> Vec<TagDigest> {
        tags.iter().map(|tag| TagDigest::of(tag.as_bytes())).collect()
    }

    #[test]
    fn the_prefixes_with_announced_lengths_are_compared() {
        let found = Search::default().advance(b"..ctag\0\0SCS1abcdef2key..", &[7, 10, 400]);

        assert_eq!(found, digests(&["SCS1abc", "SCS1abcdef"]));
    }

    #[test]
    fn a_place_is_compared_once_a_length() {
        let mut search = Search::default();

        assert_eq!(search.advance(b"-SC", &[7, 10]), digests(&[]));
        assert_eq!(search.advance(b"-SCS1ab", &[7, 10]), digests(&[]));
        assert_eq!(search.advance(b"-SCS1abcd", &[7, 10]), digests(&["SCS1abc"]));
        assert_eq!(search.advance(b"-SCS1abcdefg", &[7, 10]), digests(&["SCS1abcdef"]));
        assert_eq!(search.advance(b"-SCS1abcdefgh", &[7, 10]), digests(&[]));
    }

    #[test]
    fn a_tag_that_is_announced_meanwhile_is_found() {
        let mut search = Search::default();

        assert_eq!(search.advance(b"SCS1abcdef", &[10]), digests(&["SCS1abcdef"]));
        assert_eq!(search.advance(b"SCS1abcdef", &[7]), digests(&["SCS1abc"]));
    }

    #[test]
    fn sixteen_places_and_sixteen_kibibytes_are_searched() {
        let many = "SCS1a".repeat(100);
        let late = [vec![0; Search::MAX_BYTES - 4], b"SCS1a".to_vec()].concat();

        assert_eq!(Search::default().advance(many.as_bytes(), &[5]), digests(&["SCS1a"; 16]));
        assert_eq!(Search::default().advance(&late, &[5]), digests(&[]));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            before in "[S1C]{0,40}",
            after in "[a-zA-Z0-9+/]{0,40}",
            cut in 0_usize..90,
        ) {
            let stream = format!("{before}SCS1tagtag{after}").into_bytes();
            let mut search = Search::default();

            let mut found = search.advance(&stream[..cut.min(stream.len())], &[10]);
            found.extend(search.advance(&stream, &[10]));

            prop_assert!(found.contains(&TagDigest::of(b"SCS1tagtag")));
        }
    }
}
