use proptest::prelude::*;

use super::*;

/// A tag with the minimum length.
const TAG: &str = "SCS1aaaaaaaaaaaaaaaa";
const LENGTH: usize = TAG.len();

fn whole(tag: &str) -> Shown {
    Shown { tag: TagDigest::of(tag.as_bytes()), is_whole: true }
}

fn open(tag: &str) -> Shown {
    Shown { is_whole: false, ..whole(tag) }
}

fn search(seen: &[u8], lengths: &[usize]) -> Vec<Shown> {
    Search::default().advance(seen, lengths)
}

#[test]
fn the_prefixes_with_announced_lengths_are_compared() {
    let seen = format!("..ctag\0\0{TAG}bcd2key..");

    let found = search(seen.as_bytes(), &[7, LENGTH, LENGTH + 3, 400]);

    assert_eq!(found, [whole(TAG), whole(&format!("{TAG}bcd"))]);
}

#[test]
fn short_tags_are_not_searched_for() {
    let short = &TAG[..LENGTH - 1];

    assert_eq!(search(format!("{short}|").as_bytes(), &[4, LENGTH - 1]), []);
    assert_eq!(search(b"SCS1|", &[4]), []);
}

#[test]
fn a_prefix_of_a_longer_tag_does_not_match() {
    let table = [
        ("", vec![open(TAG)]),
        ("2keybyte", vec![open(TAG)]),
        ("2keybyte\0", vec![whole(TAG)]),
        ("2keybyte ", vec![whole(TAG)]),
        ("\0", vec![whole(TAG)]),
        ("2keybytes", vec![]),
        ("+/-_=Az09", vec![]),
        ("2keybytes and what follows", vec![]),
    ];
    for (behind, expected) in table {
        assert_eq!(search(format!("{TAG}{behind}").as_bytes(), &[LENGTH]), expected, "{behind:?}");
    }
}

#[test]
fn a_possible_tag_is_dropped_when_it_continues() {
    let mut search = Search::default();
    let seen = format!("-{TAG}bbbbbbbbb");

    assert_eq!(search.advance(&seen.as_bytes()[..LENGTH], &[LENGTH]), []);
    assert_eq!(search.advance(&seen.as_bytes()[..=LENGTH], &[LENGTH]), [open(TAG)]);
    assert_eq!(search.advance(&seen.as_bytes()[..LENGTH + 9], &[LENGTH]), [open(TAG)]);
    assert_eq!(search.advance(seen.as_bytes(), &[LENGTH]), []);
}

#[test]
fn a_tag_that_is_announced_later_is_found() {
    let longer = format!("{TAG}bcd");
    let mut search = Search::default();

    assert_eq!(search.advance(longer.as_bytes(), &[LENGTH + 3]), [open(&longer)]);
    assert_eq!(search.advance(longer.as_bytes(), &[LENGTH]), [open(TAG)]);
}

#[test]
fn sixteen_places_and_sixteen_kibibytes_are_searched() {
    let many = format!("{TAG}|").repeat(100);
    let late = [vec![0; Search::MAX_BYTES - LENGTH + 1], TAG.as_bytes().to_vec()].concat();

    assert_eq!(search(many.as_bytes(), &[LENGTH]), [whole(TAG); 16]);
    assert_eq!(search(&late, &[LENGTH]), []);
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_the_pieces(
        before in "[S1C]{0,40}",
        after in "[a-zA-Z0-9+/ ]{0,40}",
        cut in 0_usize..120,
    ) {
        let stream = format!("{before}{TAG}{after}").into_bytes();
        let mut pieces = Search::default();

        pieces.advance(&stream[..cut.min(stream.len())], &[LENGTH, LENGTH + 2]);
        let found = pieces.advance(&stream, &[LENGTH, LENGTH + 2]);

        prop_assert_eq!(found, search(&stream, &[LENGTH, LENGTH + 2]));
    }

    #[test]
    fn a_tag_is_found_unless_nine_characters_of_tags_follow(after in "[a-z+ ]{0,20}") {
        let follow = after.split(' ').next().unwrap_or_default().len();

        let found = search(format!("{TAG}{after}").as_bytes(), &[LENGTH]);

        prop_assert_eq!(!found.is_empty(), follow <= Search::MAX_MORE);
    }
}
