//! Who serves a session.

use super::*;

#[test]
fn the_client_moves_a_session_with_its_tag() {
    let mut site = Site::serving(1);
    site.wait(1000);
    let now = site.now;

    let found = site.at(2).take_over(&[tag(9), tag(1)], now);
    site.wait(100);

    assert_eq!(found.map(|grant| grant.agent), Some(agent(1)));
    assert_eq!(site.server(1), [2]);
    assert_eq!([1, 2, 3].map(|id| site.claim(id, 1)), [Some((2, 2)); 3]);
    assert!(site.outputs.contains(&(1, Output::HandOver(key(1)))));
}

#[test]
fn a_gateway_that_hears_the_client_keeps_the_session() {
    let mut site = Site::serving(1);
    site.wait_heard(1, 1000);
    let serving = Statement::Serving { key: key(1), term: Term(7), is_silent: false };

    site.lie(&[1], &[serving, Statement::Ended { key: key(1), term: Term(7) }]);
    site.wait(100);

    assert_eq!(site.server(1), [1]);
    assert_eq!(site.claim(2, 1), Some((8, 1)));
}

#[test]
fn a_gateway_that_has_not_heard_the_client_for_a_second_accepts_a_claim() {
    let mut site = Site::serving(1);
    site.wait(1000);

    site.lie(&[1], &[Statement::Serving { key: key(1), term: Term(1), is_silent: false }]);

    assert_eq!(site.server(1), [0; 0]);
    assert_eq!(site.claim(1, 1), Some((1, 3)), "the higher id wins in the same term");
}

#[test]
fn a_term_that_is_too_high_is_refused() {
    let mut site = Site::serving(1);
    site.wait(1000);
    let serving = |term| vec![Statement::Serving { key: key(1), term, is_silent: false }];

    site.lie(&[1], &serving(Term(1002)));
    assert_eq!(site.claim(1, 1), Some((1, 1)));

    let mut other = Site::serving(1);
    other.wait(1000);
    other.lie(&[1], &serving(Term(1001)));
    assert_eq!(other.claim(1, 1), Some((1001, 3)));
}

#[test]
fn only_the_serving_gateway_reports_flows_and_ends() {
    let mut site = Site::serving(1);
    site.wait(1000);
    let now = site.now;
    site.at(2).take_over(&[tag(1)], now).unwrap();
    site.wait(2000);
    let (key, term) = (key(1), Term(1));
    let moved = Statement::Flows { key, term, flows: flows(1, 6666) };

    site.lie(&[1, 2], &[moved, Statement::Ended { key, term }]);

    assert_eq!(site.server(1), [2]);
    assert_eq!([1, 2].map(|id| site.claim(id, 1)), [Some((2, 2)); 2]);
    assert_eq!(site.at(1).view(key).unwrap().flows, &flows(1, 5000));
}

#[test]
fn flows_of_another_agent_are_refused() {
    let mut site = Site::serving(1);
    let elsewhere = AgentFlow { from: address("198.51.100.1:4172"), spi: spi(5) };
    let invented = Flows { agent: vec![elsewhere], ..flows(1, 5000) };
    let (key, term) = (key(1), Term(2));

    site.lie(
        &[2],
        &[
            Statement::Serving { key, term, is_silent: true },
            Statement::Flows { key, term, flows: invented },
        ],
    );

    let known = site.at(2).view(key).unwrap();
    assert_eq!((known.flows.client.len(), known.flows.agent.len()), (1, 0));
}

#[test]
fn peers_create_no_sessions() {
    let mut site = Site::new();
    let (key, term) = (key(1), Term(1));

    site.lie(
        &[2],
        &[
            Statement::Serving { key, term, is_silent: true },
            Statement::Flows { key, term, flows: flows(1, 5000) },
            Statement::Ended { key, term },
        ],
    );

    assert_eq!((site.at(2).views().count(), site.at(2).tombstones()), (0, 0));
}

#[test]
fn a_lower_claim_is_contradicted() {
    let mut site = Site::serving(1);
    site.wait(1000);
    let now = site.now;
    site.at(2).take_over(&[tag(1)], now).unwrap();
    site.wait(1000);
    let (key, claim) = (key(1), Claim { term: Term(2), gateway: GatewayId(2) });

    site.lie(&[1, 2], &[Statement::Serving { key, term: Term(1), is_silent: false }]);
    let [known, serving] = [1, 2].map(|id| batch(&mut site, id));

    assert_eq!(known, [Statement::Known { key, claim, flows: Flows::default() }]);
    assert!(serving.contains(&Statement::Serving { key, term: Term(2), is_silent: true }));
}

#[test]
fn a_claim_that_only_one_gateway_hears_reaches_the_former_server() {
    let mut site = Site::serving(1);
    site.wait_heard(1, 500);
    site.lie(&[2], &[Statement::Serving { key: key(1), term: Term(1), is_silent: false }]);
    assert_eq!(site.claim(2, 1), Some((1, 3)));

    site.wait_heard(1, 500);

    assert_eq!(site.server(1), [1]);
    assert_eq!(site.claim(2, 1), Some((2, 1)));
}

/// The statements of the gateway's next batch.
fn batch(site: &mut Site, id: u16) -> Vec<Statement> {
    let now = site.now;
    site.at(id).tick(now);
    let batch = |output| match output {
        Output::Send(_, Frame { content: Content::Batch(statements), .. }) => Some(statements),
        _ => None,
    };
    site.at(id).take_outputs().into_iter().find_map(batch).unwrap_or_default()
}
