use proptest::prelude::*;

use super::*;

/// A message of chunks in one of the four byte orders.
fn message(chunks: &[(&[u8; 4], &[u8])], little_endian: bool, reversed: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, data) in chunks {
        let mut name = **name;
        if reversed {
            name.reverse();
        }
        let size = u32::try_from(data.len()).unwrap();
        body.extend(name);
        body.extend(if little_endian { size.to_le_bytes() } else { size.to_be_bytes() });
        body.extend(*data);
    }
    let size = body.len() as u64;
    let size = if little_endian { size.to_le_bytes() } else { size.to_be_bytes() };
    [&size, body.as_slice()].concat()
}

fn read(pieces: &[&[u8]]) -> (Vec<Item>, bool) {
    let mut reader = Reader::default();
    let mut found = Vec::new();
    for piece in pieces {
        reader.read(piece, &mut found);
    }
    (found, reader.understands())
}

fn invite(little_endian: bool, reversed: bool) -> Vec<u8> {
    let chunks: [(&[u8; 4], &[u8]); 6] = [
        (b"ssig", &[0; 4]),
        (b"2key", &[7; 32]),
        (b"2spi", &[1, 2, 3, 4]),
        (b"none", &[]),
        (b"ctag", b"SCS1abc"),
        (b"s12t", &[5, 6, 7, 8]),
    ];
    message(&chunks, little_endian, reversed)
}

fn invited() -> Vec<Item> {
    vec![
        Item::Spi(Spi::from_bytes([1, 2, 3, 4])),
        Item::Tag(TagDigest::of(b"SCS1abc")),
        Item::Spi(Spi::from_bytes([5, 6, 7, 8])),
    ]
}

#[test]
fn bye_and_bye_ok_are_recognized_in_every_byte_order() {
    for (little_endian, reversed) in [(false, false), (false, true), (true, false), (true, true)] {
        let said = |kind: u32| {
            let kind = if little_endian { kind.to_le_bytes() } else { kind.to_be_bytes() };
            let bytes = message(&[(b"ssig", &kind), (b"byec", &[0; 4])], little_endian, reversed);
            read(&[&invite(little_endian, reversed), &bytes]).0.split_off(invited().len())
        };

        for kind in 0..9 {
            let expected = if [4, 5].contains(&kind) { vec![Item::Bye] } else { vec![] };
            assert_eq!(said(kind), expected, "{kind}");
        }
    }
}

#[test]
fn tags_and_spis_are_found_in_every_byte_order() {
    for (little_endian, reversed) in [(false, false), (false, true), (true, false), (true, true)] {
        let one = invite(little_endian, reversed);

        assert_eq!(read(&[&one]), (invited(), true));
        assert_eq!(read(&[&one, &one]), ([invited(), invited()].concat(), true));
    }
}

#[test]
fn a_stream_with_another_layout_is_ignored() {
    let with = |chunks: &[(&[u8; 4], &[u8])]| message(chunks, false, false);
    let spi_first = with(&[(b"2spi", &[1, 2, 3, 4])]);
    let short_spi = with(&[(b"ssig", &[0; 4]), (b"2spi", &[1, 2])]);
    let empty_tag = with(&[(b"ssig", &[0; 4]), (b"ctag", &[])]);
    let large_tag = with(&[(b"ssig", &[0; 4]), (b"ctag", &[b'x'; 4097])]);
    let large_message = with(&[(b"ssig", &[0; 4]), (b"none", &[0; 65536])]);
    let mut beyond = with(&[(b"ssig", &[0; 4]), (b"none", &[0; 8])]);
    beyond[27] = 9;
    let mut left_over = with(&[(b"ssig", &[0; 4]), (b"none", &[0; 8])]);
    left_over[27] = 7;

    for stream in
        [spi_first, short_spi, empty_tag, large_tag, large_message, beyond, left_over, vec![0; 64]]
    {
        assert_eq!(read(&[&stream]), (vec![], false), "{:?}", &stream[..16]);
    }
    assert_eq!(read(&[&[0xff; 16]]), (vec![], false));
    assert_eq!(read(&[&invite(false, false), b"GET / HTTP/1.1"]), (invited(), false));
}

#[test]
fn a_short_stream_may_still_match() {
    assert_eq!(read(&[&invite(true, true)[..15]]), (vec![], true));
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_the_pieces(
        cuts in prop::collection::vec(0_usize..300, 0..20),
        little_endian: bool,
        reversed: bool,
    ) {
        let stream = [invite(little_endian, reversed), invite(little_endian, reversed)].concat();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % stream.len()).collect();
        cuts.sort_unstable();
        cuts.push(stream.len());
        let mut start = 0;
        let pieces: Vec<_> = cuts
            .into_iter()
            .map(|end| &stream[std::mem::replace(&mut start, end)..end])
            .collect();

        prop_assert_eq!(read(&pieces), ([invited(), invited()].concat(), true));
    }

    #[test]
    fn no_bytes_cause_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), ours: bool) {
        if ours {
            bytes.splice(0..0, invite(false, false));
        }
        let _ = read(&[&bytes]);
    }
}
