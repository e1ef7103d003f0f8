//! URLs, domains and names that other services assign.

use std::{fmt, net::IpAddr, str::FromStr};

use super::{BadValue, Host, Port, bad};

/// A URL of the form `https://HOST[:PORT][/PATH]`, without a user name or password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl(String);

impl FromStr for HttpsUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let wanted = "a URL of the form `https://HOST[:PORT][/PATH]`";
        let Ok(uri) = text.parse::<http::Uri>() else { return bad(text, wanted) };
        let Some(authority) = uri.authority() else { return bad(text, wanted) };
        // `Uri` ignores an invalid port.
        let is_port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':').is_some_and(|port| port.parse::<Port>().is_ok()),
            None => false,
        };
        let is_url = uri.scheme_str() == Some("https")
            && uri.query().is_none()
            && !text.contains('#')
            && is_port
            && authority.host().parse::<Host>().is_ok();
        if is_url { Ok(Self(text.to_owned())) } else { bad(text, wanted) }
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A domain name; IP addresses are invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(Host);

impl FromStr for Domain {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.parse::<Host>() {
            Ok(host) if host.as_str().parse::<IpAddr>().is_err() => Ok(Self(host)),
            _ => bad(text, "the name of a domain"),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A name that another service assigned: one line of 1 to 256 characters, without leading or
/// trailing spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl FromStr for Name {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let is_name = (1..=256).contains(&text.chars().count())
            && text.trim() == text
            && !text.contains(char::is_control);
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            bad(text, "one line of 1 to 256 characters without spaces at its ends")
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_urls_have_a_host_and_may_have_port_and_path() {
        let table = [
            ("https://provider-1234567890.id.provider.com", true),
            ("https://cac-vm-fqdn:8443", true),
            ("https://idp.example/oauth2/default", true),
            ("https://[2001:db8::1]/certsrv", true),
            ("http://idp.example", false),
            ("idp.example", false),
            ("https://", false),
            ("https://user:secret@idp.example", false),
            ("https://idp.example?x=1", false),
            ("https://idp.example/#top", false),
            ("https://idp.example:port", false),
            ("https://idp.example:0", false),
            ("https://a b", false),
        ];
        for (text, is_url) in table {
            assert_eq!(text.parse::<HttpsUrl>().is_ok(), is_url, "{text}");
        }
    }

    #[test]
    fn a_domain_is_a_name() {
        let table = [("corp.example", true), ("CORP", true), ("192.0.2.1", false), ("a b", false)];
        for (text, is_domain) in table {
            assert_eq!(text.parse::<Domain>().is_ok(), is_domain, "{text}");
        }
    }

    #[test]
    fn a_name_is_one_line() {
        let long = "x".repeat(257);
        let table = [
            ("Smartcard User 2", true),
            ("", false),
            (" a", false),
            ("a\nb", false),
            (&long, false),
        ];
        for (text, is_name) in table {
            assert_eq!(text.parse::<Name>().is_ok(), is_name, "{text:?}");
        }
    }
}
