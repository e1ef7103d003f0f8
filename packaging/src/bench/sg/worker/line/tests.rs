use super::{
    super::super::wire::{CHANNEL, SHARED_AGENT, agent_ip},
    *,
};

const GATEWAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 2, 1), 55_000);

fn relay(id: u8, kind: Kind) -> Relay {
    let clients = SocketAddrV4::new(Ipv4Addr::new(10, 9, 1, 1), 4172);
    Relay { id, kind, clients, tls: None }
}

fn state(side: Side, relay: Relay) -> State {
    let mut state = State::new(side);
    state.relays.insert(relay.id, Known::new(relay));
    state
}

fn datagram(purpose: Purpose, session: u32) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    Mark { relay: 1, purpose, run: 0, session, sent: 1000 }.write(1, 1, &mut bytes);
    bytes
}

fn received(bytes: &[u8], from: SocketAddrV4, at: Ipv4Addr) -> Received<'_> {
    Received { bytes, from, at, now: 1500 }
}

#[test]
fn an_agent_learns_its_peer_from_the_hello_and_counts_only_its_datagrams() {
    let mut agents = state(Side::Agents, relay(1, Kind::Routing));
    let hello = datagram(Purpose::Hello, 7);

    let (mark, route) = agents.take(received(&hello, GATEWAY, agent_ip(7))).unwrap();

    assert_eq!((mark.session, route.to, route.from), (7, GATEWAY, agent_ip(7)));
    let data = datagram(Purpose::Data, 7);
    let stranger = SocketAddrV4::new(*GATEWAY.ip(), 1);
    let unknown = datagram(Purpose::Data, 8);
    let none = datagram(Purpose::Data, 0);
    let table = [
        (received(&data, GATEWAY, agent_ip(7)), true),
        (received(&data, GATEWAY, agent_ip(8)), false),
        (received(&data, stranger, agent_ip(7)), false),
        (received(&unknown, GATEWAY, agent_ip(8)), false),
        (received(&none, GATEWAY, agent_ip(0)), false),
        (received(&data[1..], GATEWAY, agent_ip(7)), false),
        (received(&[7; SIZE], GATEWAY, agent_ip(7)), false),
        (received(b"", GATEWAY, agent_ip(7)), false),
    ];
    for (datagram, right) in table {
        let before = (agents.received, agents.wrong);
        assert!(agents.take(datagram).is_none());
        let after = (agents.received - before.0, agents.wrong - before.1);
        assert_eq!(after, if right { (1, 0) } else { (0, 1) }, "{datagram:?}");
    }
    assert_eq!(agents.delays, [500]);
}

#[test]
fn a_datagram_of_an_earlier_run_is_neither_counted_nor_wrong() {
    let mut agents = state(Side::Agents, relay(1, Kind::Routing));
    agents.take(received(&datagram(Purpose::Hello, 1), GATEWAY, agent_ip(1)));
    agents.run = 2;

    agents.take(received(&datagram(Purpose::Data, 1), GATEWAY, agent_ip(1)));

    assert_eq!((agents.received, agents.wrong), (0, 0));
}

#[test]
fn a_proxy_may_replace_a_session_but_not_mix_two() {
    let mut agents = state(Side::Agents, relay(1, Kind::Proxy));
    let port = |port| SocketAddrV4::new(*GATEWAY.ip(), port);
    for (session, from) in [(1, port(1)), (2, port(2))] {
        agents.take(received(&datagram(Purpose::Hello, session), from, SHARED_AGENT));
    }

    agents.take(received(&datagram(Purpose::Data, 1), port(3), SHARED_AGENT));
    assert_eq!((agents.received, agents.wrong), (1, 0), "a new port");
    agents.take(received(&datagram(Purpose::Data, 1), port(2), SHARED_AGENT));

    assert_eq!((agents.received, agents.wrong), (1, 1), "the port of the other session");
}

#[test]
fn a_client_of_a_turn_server_gets_datagrams_in_its_channel() {
    let turn = relay(1, Kind::Turn);
    let server = turn.clients;
    let mut clients = state(Side::Clients, turn);
    let bare = datagram(Purpose::Welcome, 3);
    let framed = [CHANNEL.as_slice(), &bare].concat();

    clients.take(received(&bare, server, client_ip(3)));
    assert_eq!(clients.wrong, 1, "without the header of its channel");
    clients.take(received(&framed, server, client_ip(3)));

    assert_eq!(clients.wrong, 1);
    assert_eq!(clients.relays[&1].route(Side::Clients, 3).unwrap().prefix, CHANNEL);
}
