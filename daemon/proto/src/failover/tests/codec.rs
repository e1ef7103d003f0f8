//! Frames on the wire.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::gateway::canonical;

fn any_address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>())
        .prop_map(|(ip, port)| canonical(SocketAddr::new(ip, port)))
}

fn any_flows() -> impl Strategy<Value = Flows> {
    let client = (any_address(), any::<[u8; 4]>(), any_address());
    let client =
        client.prop_map(|(from, spi, to)| ClientFlow { from, spi: Spi::from_bytes(spi), to });
    let agent = (any_address(), any::<[u8; 4]>());
    let agent = agent.prop_map(|(from, spi)| AgentFlow { from, spi: Spi::from_bytes(spi) });
    (vec(client, 0..=4), vec(agent, 0..=4)).prop_map(|(client, agent)| Flows { client, agent })
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let key = any::<u8>().prop_map(key);
    let term = any::<u64>().prop_map(Term);
    let claim = (any::<u64>(), any::<u16>());
    let claim = claim.prop_map(|(term, id)| Claim { term: Term(term), gateway: GatewayId(id) });
    prop_oneof![
        any::<u8>().prop_map(|number| Statement::Grant(grant(number))),
        (key.clone(), term.clone(), any::<bool>())
            .prop_map(|(key, term, is_silent)| Statement::Serving { key, term, is_silent }),
        (key.clone(), term.clone(), any_flows()).prop_map(|(key, term, flows)| Statement::Flows {
            key,
            term,
            flows
        }),
        (key.clone(), term).prop_map(|(key, term)| Statement::Ended { key, term }),
        (key, claim, any_flows()).prop_map(|(key, claim, flows)| Statement::Known {
            key,
            claim,
            flows
        }),
    ]
}

fn any_content() -> impl Strategy<Value = Content> {
    let position = (any::<u64>(), any::<u64>());
    let position = position.prop_map(|(boot, sequence)| Position { boot: BootId(boot), sequence });
    prop_oneof![
        any::<bool>().prop_map(Content::Heartbeat),
        vec(any_statement(), 0..8).prop_map(Content::Batch),
        (any::<u64>(), option::of(position))
            .prop_map(|(number, received)| Content::Resync { number, received }),
        (any::<u64>(), any::<u64>(), vec(any_statement(), 0..8)).prop_map(
            |(to, number, statements)| Content::Snapshot { to: BootId(to), number, statements }
        ),
    ]
}

/// More statements than any of these frames has.
const MANY: usize = 1000;

/// A verifier for the tokens of the tests, which are numbers.
fn verified(token: &str) -> Option<Grant> {
    Some(grant(token.strip_prefix("token")?.parse().ok()?))
}

proptest! {
    #[test]
    fn frames_are_parsed_as_they_are_written(
        boot: u64, sequence: u64, content in any_content(), cut in any::<prop::sample::Index>(),
    ) {
        let frame = Frame { boot: BootId(boot), sequence, content };
        let bytes = frame.encode();

        let read = Frame::decode(&bytes, MANY, verified);
        prop_assert_eq!(read.as_ref(), Ok(&frame));

        let truncated = Frame::decode(&bytes[..cut.index(bytes.len())], MANY, verified);
        let is_shorter = match (&truncated, &frame.content) {
            // Statements have no count: the frame has a length on the wire.
            (Ok(read), Content::Batch(_) | Content::Snapshot { .. }) => *read != frame,
            (Ok(_), _) => false,
            (Err(error), _) => *error == Malformed::Truncated,
        };
        prop_assert!(is_shorter, "{truncated:?}");
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in vec(any::<u8>(), 0..200), kind in 0..4_u8) {
        let _ = Frame::decode(&bytes, MANY, verified);
        let _ = Frame::decode(&[&[1, kind], bytes.as_slice()].concat(), MANY, verified);
    }
}

#[test]
fn invalid_frames_are_refused_with_their_reason() {
    let heartbeat = Frame { boot: BootId(1), sequence: 2, content: Content::Heartbeat(true) };
    let bytes = heartbeat.encode();
    let changed = |at: usize, to: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = to;
        Frame::decode(&bytes, MANY, verified)
    };

    assert_eq!(changed(0, 2), Err(Malformed::Version(2)));
    assert_eq!(changed(1, 4), Err(Malformed::Invalid));
    assert_eq!(changed(18, 2), Err(Malformed::Invalid));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Frame::decode(&longer, MANY, verified), Err(Malformed::Trailing));
}

#[test]
fn refused_grants_are_left_out() {
    let ended = Statement::Ended { key: key(1), term: Term(1) };
    let content = Content::Batch(vec![Statement::Grant(grant(1)), ended.clone()]);
    let bytes = Frame { boot: BootId(1), sequence: 1, content }.encode();

    let read = Frame::decode(&bytes, MANY, |_| None).unwrap();

    assert_eq!(read.content, Content::Batch(vec![ended]));
}

#[test]
fn refused_grants_count_as_statements() {
    let ended = Statement::Ended { key: key(1), term: Term(1) };
    let statements = vec![Statement::Grant(grant(1)), Statement::Grant(grant(2)), ended];
    let bytes = [
        Content::Batch(statements.clone()),
        Content::Snapshot { to: BootId(1), number: 1, statements },
    ]
    .map(|content| Frame { boot: BootId(1), sequence: 1, content }.encode());

    for bytes in bytes {
        let mut verified = 0;
        let refuse = |_: &str| {
            verified += 1;
            None
        };
        assert_eq!(Frame::decode(&bytes, 1, refuse), Err(Malformed::TooMany(1)));
        assert_eq!(verified, 1, "nothing beyond the limit is verified");
        assert!(Frame::decode(&bytes, 3, |_| None).is_ok());
    }
}

/// The token of a grant with a signature of RSA-2048 has at most 1.2 KiB.
#[test]
fn a_snapshot_of_five_thousand_sessions_has_less_than_8_mb() {
    let statements = (0..5000).flat_map(|_| {
        let grant = Grant { token: "x".repeat(1200).into(), ..grant(1) };
        let flows = Flows {
            client: vec![flows(1, 5000).client[0]; 2],
            agent: vec![flows(1, 5000).agent[0]; 2],
        };
        let serving = Statement::Serving { key: key(1), term: Term(1), is_silent: false };
        [Statement::Grant(grant), serving, Statement::Flows { key: key(1), term: Term(1), flows }]
    });
    let content = Content::Snapshot { to: BootId(1), number: 1, statements: statements.collect() };

    let bytes = Frame { boot: BootId(1), sequence: 1, content }.encode();

    assert!(bytes.len() < 8_000_000, "{}", bytes.len());
}
