//! Cookies: the one that we give a client, and the ones that the broker gives us for it. Both are
//! credentials, so `Debug` shows their ends only.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::redact;

const NAME: &str = "JSESSIONID";

/// The client's session cookie: 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientCookie(String);

/// Why a text is no session cookie of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session cookie has 32 hexadecimal digits")]
pub struct BadCookie;

impl ClientCookie {
    /// A cookie made of random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
    }

    /// Finds it in a `Cookie` header.
    #[must_use]
    pub fn find(header: &str) -> Option<Self> {
        let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        let values = pairs.filter(|(name, _)| *name == NAME).map(|(_, value)| value);
        values.filter_map(|value| value.trim_matches('"').parse().ok()).next()
    }

    /// The cookie itself, to find and open what is kept under it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value of `Set-Cookie`.
    #[must_use]
    pub fn set_cookie(&self) -> String {
        format!("{NAME}={}; Path=/; Secure; HttpOnly; SameSite=Strict", self.0)
    }
}

impl FromStr for ClientCookie {
    type Err = BadCookie;

    fn from_str(text: &str) -> Result<Self, BadCookie> {
        let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadCookie) }
    }
}

impl TryFrom<String> for ClientCookie {
    type Error = BadCookie;

    fn try_from(text: String) -> Result<Self, BadCookie> {
        text.parse()
    }
}

impl From<ClientCookie> for String {
    fn from(cookie: ClientCookie) -> Self {
        cookie.0
    }
}

impl fmt::Debug for ClientCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}={}", redact::cookie(&self.0))
    }
}

/// The cookies that the broker set in one session: its own, and perhaps a load balancer's. They all
/// go back to the one address of the broker, so their paths and domains are not looked at.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerCookies(Vec<(String, String)>);

impl BrokerCookies {
    const MAX_COOKIES: usize = 16;
    /// Of all together; the request that carries them back has its limits, too.
    const MAX_BYTES: usize = 4096;

    /// Takes the value of a `Set-Cookie`; what is no cookie is left out.
    pub fn store(&mut self, set_cookie: &str) {
        let (pair, attributes) = set_cookie.split_once(';').unwrap_or((set_cookie, ""));
        let Some((name, value)) = pair.split_once('=') else { return };
        let (name, value) = (name.trim(), value.trim());
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if name.is_empty() || !plain(name) || !plain(value) {
            return;
        }
        let others = self.0.iter().filter(|(known, _)| known != name);
        let used: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if used + name.len() + value.len() > Self::MAX_BYTES {
            return;
        }
        self.0.retain(|(known, _)| known != name);
        if !is_removal(attributes) && self.0.len() < Self::MAX_COOKIES {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The value of `Cookie`, `None` where there is nothing to send.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// `Max-Age=0` or less takes a cookie away.
fn is_removal(attributes: &str) -> bool {
    let pairs = attributes.split(';').filter_map(|a| a.trim().split_once('='));
    let mut ages = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("max-age"));
    ages.any(|(_, age)| age.trim().parse::<i64>().is_ok_and(|age| age <= 0))
}

impl fmt::Debug for BrokerCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| (name, redact::cookie(value)));
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookie_is_written_and_found_again() {
        let cookie = ClientCookie::from_random([0xAB; 16]);
        let value = "AB".repeat(16);

        assert_eq!(
            cookie.set_cookie(),
            format!("JSESSIONID={value}; Path=/; Secure; HttpOnly; SameSite=Strict")
        );
        for header in [
            format!("JSESSIONID={value}"),
            format!("a=b; JSESSIONID={value}"),
            format!("JSESSIONID=other;JSESSIONID=\"{value}\" ;x"),
        ] {
            assert_eq!(ClientCookie::find(&header), Some(cookie.clone()), "{header}");
        }
        for header in ["", "JSESSIONID", "JSESSIONID=", "jsessionid=ABAB", "XJSESSIONID=AB"] {
            assert_eq!(ClientCookie::find(header), None, "{header}");
        }
        assert_eq!(format!("{cookie:?}"), "JSESSIONID=ABAB****ABAB");
    }

    #[test]
    fn the_brokers_cookies_are_replayed() {
        let mut cookies = BrokerCookies::default();
        assert_eq!(cookies.header(), None);

        cookies.store("JSESSIONID=1; path=/; expires=Thu, 01 Jan 2026 00:00:00 GMT; secure");
        cookies.store("lb=a=b; Max-Age=900");
        assert_eq!(cookies.header().as_deref(), Some("JSESSIONID=1; lb=a=b"));

        cookies.store("JSESSIONID=2");
        assert_eq!(cookies.header().as_deref(), Some("lb=a=b; JSESSIONID=2"));

        cookies.store("lb=; Max-Age=0");
        for bad in ["", "novalue", "=x", "a=b c", "a=b\r\nX: y", "a\u{e9}=b"] {
            cookies.store(bad);
        }
        assert_eq!(cookies.header().as_deref(), Some("JSESSIONID=2"));
    }

    #[test]
    fn a_broker_cannot_fill_the_memory() {
        let mut cookies = BrokerCookies::default();
        for number in 0..100 {
            cookies.store(&format!("c{number}=x"));
        }
        cookies.store(&format!("c0={}", "x".repeat(5000)));

        assert_eq!(cookies.0.len(), BrokerCookies::MAX_COOKIES);
        assert_eq!(cookies.0[0], ("c0".to_owned(), "x".to_owned()));

        let mut cookies = BrokerCookies::default();
        for number in 0..10 {
            cookies.store(&format!("c{number}={}", "x".repeat(1000)));
        }
        assert_eq!(cookies.0.len(), 4);
    }
}
