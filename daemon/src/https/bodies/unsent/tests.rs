use cmsg_proto::shares::Worth;

use super::{
    super::{BUDGET, Bodies, LARGE, MAX_LARGE, UNIT},
    *,
};

const OFFICE: &str = "192.0.2.1";

/// A response that waits to be sent, and the token that closes its connection.
struct Waiting {
    close: CancellationToken,
    _document: Bytes,
}

fn list(
    bodies: &Arc<Bodies>,
    from: &str,
    (session, connection): (u64, u64),
    bytes: usize,
) -> Result<Waiting, OverBudget> {
    let close = CancellationToken::new();
    let account = bodies.account(from.parse().unwrap(), Worth::User, close.clone());
    let account = account.for_session(Some(session), connection);
    let mut buffer = account.buffer();
    buffer.extend(&vec![b'7'; bytes])?;
    let document = "7".repeat(bytes);
    Ok(Waiting { close, _document: buffer.into_kept().hold(document) })
}

#[test]
fn large_lists_of_an_address_do_not_close_each_other() {
    let bodies = Bodies::new();
    let most = u64::try_from(MAX_LARGE).unwrap();
    let large = |from, session| list(&bodies, from, (session, session), LARGE + 1);
    let mut first: Vec<_> = (0..most).map(|session| large(OFFICE, session).unwrap()).collect();

    assert_eq!(large(OFFICE, 100).err(), Some(OverBudget));
    assert!(first.iter().all(|list| !list.close.is_cancelled()), "they go on");
    assert_eq!(bodies.refused(), 1);

    let other = large("192.0.2.2", 101).unwrap();
    assert!(first[0].close.is_cancelled(), "the oldest of the address with the most gives way");
    assert!(first[1..].iter().all(|list| !list.close.is_cancelled()));
    drop((first.pop(), other));
    large(OFFICE, 102).unwrap();
}

#[test]
fn a_session_has_one_long_response_and_the_newest_wins() {
    for bytes in [LONG + 1, LARGE + 1] {
        let bodies = Bodies::new();
        let mut lists: Vec<_> =
            (0..100).map(|number| list(&bodies, OFFICE, (1, number), bytes).unwrap()).collect();
        let last = lists.pop().unwrap();
        assert!(lists.iter().all(|list| list.close.is_cancelled()), "{bytes}");
        assert!(!last.close.is_cancelled());
        let taken = usize::from(bytes > LARGE);
        assert_eq!(bodies.large.free(), MAX_LARGE - taken, "places are free at once");

        let next = list(&bodies, OFFICE, (1, 99), bytes).unwrap();
        assert!(!last.close.is_cancelled(), "it is the same connection");
        drop((lists, last, next));
        assert_eq!((bodies.large.free(), bodies.limiter.free()), (MAX_LARGE, BUDGET / UNIT));
        assert!(bodies.unsent.slots().is_empty());
    }
}

#[test]
fn a_long_response_counts_until_it_is_sent_and_can_be_evicted() {
    let bodies = Bodies::with_budget(2 * LONG);
    let short = list(&bodies, OFFICE, (1, 1), LONG).unwrap();
    assert_eq!(bodies.limiter.free(), 2 * LONG / UNIT, "a short answer does not count");

    let long = list(&bodies, OFFICE, (2, 2), LONG + 1).unwrap();
    assert_eq!(bodies.limiter.free(), LONG / UNIT - 1);
    let other = list(&bodies, "192.0.2.2", (3, 3), LONG + 1).unwrap();

    let closed = [&short, &long, &other].map(|list| list.close.is_cancelled());
    assert_eq!(closed, [false, true, false], "nobody reads the oldest");
}
