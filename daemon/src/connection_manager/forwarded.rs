//! The address of a client behind proxies. `X-Forwarded-For` is only accepted from trusted proxies,
//! since anyone else could claim any address.

use std::{collections::HashSet, net::IpAddr, time::Duration};

use cmsg_proto::{Time, shares::Source};
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Each proxy appends the address of its client to this header.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of `TrustedProxies`.
#[derive(Debug, Clone, Default)]
pub(super) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// The client's address: the first one, from the right, that does not belong to a trusted
    /// proxy. An entry that is not an address ends the search.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ForwardedClient {
        let lines = headers.get_all(HEADER).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or(UNREADABLE).rsplit(','));
        let mut client = peer;
        for hop in hops.map(str::trim).filter(|hop| !hop.is_empty()) {
            if !self.contains(client) {
                break;
            }
            let Some(address) = address(hop) else {
                return ForwardedClient {
                    client,
                    unreadable: Some(hop.chars().take(MAX_ENTRY).collect()),
                };
            };
            client = address;
        }
        ForwardedClient { client, unreadable: None }
    }
}

/// The result of reading the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForwardedClient {
    pub(super) client: IpAddr,
    /// The invalid entry that ended the search. The trusted proxy that wrote it then counts as the
    /// client.
    pub(super) unreadable: Option<String>,
}

/// Logged length of an invalid entry.
const MAX_ENTRY: usize = 64;

/// Logged instead of a header line that is not ASCII text.
const UNREADABLE: &str = "?";

/// Parses an address as proxies write it: plain, with a port, in brackets or in quotes.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('"').and_then(|hop| hop.strip_suffix('"')).unwrap_or(hop).trim();
    let host = match bare.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            is_port_or_nothing(port).then_some(host)?
        }
        None => match bare.split_once(':') {
            Some((host, port)) if !port.contains(':') => port.parse::<u16>().ok().map(|_| host)?,
            _ => bare,
        },
    };
    host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn is_port_or_nothing(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Peers whose header is ignored, so that the log mentions each only once.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    peers: HashSet<Source>,
    since: Time,
}

impl Ignored {
    /// Maximum number of remembered peers, since anyone can send the header.
    const MOST: usize = 1024;
    /// How long peers are remembered at least.
    const LEAST: Duration = Duration::from_hours(1);

    /// Whether this peer should be logged: it was not logged before, and not too many others were.
    pub(super) fn is_new(&mut self, peer: IpAddr, now: Time) -> bool {
        if self.peers.len() >= Self::MOST {
            if now.since(self.since) < Self::LEAST {
                return false;
            }
            self.peers.clear();
        }
        if self.peers.is_empty() {
            self.since = now;
        }
        self.peers.insert(Source::of(peer))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let lines = lines.iter().map(|line| HeaderValue::from_bytes(line).unwrap());
        lines.map(|line| (HEADER, line)).collect()
    }

    fn proxies() -> TrustedProxies {
        let networks = ["10.0.0.0/8", "2001:db8:f::/48"];
        TrustedProxies::new(networks.map(|network| network.parse().unwrap()).to_vec())
    }

    #[test]
    fn behind_a_trusted_proxy_the_client_is_the_last_untrusted_address() {
        let table: [(&[&[u8]], &str); 12] = [
            (&[], "10.0.0.1"),
            (&[b"198.51.100.1"], "198.51.100.1"),
            (&[b"203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            (&[b"203.0.113.9,198.51.100.1 , 10.7.0.1"], "198.51.100.1"),
            (&[b"203.0.113.9", b"198.51.100.1", b"10.7.0.1, 2001:db8:f::2"], "198.51.100.1"),
            (&[b"10.0.0.9, 10.0.0.8"], "10.0.0.9"),
            (&[b"198.51.100.1, unknown"], "10.0.0.1"),
            (&[b"198.51.100.1, unknown, 10.0.0.7"], "10.0.0.7"),
            (&[b"198.51.100.1", b"\xff"], "10.0.0.1"),
            (&[b"198.51.100.1,", b""], "198.51.100.1"),
            (&[b"198.51.100.1, 1.2.3"], "10.0.0.1"),
            (&[b"198.51.100.1, ::ffff:10.0.0.3"], "198.51.100.1"),
        ];
        for (lines, client) in table {
            let found = proxies().client(ip("10.0.0.1"), &headers(lines));
            assert_eq!(found.client, ip(client), "{lines:?}");
        }
    }

    #[test]
    fn an_invalid_entry_of_a_trusted_proxy_is_reported() {
        let long = "x".repeat(1000);
        let table: [(&[&[u8]], Option<&str>); 7] = [
            (&[], None),
            (&[b"198.51.100.1"], None),
            (&[b"unknown, 198.51.100.1"], None),
            (&[b"198.51.100.1, unknown, 10.0.0.7"], Some("unknown")),
            (&[b"198.51.100.1, 1.2.3"], Some("1.2.3")),
            (&[b"\xff"], Some("?")),
            (&[long.as_bytes()], Some(&long[..64])),
        ];
        for (lines, entry) in table {
            let found = proxies().client(ip("10.0.0.1"), &headers(lines));
            assert_eq!(found.unreadable.as_deref(), entry, "{lines:?}");
        }
        let stranger = proxies().client(ip("198.51.100.7"), &headers(&[b"unknown"]));
        assert_eq!(stranger, ForwardedClient { client: ip("198.51.100.7"), unreadable: None });
    }

    #[test]
    fn a_client_cannot_choose_its_address() {
        let table = [("198.51.100.7", proxies()), ("10.0.0.1", TrustedProxies::default())];
        for (peer, proxies) in table {
            let found = proxies.client(ip(peer), &headers(&[b"203.0.113.9, 10.0.0.2"]));
            assert_eq!(found.client, ip(peer));
        }
    }

    #[test]
    fn addresses_are_parsed_in_every_form_of_proxies() {
        let table = [
            ("203.0.113.9", Some("203.0.113.9")),
            ("203.0.113.9:51324", Some("203.0.113.9")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("[2001:db8::7]:443", Some("2001:db8::7")),
            ("\"[2001:db8::7]:443\"", Some("2001:db8::7")),
            ("\"203.0.113.9\"", Some("203.0.113.9")),
            ("[::ffff:203.0.113.9]:1", Some("203.0.113.9")),
            ("203.0.113.9:", None),
            ("203.0.113.9:99999", None),
            ("203.0.113.9:1:2", None),
            ("[2001:db8::7]443", None),
            ("[2001:db8::7", None),
            ("203.0.113", None),
            ("host.example", None),
            ("_hidden", None),
            ("\"", None),
        ];
        for (text, read) in table {
            assert_eq!(address(text), read.map(ip), "{text}");
        }
    }

    #[test]
    fn each_peer_is_logged_once_and_their_number_is_bounded() {
        let mut ignored = Ignored::default();
        let at = |minutes: u64| Time::from_millis(minutes * 60_000);
        assert!(ignored.is_new(ip("192.0.2.1"), at(1)));
        assert!(!ignored.is_new(ip("192.0.2.1"), at(500)));

        for number in (0x0a00_0000_u32..).take(Ignored::MOST - 1) {
            assert!(ignored.is_new(IpAddr::V4(number.into()), at(2)));
        }
        assert!(!ignored.is_new(ip("192.0.2.2"), at(60)));
        assert!(ignored.is_new(ip("192.0.2.2"), at(61)));
        assert_eq!(ignored.peers.len(), 1);
    }
}
