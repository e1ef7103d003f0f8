//! The security parameter index, by which the datagrams of a session are told from others.

use std::fmt;

/// A security parameter index, as it stands on a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spi(u32);

impl Spi {
    /// The index that these four bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// The four bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// The same in the other byte order.
    #[must_use]
    pub const fn swapped(self) -> Self {
        Self(self.0.swap_bytes())
    }

    /// Whether ESP keeps the value for itself. Such a word is more likely a header or a sequence
    /// number, and stands in most control bytes by chance.
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

/// The two places of a datagram where its SPI may stand: at its start, or behind a transport header
/// of four bytes. Behind it stands its sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiCandidates {
    /// At offset 0.
    pub first: Spi,
    /// At offset 4, where the datagram is that long.
    pub second: Option<Spi>,
    /// At offset 8, where the datagram is that long.
    pub third: Option<u32>,
}

impl SpiCandidates {
    /// The sequence number, where this word is the SPI.
    #[must_use]
    pub fn sequence(&self, spi: Spi) -> Option<u32> {
        match (self.first == spi, self.second) {
            (true, second) => second.map(|second| second.0),
            (false, Some(second)) if second == spi => self.third,
            _ => None,
        }
    }

    /// Reads them; `None` for a datagram that is too short to have an SPI.
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
    fn a_datagram_has_two_places_for_its_spi() {
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
    fn the_sequence_number_stands_behind_the_spi() {
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
