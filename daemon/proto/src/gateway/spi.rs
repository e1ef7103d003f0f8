//! The security parameter index (SPI) of ESP (RFC 4303, section 2.1), which identifies the flow of
//! a datagram.

use std::fmt;

/// A security parameter index, in the byte order of the datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spi(u32);

impl Spi {
    /// An SPI from its four bytes on the wire.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// The four bytes on the wire.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// The SPI with its bytes reversed.
    #[must_use]
    pub const fn swapped(self) -> Self {
        Self(self.0.swap_bytes())
    }

    /// The same for both byte orders.
    #[must_use]
    pub(super) fn either(self) -> Self {
        self.min(self.swapped())
    }

    /// Whether the value is in 0 to 255, which RFC 4303 reserves. Such a word is more likely a
    /// header or a sequence number, and occurs in most control bytes by chance.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 < 256
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spi({:#010x})", self.0)
    }
}

/// The first three words of a datagram. Its SPI is the first one, or the second one after a
/// transport header of four bytes. A sequence number follows the SPI (RFC 4303, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiCandidates {
    /// The word at offset 0.
    pub first: Spi,
    /// The word at offset 4, if the datagram is long enough.
    pub second: Option<Spi>,
    /// The word at offset 8, if the datagram is long enough.
    pub third: Option<u32>,
}

impl SpiCandidates {
    /// The sequence number, if `spi` is the SPI.
    #[must_use]
    pub fn sequence(&self, spi: Spi) -> Option<u32> {
        match (self.first == spi, self.second) {
            (true, second) => second.map(|second| second.0),
            (false, Some(second)) if second == spi => self.third,
            _ => None,
        }
    }

    /// Reads the words. `None` for a datagram of less than four bytes.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<Self> {
        let (first, rest) = datagram.split_first_chunk()?;
        let second = rest.first_chunk().copied().map(Spi::from_bytes);
        let third = rest.get(4..).and_then(|rest| rest.first_chunk().copied());
        Some(Self { first: Spi::from_bytes(*first), second, third: third.map(u32::from_be_bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_has_two_positions_for_its_spi() {
        let spi = |text: &[u8; 4]| Spi::from_bytes(*text);
        let candidates = |first, second: Option<&[u8; 4]>, third: Option<&[u8; 4]>| {
            let third = third.map(|third| u32::from_be_bytes(*third));
            Some(SpiCandidates { first: spi(first), second: second.map(spi), third })
        };
        let table: [(&[u8], _); 5] = [
            (b"abc", None),
            (b"abcd", candidates(b"abcd", None, None)),
            (b"abcdefg", candidates(b"abcd", None, None)),
            (b"abcdefghijk", candidates(b"abcd", Some(b"efgh"), None)),
            (b"abcdefghijklm", candidates(b"abcd", Some(b"efgh"), Some(b"ijkl"))),
        ];
        for (datagram, candidates) in table {
            assert_eq!(SpiCandidates::of(datagram), candidates);
        }
        assert_eq!(spi(b"abcd").swapped().bytes(), *b"dcba");
    }

    #[test]
    fn the_sequence_number_follows_the_spi() {
        let number = |text: &[u8; 4]| Some(u32::from_be_bytes(*text));
        let table: [(&[u8], &[u8; 4], _); 5] = [
            (b"abcdefghijkl", b"abcd", number(b"efgh")),
            (b"abcdefghijkl", b"efgh", number(b"ijkl")),
            (b"abcdefghijkl", b"ijkl", None),
            (b"abcdefgh", b"efgh", None),
            (b"abcd", b"abcd", None),
        ];
        for (datagram, spi, sequence) in table {
            assert_eq!(
                SpiCandidates::of(datagram).unwrap().sequence(Spi::from_bytes(*spi)),
                sequence
            );
        }
    }
}
