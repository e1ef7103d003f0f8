//! Values that identify a peer: hosts, ports, URLs and certificate pins.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use cmsg_hostname::Hostname;

use super::{BadValue, Port, bad};

/// A host name or an IP address. IPv6 addresses have no brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host(String);

impl Host {
    /// The name or address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same name without the final dot of an absolute name.
    #[must_use]
    pub fn without_final_dot(&self) -> Self {
        Self(self.0.strip_suffix('.').unwrap_or(&self.0).to_owned())
    }
}

impl FromStr for Host {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let in_brackets = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let fits = match in_brackets {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => text.parse::<IpAddr>().is_ok() || text.parse::<Hostname>().is_ok(),
        };
        match fits {
            true => Ok(Self(in_brackets.unwrap_or(text).to_owned())),
            false => bad(text, "a host name or an IP address"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(&self.0) }
    }
}

/// `HOST:PORT`, with brackets around an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Host name or IP address.
    pub host: Host,
    /// Port, 1 to 65535.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let wanted = "`HOST:PORT`, with brackets around an IPv6 address";
        let Some((host, port)) = text.rsplit_once(':') else { return bad(text, wanted) };
        if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
            return bad(text, wanted);
        }
        match (host.parse(), port.parse::<Port>()) {
            (Ok(host), Ok(Port(port))) => Ok(Self { host, port }),
            _ => bad(text, wanted),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// URL of a connection broker: `https://HOST[:PORT]`, where the path [`BrokerUrl::PATH`] is
/// optional. Two URLs are equal if they name the same host and port, in any spelling.
#[derive(Debug, Clone)]
pub struct BrokerUrl(pub HostPort);

impl BrokerUrl {
    /// Path of the broker protocol.
    pub const PATH: &str = "/pcoip-broker/xml";

    /// Host in canonical spelling, and port.
    fn canonical(&self) -> (String, u16) {
        let host = self.0.host.without_final_dot();
        let address = host.as_str().parse::<IpAddr>().map(|address| address.to_string());
        (address.unwrap_or_else(|_| host.as_str().to_ascii_lowercase()), self.0.port)
    }
}

impl PartialEq for BrokerUrl {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for BrokerUrl {}

impl FromStr for BrokerUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let wanted = "a URL of the form `https://HOST[:PORT]`";
        let Ok(uri) = text.parse::<http::Uri>() else { return bad(text, wanted) };
        // `Uri` silently drops a fragment.
        if uri.scheme_str() != Some("https")
            || text.contains('#')
            || uri.query().is_some()
            || !["", "/", Self::PATH].contains(&uri.path())
        {
            return bad(text, wanted);
        }
        let Some(authority) = uri.authority() else { return bad(text, wanted) };
        // `Uri` ignores an invalid port.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => Ok(Port(443)),
            Some(rest) => rest.strip_prefix(':').unwrap_or_default().parse(),
            None => return bad(text, wanted),
        };
        match (authority.host().parse(), port) {
            (Ok(host), Ok(Port(port))) => Ok(Self(HostPort { host, port })),
            _ => bad(text, wanted),
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port == 443 {
            write!(f, "https://{}", self.0.host)
        } else {
            write!(f, "https://{}", self.0)
        }
    }
}

/// SHA-256 of a peer's certificate or of its public key (DER of the SubjectPublicKeyInfo). Written
/// as `sha256:` and 64 hexadecimal digits, optionally separated by colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin(pub [u8; 32]);

impl FromStr for Pin {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let wanted = "`sha256:` followed by 64 hexadecimal digits";
        let Some(digits) = text.strip_prefix("sha256:") else { return bad(text, wanted) };
        let digits: Vec<u8> = digits.bytes().filter(|b| *b != b':').collect();
        if digits.len() != 64 {
            return bad(text, wanted);
        }
        let mut pin = [0; 32];
        for (byte, pair) in pin.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            match (digit(pair[0]), digit(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return bad(text, wanted),
            }
        }
        Ok(Self(pin))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_urls_of_the_guide_are_accepted() {
        let table = [
            ("https://broker.example", "https://broker.example"),
            ("https://broker.example:8443/", "https://broker.example:8443"),
            ("https://192.0.2.1:443", "https://192.0.2.1"),
            ("https://[2001:db8::1]:444", "https://[2001:db8::1]:444"),
            ("https://b/pcoip-broker/xml", "https://b"),
        ];
        for (given, printed) in table {
            assert_eq!(given.parse::<BrokerUrl>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn broker_urls_in_different_spellings_are_equal() {
        let url = |text: &str| text.parse::<BrokerUrl>().unwrap();
        let table = [
            ("https://b.example", "https://b.example/", true),
            ("https://b.example", "https://b.example/pcoip-broker/xml", true),
            ("https://b.example", "https://b.example:443", true),
            ("https://b.example", "HTTPS://B.Example.", true),
            ("https://[2001:db8::1]", "https://[2001:DB8:0::1]", true),
            ("https://b.example", "https://b.example:444", false),
            ("https://b.example", "https://b.example.org", false),
        ];
        for (one, other, is_same) in table {
            assert_eq!(url(one) == url(other), is_same, "{one} {other}");
        }
    }

    #[test]
    fn an_invalid_broker_url_is_refused() {
        let table = [
            "http://broker",
            "broker.example",
            "https://",
            "https://user@b",
            "https://b/x",
            "https://b?x",
            "https://b:",
            "https://b#x",
            "https://b:0",
            "https://b:65536",
            "https://b:8443x",
            "https://[::1]8443",
            "https://b c",
            "stringArray",
        ];
        for given in table {
            assert!(given.parse::<BrokerUrl>().is_err(), "{given}");
        }
    }

    #[test]
    fn a_host_name_that_url_parsers_read_as_an_address_is_refused() {
        let table = [
            ("desk.example", true),
            ("desk.example.", true),
            ("10.0.0.5", true),
            ("2001:db8::1", true),
            ("[2001:db8::1]", true),
            ("[desk.example]", false),
            ("[10.0.0.5]", false),
            ("2130706433", false),
            ("127.1", false),
            ("0x7f000001", false),
            ("10.0.0.5.", false),
        ];
        for (text, is_host) in table {
            assert_eq!(text.parse::<Host>().is_ok(), is_host, "{text}");
        }
    }

    #[test]
    fn a_pin_accepts_the_output_of_openssl() {
        let colons = format!("sha256:{}", ["AB"; 32].join(":"));

        assert_eq!(
            colons.parse::<Pin>().unwrap().to_string(),
            format!("sha256:{}", "ab".repeat(32))
        );
        assert!("sha256:abc".parse::<Pin>().is_err());
        assert!(format!("sha256:{}", "zz".repeat(32)).parse::<Pin>().is_err());
    }

    #[test]
    fn ipv6_hosts_with_a_port_have_brackets() {
        let both: HostPort = "[2001:db8::1]:443".parse().unwrap();

        assert_eq!((both.host.as_str(), both.port), ("2001:db8::1", 443));
        assert_eq!(both.to_string(), "[2001:db8::1]:443");
        assert!("2001:db8::1:443".parse::<HostPort>().is_err());
        assert!("host:0".parse::<HostPort>().is_err());
    }
}
