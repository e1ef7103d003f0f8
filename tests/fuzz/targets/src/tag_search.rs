//! The search for tags against one that looks at every place and every length.

use std::collections::BTreeSet;

use cmsg_proto::{SessionTag, TagDigest, gateway::Search};

use crate::input::Input;

/// Searches a stream for tags of some lengths, in pieces, while other lengths are announced.
pub fn run(data: &[u8]) {
    let input = &mut Input::new(data);
    let [first, then] = [(); 2].map(|()| lengths(input));
    let step = usize::from(input.byte()).max(1);
    let stream = input.rest();

    let steady = search(stream, step, |_| &then);
    assert_eq!(steady, naive(stream, &then), "in pieces of {step}");
    let single: BTreeSet<_> = steady.iter().collect();
    let whole = search(stream, stream.len().max(1), |_| &then);
    assert_eq!(whole.iter().collect::<BTreeSet<_>>(), single);

    let half = stream.len() / 2;
    let changing = search(stream, step, |seen| if seen < half { &first } else { &then });
    let [before, after] = [&first, &then].map(|lengths| naive(stream, lengths));
    for digest in &after {
        assert!(changing.contains(digest), "a tag that was announced meanwhile is missed");
    }
    for digest in &changing {
        assert!(before.contains(digest) || after.contains(digest), "a prefix nobody asked for");
    }
}

fn lengths(input: &mut Input<'_>) -> Vec<usize> {
    let count = input.below(5);
    let lengths = (0..count).map(|_| usize::from(input.short() % 4200));
    lengths.filter(|length| *length > 0).collect::<BTreeSet<_>>().into_iter().collect()
}

fn search<'a>(
    stream: &[u8],
    step: usize,
    lengths: impl Fn(usize) -> &'a Vec<usize>,
) -> Vec<TagDigest> {
    let mut search = Search::default();
    let ends = (0..=stream.len()).step_by(step).chain([stream.len()]);
    let mut found: Vec<_> =
        ends.flat_map(|end| search.advance(&stream[..end], lengths(end))).collect();
    found.sort_unstable();
    found
}

fn naive(stream: &[u8], lengths: &[usize]) -> Vec<TagDigest> {
    let seen = &stream[..stream.len().min(Search::MAX_BYTES)];
    let places = (0..seen.len()).filter(|at| seen[*at..].starts_with(b"SCS1"));
    let mut found: Vec<_> = places
        .take(Search::MAX_PLACES)
        .flat_map(|at| lengths.iter().filter_map(move |length| seen.get(at..at + length)))
        .filter(|prefix| prefix.len() <= SessionTag::MAX_BYTES)
        .map(TagDigest::of)
        .collect();
    found.sort_unstable();
    found
}
