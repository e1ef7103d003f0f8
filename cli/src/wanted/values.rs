//! Values that only the installer reads.

use std::{fmt, net::IpAddr, str::FromStr};

use cmsg_config::values::{BadValue, Host, HostPort, Port};
use ipnet::Ipv4Net;

/// How a peer is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Https,
    Http,
    /// Something else over TCP.
    Tcp,
}

/// An address, not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ip(pub(super) IpAddr);

impl FromStr for Ip {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse().map(Self).map_err(|_| bad(text, "an IP address"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network(pub(super) Ipv4Net);

impl FromStr for Network {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let network: Option<Ipv4Net> = text.parse().ok();
        // Docker refuses an address of a host where it needs a network.
        let network = network.filter(|network| network.trunc() == *network);
        network.map(Self).ok_or_else(|| {
            bad(text, "a network such as `10.101.0.0/24` with only zero bits after the prefix")
        })
    }
}

/// A license server: a URL, or `PORT@HOST` as its own tools write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LicenseServer(String);

impl FromStr for LicenseServer {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let is_legacy = text.split_once('@').is_some_and(|(port, host)| {
            port.parse::<Port>().is_ok() && host.parse::<Host>().is_ok()
        });
        let is_url = text.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|a| !a.as_str().contains('@'))
        });
        if is_legacy || is_url {
            Ok(Self(text.to_owned()))
        } else {
            Err(bad(text, "a URL of the form `https://HOST:PORT`, or `PORT@HOST`"))
        }
    }
}

impl LicenseServer {
    /// Where it is and how it is asked.
    pub(crate) fn peer(&self) -> Option<(HostPort, Speaks)> {
        if let Some((port, host)) = self.0.split_once('@') {
            let Port(port) = port.parse().ok()?;
            return Some((HostPort { host: host.parse().ok()?, port }, Speaks::Tcp));
        }
        let uri: http::Uri = self.0.parse().ok()?;
        let is_secured = uri.scheme_str() == Some("https");
        let (usual, speaks) = if is_secured { (443, Speaks::Https) } else { (80, Speaks::Http) };
        let port = uri.port_u16().unwrap_or(usual);
        Some((HostPort { host: uri.host()?.parse().ok()?, port }, speaks))
    }
}

impl fmt::Display for LicenseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn bad(text: &str, wanted: &'static str) -> BadValue {
    BadValue { text: text.chars().take(80).collect(), wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_ends_with_its_prefix() {
        let table = [
            ("10.101.0.0/24", true),
            ("8.0.0.0/5", true),
            ("10.101.0.1/24", false),
            ("10.101.0.0", false),
            ("10.101.0.0/33", false),
            ("fd00::/64", false),
        ];
        for (text, is_read) in table {
            assert_eq!(text.parse::<Network>().is_ok(), is_read, "{text}");
        }
    }

    #[test]
    fn a_license_server_is_asked_as_it_is_written() {
        let table = [
            ("https://lls.example:7070/request", "lls.example:7070", Speaks::Https),
            ("https://lls.example", "lls.example:443", Speaks::Https),
            ("http://192.0.2.1/", "192.0.2.1:80", Speaks::Http),
            ("http://[2001:db8::1]:7070", "[2001:db8::1]:7070", Speaks::Http),
            ("2589@lls", "lls:2589", Speaks::Tcp),
        ];
        for (text, at, speaks) in table {
            let server: LicenseServer = text.parse().unwrap();

            assert_eq!(server.peer(), Some((at.parse().unwrap(), speaks)), "{text}");
        }
    }

    #[test]
    fn license_servers_are_urls_or_ports_at_hosts() {
        let table = [
            ("https://lls.example:7070", true),
            ("http://192.0.2.1:7070/request", true),
            ("2589@lls", true),
            ("lls.example", false),
            ("ftp://lls", false),
            ("https://user@lls", false),
            ("x@lls", false),
            ("https://a b", false),
        ];
        for (text, is_read) in table {
            assert_eq!(text.parse::<LicenseServer>().is_ok(), is_read, "{text}");
        }
    }
}
