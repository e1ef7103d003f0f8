//! Takeover by a datagram, and the sources of a client without a control connection.

use super::*;

const ELSEWHERE: Verdict = Verdict::Drop(Dropped::Elsewhere);

/// Gateway 1 is lost, and gateway 2 has taken its session over.
fn taken_over() -> Site {
    let mut site = Site::serving(1);
    site.lost = vec![1];
    site.wait(1100);
    assert_eq!(site.send(2, 1, 5000), Verdict::Relay(key(1), spi(0xc0de_0001), agent(1)));
    site
}

#[test]
fn the_first_datagram_after_the_lease_is_relayed() {
    let mut site = Site::serving(1);
    site.wait_heard(1, 500);
    site.lost = vec![1];
    site.wait(500);
    assert_eq!(site.send(2, 1, 5000), ELSEWHERE);
    site.wait(600);

    assert_eq!(site.send(2, 1, 5000), Verdict::Relay(key(1), spi(0xc0de_0001), agent(1)));
    site.wait(100);

    let taken = Output::TakeOver(grant(1), flows(1, 5000));
    assert!(site.outputs.contains(&(2, taken)));
    assert_eq!(site.claim(3, 1), Some((2, 2)));
}

#[test]
fn a_gateway_that_reports_silence_loses_the_session() {
    let mut site = Site::serving(1);
    site.wait_heard(1, 500);
    assert_eq!(site.send(2, 1, 5000), ELSEWHERE);
    site.wait(1100);

    assert_eq!(site.send(2, 1, 5000), Verdict::Relay(key(1), spi(0xc0de_0001), agent(1)));
}

#[test]
fn only_an_exact_flow_at_a_shared_address_takes_over() {
    let mut site = Site::serving(1);
    site.lost = vec![1];
    site.wait(1100);
    let (now, words) = (site.now, words(0xc0de_0001));
    let own = address("203.0.113.2:4172");

    let verdicts = [
        site.send(2, 1, 5001),
        site.at(2).datagram(Side::Client, (client(5000), own), words, now),
        site.at(2).datagram(Side::Client, (address("192.0.2.9:5000"), shared()), words, now),
        site.send(2, 7, 5000),
    ];

    let unknown = Verdict::Drop(Dropped::Unknown);
    assert_eq!(verdicts, [ELSEWHERE, ELSEWHERE, unknown, unknown]);
    assert_eq!(site.server(1), [1], "gateway 1 is lost");
}

#[test]
fn the_client_may_change_its_port_after_a_second_and_return_at_once() {
    let mut site = taken_over();
    let other_source = Verdict::Drop(Dropped::OtherSource);
    let relayed = Verdict::Relay(key(1), spi(0xc0de_0001), agent(1));
    site.wait(900);
    assert_eq!(site.send(2, 1, 5001), other_source);
    site.wait(100);
    assert_eq!(site.send(2, 1, 5001), relayed);
    assert_eq!(site.send(2, 1, 5002), other_source);

    assert_eq!(site.send(2, 1, 5000), relayed);

    assert_eq!(site.send(2, 1, 5001), other_source);
}

#[test]
fn the_agent_answers_the_source_of_the_latest_datagram() {
    let mut site = taken_over();
    let (now, words) = (site.now, words(0x0100_dec0));
    let answer =
        |site: &mut Site| site.at(2).datagram(Side::Agent, (agent(1), shared()), words, now);
    assert_eq!(answer(&mut site), Verdict::Relay(key(1), spi(0x0100_dec0), client(5000)));
    site.wait(1000);
    site.send(2, 1, 5001);

    assert_eq!(answer(&mut site), Verdict::Relay(key(1), spi(0x0100_dec0), client(5001)));
}

#[test]
fn an_inherited_agent_must_not_change_its_port_but_that_of_a_control_connection_may() {
    let mut site = taken_over();
    let (now, words) = (site.now, words(0x0100_dec0));
    let other = address("10.0.0.1:4173");
    let answer = |site: &mut Site| site.at(2).datagram(Side::Agent, (other, shared()), words, now);
    assert_eq!(answer(&mut site), Verdict::Drop(Dropped::OtherSource));

    site.at(2).take_over(&[tag(1)], now).unwrap();

    assert_eq!(answer(&mut site), Verdict::Admitted(key(1), None));
}

#[test]
fn addresses_with_replicated_flows_are_reported_once() {
    let mut site = Site::new();
    site.at(2).take_addresses();
    site.announce(1);
    let ip = client(5000).ip();
    assert_eq!(site.at(2).take_addresses(), [(ip, true)]);
    site.announce(2);
    site.at(1).ended(key(1));
    site.wait(100);
    assert_eq!(site.at(2).take_addresses(), []);

    site.at(1).ended(key(2));
    site.wait(100);

    assert_eq!(site.at(2).take_addresses(), [(ip, false)]);
}

#[test]
fn neighbours_with_the_same_spi_are_not_confused() {
    let mut site = Site::serving(1);
    let now = site.now;
    site.at(1).announced(grant(2), now).unwrap();
    site.at(1).flows(key(2), flows(1, 5001));
    site.wait(100);
    site.lost = vec![1];
    site.wait(1100);

    let verdicts = [5000, 5001, 5002].map(|port| site.send(2, 1, port));

    assert_eq!(verdicts, [Verdict::Drop(Dropped::Ambiguous); 3]);
}

#[test]
fn a_control_connection_ends_the_inheritance() {
    let mut site = taken_over();
    let now = site.now;

    site.at(2).take_over(&[tag(1)], now).unwrap();

    let spi = spi(0xc0de_0001);
    assert_eq!(site.send(2, 1, 5000), Verdict::Admitted(key(1), Some(spi)));
    assert_eq!(site.send(2, 1, 5001), Verdict::Admitted(key(1), None));
}
