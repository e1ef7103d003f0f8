//! Random parts against a simple reimplementation that sends datagrams one by one.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A received train, and how its datagrams are pushed: runs with the same key and target.
#[derive(Debug, Clone)]
struct Pushed {
    segment: usize,
    /// Length of the last datagram of the train.
    last: usize,
    /// Key, target and number of datagrams.
    runs: Vec<(usize, u8, usize)>,
}

/// A datagram by its position.
type Datagram = (Target, usize, usize, usize);

fn target(number: u8) -> Target {
    Target { to: ([10, 0, 0, number], 4172).into(), from: None, tos: number % 2 }
}

fn pushed() -> impl Strategy<Value = Pushed> {
    // Few keys and sizes, so that many parts are joined; two keys have the same remainder.
    let key = prop::sample::select(vec![1, 2, 1 + REMAINDERS]);
    let run = (key, 0..2_u8, 1..40_usize);
    let segment = prop::sample::select(vec![1, 100, 1200, 1300, 9000, 30_001, 65_507]);
    (segment, any::<prop::sample::Index>(), prop::collection::vec(run, 1..4)).prop_map(
        |(segment, last, mut runs)| {
            // No train is longer than the kernel's largest.
            let most = 65_535 / segment;
            for run in &mut runs {
                run.2 = run.2.min((most / 3).max(1));
            }
            runs.truncate(most);
            Pushed { segment, last: last.index(segment) + 1, runs }
        },
    )
}

/// What one by one would be sent, by key.
fn naive(trains: &[Pushed]) -> HashMap<usize, Vec<Datagram>> {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for (train, pushed) in trains.iter().enumerate() {
        let count: usize = pushed.runs.iter().map(|run| run.2).sum();
        let mut index = 0;
        for (key, number, datagrams) in &pushed.runs {
            for _ in 0..*datagrams {
                let length = if index + 1 == count { pushed.last } else { pushed.segment };
                let datagram = (target(*number), train, index * pushed.segment, length);
                all.entry(*key).or_default().push(datagram);
                index += 1;
            }
        }
    }
    all
}

fn push(outbox: &mut Outbox, trains: &[Pushed]) {
    for (train, pushed) in trains.iter().enumerate() {
        let count: usize = pushed.runs.iter().map(|run| run.2).sum();
        let mut index = 0;
        for (key, number, datagrams) in &pushed.runs {
            let (start, end) = (index, index + datagrams);
            let is_end = end == count;
            let length =
                datagrams * pushed.segment - if is_end { pushed.segment - pushed.last } else { 0 };
            let segment = pushed.segment;
            let part = Part { train, start: start * segment, length, segment };
            outbox.push(*key, target(*number), part);
            index = end;
        }
    }
}

/// Checks that the kernel would accept each message, and divides it as the kernel would.
fn divided(outbox: &Outbox) -> HashMap<usize, Vec<Datagram>> {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for message in &outbox.messages {
        let is_train = message.datagrams > 1;
        assert!(message.datagrams <= MAX_DATAGRAMS);
        assert!(!is_train || message.bytes <= MAX_BYTES, "{message:?}");
        let pieces = &outbox.pieces[message.first..][..message.pieces];
        let bytes: usize = pieces.iter().map(|piece| piece.length).sum();
        assert_eq!(bytes, message.bytes);
        let key = outbox.trains[message.outgoing].key;
        let mut datagrams = 0;
        for (index, piece) in pieces.iter().enumerate() {
            // A shorter datagram in the middle would move the borders of all that follow.
            let is_last = index + 1 == pieces.len();
            assert!(is_last || piece.length.is_multiple_of(message.segment), "{message:?}");
            for offset in (0..piece.length).step_by(message.segment) {
                let length = message.segment.min(piece.length - offset);
                let datagram = (message.target, piece.train, piece.start + offset, length);
                all.entry(key).or_default().push(datagram);
                datagrams += 1;
            }
        }
        assert_eq!(datagrams, message.datagrams);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn trains_carry_the_datagrams_that_would_be_sent_one_by_one(
        trains in prop::collection::vec(pushed(), 1..20),
        is_singly in any::<bool>(),
    ) {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        if is_singly {
            outbox.singly.insert(target(1).to, now);
        }

        // The second batch finds no remains of the first.
        for _ in 0..2 {
            push(&mut outbox, &trains);
            outbox.lay_out(now);
            prop_assert_eq!(divided(&outbox), naive(&trains));
            let single = |message: &Message| message.datagrams == 1;
            let refused = |message: &&Message| is_singly && message.target.to == target(1).to;
            prop_assert!(outbox.messages.iter().filter(refused).all(single));
            outbox.clear();
        }
    }
}

#[test]
fn datagrams_of_one_key_are_joined_across_others() {
    let mut outbox = Outbox::default();
    let interleaved = [(1, 0, 1200), (2, 0, 1200), (1, 0, 1200), (2, 0, 700), (1, 0, 1200)];
    for (train, (key, number, segment)) in interleaved.into_iter().enumerate() {
        let part = Part { train, start: 0, length: segment, segment };
        outbox.push(key, target(number), part);
    }
    outbox.lay_out(Instant::now());

    let sizes: Vec<_> = outbox.messages.iter().map(|m| (m.datagrams, m.bytes)).collect();
    assert_eq!(sizes, [(3, 3600), (2, 1900)]);
}
