//! Cookies (RFC 6265): the one that the Connection Manager sets at the client, and those that the
//! broker sets at the Connection Manager. Both are credentials, so `Debug` only shows their ends.

use std::{fmt, str::FromStr};

use cookie::Cookie;
use serde::{Deserialize, Serialize};

use super::redact;
use crate::Time;

const NAME: &str = "JSESSIONID";

/// The session cookie of a client: 32 hexadecimal digits, 128 random bits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientCookie(String);

/// The text is not a session cookie of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session cookie has 32 hexadecimal digits")]
pub struct BadCookie;

impl ClientCookie {
    /// Makes a cookie from random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
    }

    /// Finds the session cookie in the value of a `Cookie` header (RFC 6265, section 4.2).
    #[must_use]
    pub fn find(header: &str) -> Option<Self> {
        let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        let values = pairs.filter(|(name, _)| *name == NAME).map(|(_, value)| value);
        values.filter_map(|value| value.trim_matches('"').parse().ok()).next()
    }

    /// The value of the cookie. It is a credential: use it only to look up and unseal a session.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value of the `Set-Cookie` header (RFC 6265, section 4.1).
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

/// The cookies that the broker, or a load balancer in front of it, set in one session. They are
/// only ever sent to `PcoipAddress`, so their `Path` and `Domain` are ignored.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerCookies(Vec<(String, String)>);

impl BrokerCookies {
    /// Maximum number of cookies in a session.
    pub const MAX_COOKIES: usize = 16;
    /// Maximum total size in bytes. HTTP servers limit the size of a request's head.
    pub const MAX_BYTES: usize = 4096;

    /// Stores or removes the cookie of a `Set-Cookie` header. `answered` is the time of the
    /// response by the broker's clock.
    ///
    /// Expiry is only checked here: known brokers set `Expires` in the first response only, and
    /// keep accepting the cookie after that time.
    ///
    /// # Errors
    ///
    /// [`NotKept`], in which case nothing is stored or removed.
    pub fn store(&mut self, set_cookie: &str, answered: Time) -> Result<(), NotKept> {
        let cookie = Cookie::parse(set_cookie).map_err(|_| NotKept::NoPair)?;
        let (name, value) = cookie.name_value();
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if !plain(name) || !plain(value) {
            return Err(NotKept::Character);
        }
        if is_removal(&cookie, answered) {
            self.0.retain(|(known, _)| known != name);
            return Ok(());
        }
        let others: Vec<_> = self.0.iter().filter(|(known, _)| known != name).collect();
        let used: usize = others.iter().map(|(name, value)| name.len() + value.len()).sum();
        if used + name.len() + value.len() > Self::MAX_BYTES {
            return Err(NotKept::TooLarge);
        }
        if others.len() == Self::MAX_COOKIES {
            return Err(NotKept::TooMany);
        }
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The value of the `Cookie` header; `None` without cookies.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Whether the cookie is already expired, which removes it (RFC 6265, section 5.3). `Max-Age` takes
/// precedence over `Expires`.
fn is_removal(cookie: &Cookie<'_>, answered: Time) -> bool {
    if let Some(age) = cookie.max_age() {
        return age.is_zero();
    }
    let expires = cookie.expires_datetime().map(cookie::time::OffsetDateTime::unix_timestamp);
    expires.is_some_and(|at| u64::try_from(at).unwrap_or_default() <= answered.as_millis() / 1000)
}

/// Why a cookie of the broker is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// It does not have the form `NAME=VALUE`.
    #[error("it is not of the form `NAME=VALUE`")]
    NoPair,
    /// For example a space, a comma or a non-ASCII letter.
    #[error("its name or value has a character that a `Cookie` header cannot have")]
    Character,
    /// The session already has [`BrokerCookies::MAX_COOKIES`] cookies.
    #[error("the session already has {} cookies", BrokerCookies::MAX_COOKIES)]
    TooMany,
    /// The total size would exceed [`BrokerCookies::MAX_BYTES`].
    #[error("the cookies of a session would exceed {} bytes", BrokerCookies::MAX_BYTES)]
    TooLarge,
}

/// The `Set-Cookie` headers of a response.
#[derive(Debug, Clone, Default)]
pub struct SetCookies {
    /// Values of the headers, in order.
    pub values: Vec<String>,
    /// Time of the response by the broker's clock.
    pub answered: Time,
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
    fn a_session_cookie_is_set_and_found() {
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

    /// 2026-06-01T00:00:00Z.
    const ANSWERED: Time = Time::from_millis(1_780_272_000_000);

    fn store(cookies: &mut BrokerCookies, set_cookie: &str) -> Result<(), NotKept> {
        cookies.store(set_cookie, ANSWERED)
    }

    #[test]
    fn the_brokers_cookies_are_sent_back() {
        let mut cookies = BrokerCookies::default();
        assert_eq!(cookies.header(), None);

        let first = "JSESSIONID=1; path=/; expires=Mon, 01 Jun 2026 00:15:00 GMT; secure";
        assert_eq!(store(&mut cookies, first), Ok(()));
        assert_eq!(store(&mut cookies, "lb=a=b; Max-Age=900"), Ok(()));
        assert_eq!(cookies.header().as_deref(), Some("JSESSIONID=1; lb=a=b"));

        assert_eq!(store(&mut cookies, "JSESSIONID=2"), Ok(()));
        assert_eq!(cookies.header().as_deref(), Some("lb=a=b; JSESSIONID=2"));

        for (bad, why) in [
            ("", NotKept::NoPair),
            ("novalue", NotKept::NoPair),
            ("=x", NotKept::NoPair),
            ("a=b c", NotKept::Character),
            ("a=b\r\nX: y", NotKept::Character),
            ("a\u{e9}=b", NotKept::Character),
        ] {
            assert_eq!(store(&mut cookies, bad), Err(why), "{bad}");
        }
        assert_eq!(cookies.header().as_deref(), Some("lb=a=b; JSESSIONID=2"));
    }

    #[test]
    fn a_cookie_that_has_expired_by_the_brokers_clock_is_removed() {
        let table = [
            ("old=; Max-Age=0", None),
            ("old=; Max-Age=-5; Expires=Mon, 01 Jun 2026 00:15:00 GMT", None),
            ("old=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/", None),
            ("old=deleted; Expires=Mon, 01 Jun 2026 00:00:00 GMT", None),
            ("old=2; Expires=Mon, 01 Jun 2026 00:00:01 GMT", Some("old=2")),
            ("old=2; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=1", Some("old=2")),
            ("old=2; Expires=soon", Some("old=2")),
        ];
        for (set_cookie, left) in table {
            let mut cookies = BrokerCookies::default();
            store(&mut cookies, "old=1").unwrap();

            assert_eq!(store(&mut cookies, set_cookie), Ok(()), "{set_cookie}");

            assert_eq!(cookies.header().as_deref(), left, "{set_cookie}");
        }
    }

    #[test]
    fn a_brokers_cookies_are_bounded() {
        let mut cookies = BrokerCookies::default();
        for number in 0..100 {
            let stored = store(&mut cookies, &format!("c{number}=x"));
            let is_kept = number < BrokerCookies::MAX_COOKIES;
            assert_eq!(stored, if is_kept { Ok(()) } else { Err(NotKept::TooMany) });
        }
        let large = format!("c0={}", "x".repeat(5000));
        assert_eq!(store(&mut cookies, &large), Err(NotKept::TooLarge));

        assert_eq!(cookies.0.len(), BrokerCookies::MAX_COOKIES);
        assert_eq!(cookies.0[0], ("c0".to_owned(), "x".to_owned()));

        let mut cookies = BrokerCookies::default();
        for number in 0..10 {
            let _ = store(&mut cookies, &format!("c{number}={}", "x".repeat(1000)));
        }
        assert_eq!(cookies.0.len(), 4);
    }
}
