//! Datagrams in the form of ESP, with a checksum over the whole datagram, so that the peer detects
//! any changed byte.

use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use thiserror::Error;

use crate::random;

/// How many bytes a datagram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramSize(usize);

/// A size that no datagram can have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("datagrams have {MIN_SIZE} to {MAX_SIZE} bytes")]
pub struct DatagramSizeError;

/// The fields of a datagram, except the random payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) spi: u32,
    pub(crate) sequence: u32,
    /// Index of the datagram in an exchange; a response repeats it.
    pub(crate) index: u32,
}

/// Whether the SPI is at the start, or after a transport header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) transport_header: bool,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum DatagramError {
    #[error("datagram has only {0} bytes")]
    Short(usize),
    #[error("datagram has another checksum than it says")]
    Checksum,
    #[error("datagram has no transport header")]
    TransportHeader,
}

impl DatagramSize {
    /// Takes a size that a datagram can have.
    pub fn new(bytes: usize) -> Result<Self, DatagramSizeError> {
        if (MIN_SIZE..=MAX_SIZE).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(DatagramSizeError)
        }
    }
}

impl Default for DatagramSize {
    fn default() -> Self {
        Self(1200)
    }
}

impl FromStr for DatagramSize {
    type Err = DatagramSizeError;

    fn from_str(text: &str) -> Result<Self, DatagramSizeError> {
        text.parse().map_or(Err(DatagramSizeError), Self::new)
    }
}

impl Format {
    /// Makes a datagram of that size, with a random payload.
    pub(crate) fn compose(self, datagram: Datagram, size: DatagramSize) -> Vec<u8> {
        self.spell(datagram, random::bytes(size.0))
    }

    /// Parses a datagram and verifies its checksum.
    pub(crate) fn parse(self, bytes: &[u8]) -> Result<Datagram, DatagramError> {
        let short = DatagramError::Short(bytes.len());
        let (covered, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(short)?;
        let esp = self.offset();
        let spi = integer(covered, esp).ok_or(short)?;
        let sequence = integer(covered, esp + 4).ok_or(short)?;
        let index = integer(covered, esp + 8).ok_or(short)?;
        if checksum_of(covered) != *checksum {
            return Err(DatagramError::Checksum);
        }
        if self.transport_header && !covered.starts_with(&HEADER_START) {
            return Err(DatagramError::TransportHeader);
        }
        Ok(Datagram { spi, sequence, index })
    }

    /// Writes the fields over the given payload.
    fn spell(self, datagram: Datagram, mut bytes: Vec<u8>) -> Vec<u8> {
        let Datagram { spi, sequence, index } = datagram;
        let [.., high, low] = sequence.to_be_bytes();
        let mut fields = Vec::with_capacity(MIN_SIZE);
        if self.transport_header {
            fields.extend([HEADER_START[0], HEADER_START[1], high, low]);
        }
        for field in [spi, sequence, index] {
            fields.extend(field.to_be_bytes());
        }
        bytes.splice(..fields.len().min(bytes.len()), fields);
        bytes.truncate(bytes.len().saturating_sub(CHECKSUM));
        bytes.extend(checksum_of(&bytes));
        bytes
    }

    fn offset(self) -> usize {
        if self.transport_header { 4 } else { 0 }
    }
}

fn integer(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn checksum_of(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut checksum = [0; CHECKSUM];
    checksum.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..CHECKSUM]);
    checksum
}

const CHECKSUM: usize = 8;
/// Room for every field, and a few random bytes.
const MIN_SIZE: usize = 32;
/// Maximum UDP payload over IPv4 in bytes.
const MAX_SIZE: usize = 65_507;
/// The constant half of the transport header; the other half is a counter.
const HEADER_START: [u8; 2] = [0x10, 0x02];

#[cfg(test)]
mod tests {
    use super::*;

    const DATAGRAM: Datagram = Datagram { spi: 0x0102_0304, sequence: 0x0005_0607, index: 8 };

    #[test]
    fn the_spi_stands_first_or_behind_the_transport_header() {
        let table = [
            (false, [1, 2, 3, 4, 0, 5, 6, 7, 0, 0, 0, 8].as_slice()),
            (true, [0x10, 2, 6, 7, 1, 2, 3, 4, 0, 5, 6, 7, 0, 0, 0, 8].as_slice()),
        ];

        for (transport_header, start) in table {
            let format = Format { transport_header };
            let bytes = format.compose(DATAGRAM, DatagramSize::default());

            assert_eq!(bytes.len(), 1200);
            assert!(bytes.starts_with(start), "{bytes:?}");
            assert_eq!(format.parse(&bytes), Ok(DATAGRAM));
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let format = Format { transport_header: true };
        let bytes = format.spell(DATAGRAM, vec![9; 40]);

        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_eq!(format.parse(&changed), Err(DatagramError::Checksum), "{place}");
        }
    }

    #[test]
    fn what_is_too_short_is_refused() {
        let format = Format { transport_header: false };

        assert_eq!(format.parse(&[]), Err(DatagramError::Short(0)));
        assert_eq!(format.parse(&[0; 19]), Err(DatagramError::Short(19)));
        assert_eq!(format.parse(&[0; 20]), Err(DatagramError::Checksum));
    }

    #[test]
    fn a_size_fits_its_fields_and_the_network() {
        let table = [("31", false), ("32", true), ("65507", true), ("65508", false), ("x", false)];

        for (text, fits) in table {
            assert_eq!(text.parse::<DatagramSize>().is_ok(), fits, "{text}");
        }
    }
}
