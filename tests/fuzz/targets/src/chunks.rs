//! Compares the parser of chunks with one that has the whole stream.

use cmsg_proto::{
    SessionTag, TagDigest,
    gateway::{
        Spi,
        chunks::{Item, Reader},
    },
};

use crate::input::Input;

/// Reads a stream in one piece, in pieces and naively.
pub fn run(data: &[u8]) {
    let input = &mut Input::new(data);
    let step = usize::from(input.byte()).max(1);
    let stream = input.rest();

    let naive = naive(stream);
    assert_eq!(read(std::iter::once(stream)), naive, "in one piece");
    assert_eq!(read(stream.chunks(step)), naive, "in pieces of {step}");
    let uneven = stream.chunk_by(|a, b| a ^ b != 1);
    assert_eq!(read(uneven), naive, "in uneven pieces");
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Item>, bool) {
    let mut reader = Reader::default();
    let mut found = Vec::new();
    pieces.for_each(|piece| reader.read(piece, &mut found));
    (found, reader.understands())
}

/// The items of the stream, and whether its layout matches.
fn naive(stream: &[u8]) -> (Vec<Item>, bool) {
    let mut found = Vec::new();
    let Some(opening) = stream.first_chunk::<16>() else { return (found, true) };
    let little = opening[12..] == [4, 0, 0, 0];
    let reversed = opening[8..12] == *b"giss";
    if !reversed && opening[8..12] != *b"ssig" {
        return (found, false);
    }
    let mut rest = stream;
    while rest.len() >= 8 {
        let size = number(&rest[..8], little);
        rest = &rest[8..];
        let Some(mut left) = usize::try_from(size).ok().filter(|size| (8..=65_536).contains(size))
        else {
            return (found, false);
        };
        while left > 0 {
            if left < 8 {
                return (found, false);
            }
            if rest.len() < 8 {
                return (found, true);
            }
            let mut name = [rest[0], rest[1], rest[2], rest[3]];
            if reversed {
                name.reverse();
            }
            let size = usize::try_from(number(&rest[4..8], little)).unwrap_or(usize::MAX);
            rest = &rest[8..];
            left -= 8;
            if size > left || !fits(&name, size) {
                return (found, false);
            }
            if rest.len() < size {
                return (found, true);
            }
            found.extend(told(&name, &rest[..size]));
            rest = &rest[size..];
            left -= size;
        }
    }
    (found, true)
}

fn number(bytes: &[u8], little: bool) -> u64 {
    let digit = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, digit) } else { bytes.iter().fold(0, digit) }
}

fn fits(name: &[u8; 4], size: usize) -> bool {
    match name {
        b"ssig" | b"1spi" | b"2spi" | b"s12t" => size == 4,
        b"ctag" => (1..=SessionTag::MAX_BYTES).contains(&size),
        _ => true,
    }
}

fn told(name: &[u8; 4], data: &[u8]) -> Option<Item> {
    match (name, data) {
        (b"ctag", tag) => Some(Item::Tag(TagDigest::of(tag))),
        (b"1spi" | b"2spi" | b"s12t", [a, b, c, d]) => {
            Some(Item::Spi(Spi::from_bytes([*a, *b, *c, *d])))
        }
        _ => None,
    }
}
