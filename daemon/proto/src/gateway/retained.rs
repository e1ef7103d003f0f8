//! Control bytes that are kept for a limited time because they may contain an SPI. They contain
//! keys too, so they are wiped afterwards.

use std::fmt;

use memchr::memmem;
use zeroize::Zeroizing;

use super::Spi;

/// The first bytes of one direction of a control channel.
#[derive(Default)]
pub(super) struct Retained(Zeroizing<Vec<u8>>);

impl Retained {
    /// Maximum number of bytes.
    pub(super) const MAX_BYTES: usize = 64 * 1024;

    /// Stores as much of `piece` as fits. Returns the first offset at which a new SPI may begin.
    pub(super) fn push(&mut self, piece: &[u8]) -> usize {
        let new = self.0.len().saturating_sub(size_of::<Spi>() - 1);
        let piece = &piece[..piece.len().min(Self::MAX_BYTES - self.0.len())];
        let needed = self.0.len() + piece.len();
        if needed > self.0.capacity() {
            // `Vec` would leave a copy that is not wiped when it grows.
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(piece);
        new
    }

    /// Whether the bytes contain the SPI, in either byte order.
    pub(super) fn contains(&self, spi: Spi) -> bool {
        self.contains_behind(0, spi)
    }

    /// The same, for the bytes from `start` on.
    pub(super) fn contains_behind(&self, start: usize, spi: Spi) -> bool {
        let bytes = self.0.get(start..).unwrap_or_default();
        [spi, spi.swapped()].iter().any(|spi| memmem::find(bytes, &spi.bytes()).is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every SPI that the bytes from `start` on contain.
    pub(super) fn spis_behind(&self, start: usize) -> impl Iterator<Item = Spi> {
        let bytes = self.0.get(start..).unwrap_or_default();
        bytes
            .windows(size_of::<Spi>())
            .filter_map(|window| Some(Spi::from_bytes(*window.first_chunk()?)))
    }

    /// Wipes the bytes.
    pub(super) fn clear(&mut self) {
        self.0 = Zeroizing::default();
    }
}

impl fmt::Debug for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Retained({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_spi_is_found_in_either_byte_order_and_across_pieces() {
        let mut retained = Retained::default();
        retained.push(b"keys 12");
        let new = retained.push(b"34 more");

        for (spi, found) in [(b"1234", true), (b"4321", true), (b"2143", false)] {
            assert_eq!(retained.contains(Spi::from_bytes(*spi)), found);
        }
        for (spi, found) in [(b"s 12", false), (b" 123", true), (b"more", true)] {
            assert_eq!(retained.contains_behind(new, Spi::from_bytes(*spi)), found);
        }
        retained.clear();
        assert!(!retained.contains(Spi::from_bytes(*b"1234")));
    }

    #[test]
    fn only_the_first_64_kib_are_kept_and_none_are_printed() {
        let mut retained = Retained::default();
        retained.push(&vec![b'k'; Retained::MAX_BYTES - 2]);
        retained.push(b"1234");

        assert!(!retained.contains(Spi::from_bytes(*b"1234")));
        assert_eq!(format!("{retained:?}"), "Retained(65536 bytes)");
    }
}
