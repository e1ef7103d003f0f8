use super::*;

fn allowed(networks: &[&str]) -> AllowedAgents {
    AllowedAgents::new(networks.iter().map(|network| network.parse().unwrap()).collect())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The addresses of the gateway in these tests.
fn is_own(address: IpAddr) -> bool {
    [ip("203.0.113.7"), ip("2001:db8::7")].contains(&address)
}

#[test]
fn special_and_own_addresses_are_refused_in_any_spelling() {
    use Kind::{Broadcast, LinkLocal, Loopback, Multicast, Own, Unspecified};
    let table = [
        ("10.0.0.5", None),
        ("192.0.2.1", None),
        ("2001:db8::5", None),
        ("fd00::5", None),
        ("::ffff:10.0.0.5", None),
        ("64:ff9b::10.0.0.5", None),
        ("64:ff9b:1:a00:0:500::", None),
        ("127.0.0.1", Some(Loopback)),
        ("127.8.9.10", Some(Loopback)),
        ("::1", Some(Loopback)),
        ("::ffff:127.0.0.1", Some(Loopback)),
        ("::127.0.0.1", Some(Loopback)),
        ("::ffff:0:127.0.0.1", Some(Loopback)),
        ("64:ff9b::127.0.0.1", Some(Loopback)),
        ("64:ff9b:1::127.0.0.1", Some(Loopback)),
        ("64:ff9b:1:7f00:0:100::", Some(Loopback)),
        ("2002:7f00:1::1", Some(Loopback)),
        ("2001:0:7f00:1::", Some(Loopback)),
        ("2001:0:c000:201::80ff:fffe", Some(Loopback)),
        ("169.254.169.254", Some(LinkLocal)),
        ("::ffff:169.254.169.254", Some(LinkLocal)),
        ("fe80::1", Some(LinkLocal)),
        ("febf::1", Some(LinkLocal)),
        ("2002:a9fe:a9fe::", Some(LinkLocal)),
        ("224.0.0.1", Some(Multicast)),
        ("ff02::1", Some(Multicast)),
        ("0.0.0.0", Some(Unspecified)),
        ("0.0.0.1", Some(Unspecified)),
        ("::", Some(Unspecified)),
        ("::ffff:0.0.0.0", Some(Unspecified)),
        ("255.255.255.255", Some(Broadcast)),
        ("203.0.113.7", Some(Own)),
        ("2001:db8::7", Some(Own)),
        ("::ffff:203.0.113.7", Some(Own)),
        ("::203.0.113.7", Some(Own)),
        ("64:ff9b::203.0.113.7", Some(Own)),
        ("2002:cb00:7107::", Some(Own)),
    ];
    for (address, kind) in table {
        let judged = allowed(&["192.0.2.0/24"]).check(ip(address), is_own);

        assert_eq!(judged.err().map(|forbidden| forbidden.kind), kind, "{address}");
    }
}

#[test]
fn an_allowed_network_allows_any_address_in_it() {
    let table = [
        ("127.0.0.0/8", "127.0.0.1", true),
        ("127.0.0.0/8", "::ffff:127.0.0.1", true),
        ("::ffff:127.0.0.0/104", "127.0.0.1", true),
        ("127.0.0.0/8", "64:ff9b::127.0.0.1", false),
        ("64:ff9b::/96", "64:ff9b::127.0.0.1", true),
        ("127.0.0.1/32", "127.0.0.2", false),
        ("203.0.113.7/32", "203.0.113.7", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "127.0.0.1", false),
    ];
    for (network, address, is_allowed) in table {
        let judged = allowed(&[network]).check(ip(address), is_own);

        assert_eq!(judged.is_ok(), is_allowed, "{network}, {address}");
    }
}

#[test]
fn a_refusal_names_the_address_and_the_key() {
    let refused = allowed(&[]).check(ip("::ffff:127.0.0.1"), is_own).unwrap_err();

    assert_eq!(
        refused.to_string(),
        "the agent's address 127.0.0.1 is a loopback address, and `AllowedAgents` \
         (`--allowed-agents`) lacks it"
    );
}

#[test]
fn an_address_named_by_the_agent_needs_the_broker_or_an_allowed_network() {
    const REACHED: &str = "10.0.0.5:4172";
    let table = [
        // The usual response of an agent.
        (REACHED, REACHED),
        ("[::ffff:10.0.0.5]:4172", REACHED),
        // Another host or another port.
        ("10.0.0.9:4172", REACHED),
        ("10.0.0.5:22", REACHED),
        ("127.0.0.1:4172", REACHED),
        ("203.0.113.7:443", REACHED),
        ("169.254.169.254:80", REACHED),
        ("64:ff9b::10.0.0.5:1", REACHED),
        // The broker names the same address.
        ("10.0.0.6:4172", "10.0.0.6:4172"),
        ("10.0.0.6:22", "10.0.0.6:4172"),
        // A network allows the address.
        ("192.0.2.9:4172", "192.0.2.9:4172"),
        ("192.0.2.9:5000", "192.0.2.9:5000"),
    ];
    let reached = Reached { ip: ip("10.0.0.5"), named: Some(ip("10.0.0.6")), port: 4172 };
    for (said, chosen) in table {
        let said = said.parse().unwrap_or_else(|_| SocketAddr::new(ip("64:ff9b::10.0.0.5"), 1));

        let agent = allowed(&["192.0.2.0/24"]).choose(said, reached, is_own);

        assert_eq!(agent, chosen.parse().unwrap(), "{said}");
    }
}

#[test]
fn a_broker_cannot_name_an_address_that_only_a_network_allows() {
    let said = "127.0.0.1:4172".parse().unwrap();
    let reached = Reached { ip: ip("10.0.0.5"), named: Some(ip("127.0.0.1")), port: 14172 };
    let table = [(&[][..], "10.0.0.5:14172"), (&["127.0.0.0/8"], "127.0.0.1:4172")];
    for (networks, chosen) in table {
        let agent = allowed(networks).choose(said, reached, is_own);

        assert_eq!(agent, chosen.parse().unwrap(), "{networks:?}");
    }
}
