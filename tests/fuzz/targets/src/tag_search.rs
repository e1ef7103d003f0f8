//! Compares the search for tags with one that checks every position and every length.

use std::collections::BTreeSet;

use cmsg_proto::{
    SessionTag, TagDigest,
    gateway::{Search, Shown},
};

use crate::input::Input;

/// Searches a stream for tags of some lengths, in pieces, while other lengths are announced.
pub fn run(data: &[u8]) {
    let input = &mut Input::new(data);
    let [first, then] = [(); 2].map(|()| lengths(input));
    let step = usize::from(input.byte()).max(1);
    let stream = input.rest();

    let steady = search(stream, step, |_| &then);
    assert_eq!(steady, naive(stream, &then), "in pieces of {step}");
    let whole = search(stream, stream.len().max(1), |_| &then);
    assert_eq!(whole, steady);

    // Tags that are announced later are found, and those no longer announced are not.
    let half = stream.len() / 2;
    let changing = search(stream, step, |seen| if seen < half { &first } else { &then });
    assert_eq!(changing, steady, "other lengths were announced before");
}

fn lengths(input: &mut Input<'_>) -> Vec<usize> {
    let count = input.below(5);
    let lengths = (0..count).map(|_| usize::from(input.short() % 4200));
    lengths.filter(|length| *length > 0).collect::<BTreeSet<_>>().into_iter().collect()
}

fn search<'a>(stream: &[u8], step: usize, lengths: impl Fn(usize) -> &'a Vec<usize>) -> Tags {
    let mut search = Search::default();
    let ends = (0..=stream.len()).step_by(step).chain([stream.len()]);
    let found = ends.map(|end| search.advance(&stream[..end], lengths(end))).last();
    sorted(found.unwrap_or_default())
}

/// Possible tags, and whether each is complete.
type Tags = Vec<(TagDigest, bool)>;

fn sorted(shown: impl IntoIterator<Item = Shown>) -> Tags {
    let mut found: Vec<_> = shown.into_iter().map(|shown| (shown.tag, shown.is_whole)).collect();
    found.sort_unstable();
    found
}

fn naive(stream: &[u8], lengths: &[usize]) -> Tags {
    let seen = &stream[..stream.len().min(Search::MAX_BYTES)];
    let places = (0..seen.len()).filter(|at| seen[*at..].starts_with(b"SCS1"));
    let longest_first =
        |at: usize| lengths.iter().filter_map(move |length| show(&seen[at..], *length));
    sorted(places.take(Search::MAX_PLACES).flat_map(longest_first))
}

fn show(from: &[u8], length: usize) -> Option<Shown> {
    if !(Search::MIN_TAG..=SessionTag::MAX_BYTES).contains(&length) || length > from.len() {
        return None;
    }
    let (tag, behind) = from.split_at(length);
    let is_end = |byte: &u8| !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'/' | b'-' | b'_' | b'=');
    let ends = behind.iter().take(Search::MAX_MORE + 1).any(is_end);
    let is_cut = !ends && behind.len() > Search::MAX_MORE;
    (!is_cut).then_some(Shown { tag: TagDigest::of(tag), is_whole: ends })
}
