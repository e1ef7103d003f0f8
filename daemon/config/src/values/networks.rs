//! IP networks in CIDR notation.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::{BadValue, bad};

/// A network; a single address is a network with only that address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(network), _) => Ok(Self(network.trunc())),
            (_, Ok(address)) => Ok(Self(address.into())),
            _ => bad(text, wanted(text)),
        }
    }
}

/// The expected format for an invalid network, as specific as possible.
fn wanted(text: &str) -> &'static str {
    const NETWORK: &str = "a network `IP/BITS` or an IP address";
    if text.contains([',', ';', ' ']) {
        return "one network `IP/BITS` or one IP address";
    }
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let parts: Vec<_> = address.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_padded = parts.iter().any(|part| part.len() > 1 && part.starts_with('0'));
    match address.parse::<IpAddr>() {
        Ok(_) if bits.parse::<IpAddr>().is_ok() => {
            "a network `IP/BITS`: netmasks are not supported"
        }
        Ok(IpAddr::V4(_)) if bits.parse::<u32>().is_ok() => "a network: IPv4 has at most 32 bits",
        Ok(IpAddr::V6(_)) if bits.parse::<u32>().is_ok() => "a network: IPv6 has at most 128 bits",
        Err(_) if parts.len() == 4 && parts.iter().all(is_number) && is_padded => {
            "an address without leading zeros"
        }
        _ => NETWORK,
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
    fn an_invalid_network_gets_a_specific_error() {
        let table = [
            ("10.0.0.0/8,10.1.0.0/16", "one network `IP/BITS` or one IP address"),
            ("10.0.0.0/255.0.0.0", "a network `IP/BITS`: netmasks are not supported"),
            ("10.0.0.0/33", "a network: IPv4 has at most 32 bits"),
            ("2001:db8::/129", "a network: IPv6 has at most 128 bits"),
            ("010.0.0.1", "an address without leading zeros"),
            ("10.0.0", "a network `IP/BITS` or an IP address"),
            ("desk.example/8", "a network `IP/BITS` or an IP address"),
        ];
        for (text, wanted) in table {
            let error = text.parse::<Network>().unwrap_err().to_string();

            assert_eq!(error, format!("`{text}` is not {wanted}"));
        }
    }

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
