//! Networks, as an administrator writes them.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::{BadValue, bad};

/// A network, or an address as the network of that address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(network), _) => Ok(Self(network.trunc())),
            (_, Ok(address)) => Ok(Self(address.into())),
            _ => bad(text, "a network `IP/BITS` or an IP address"),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        let table = [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.5/8", Some("10.0.0.0/8")),
            ("10.0.0.5", Some("10.0.0.5/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::1", Some("::1/128")),
            ("10.0.0.0/33", None),
            ("10.0.0", None),
            ("desk.example", None),
        ];
        for (text, read) in table {
            let network = text.parse::<Network>().ok().map(|network| network.to_string());

            assert_eq!(network.as_deref(), read, "{text}");
        }
    }
}
