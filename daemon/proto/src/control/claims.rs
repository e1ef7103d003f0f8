//! The claims of the token (JWT, RFC 7519) of an announcement, and their checks. The signature is
//! checked elsewhere.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::AddConnection;
use crate::{Hostname, SessionId, SessionKey, Time};

/// The claims: valid for one gateway, one minute and one announcement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Public address of the gateway, as the Connection Manager is configured.
    pub aud: IpAddr,
    /// Time of signing, in seconds since the Unix epoch.
    pub iat: u64,
    /// Time of expiry, in seconds since the Unix epoch.
    pub exp: u64,
    /// Unique id of the token.
    pub jti: TokenId,
    /// Address of the announced agent.
    pub agent: SocketAddr,
    /// Host name of the announced agent, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// SHA-256 of the announced tag, in hexadecimal digits.
    pub tag: String,
    /// The announced session log id.
    pub connection: SessionId,
    /// The announced key of the session. `None` from earlier versions.
    #[serde(rename = "session-key", default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<SessionKey>,
}

/// Why the claims of a token are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// `aud` is not an address of this gateway.
    #[error("the token is for gateway {0}")]
    OtherGateway(IpAddr),
    /// `iat` is that many seconds in the future: one of the two clocks is wrong.
    #[error(
        "the token is not valid yet: it was signed {0} seconds in the future; compare the clocks of \
         both hosts"
    )]
    NotYet(u64),
    /// `iat` is that many seconds ago: the token is old, or one of the two clocks is wrong.
    #[error(
        "the token has expired: it was signed {0} seconds ago; compare the clocks of both hosts"
    )]
    Expired(u64),
    /// `exp` is later than used tokens are remembered.
    #[error("the token is valid for more than {} seconds", Claims::VALID.as_secs())]
    TooLong,
    /// The claims do not match the announcement.
    #[error("the token is for another announcement")]
    OtherAnnouncement,
}

impl Claims {
    /// How long a token is valid after `iat`.
    pub const VALID: Duration = Duration::from_mins(1);

    /// Accepted difference between the clocks of two hosts, in either direction.
    pub const LEEWAY: Duration = Duration::from_secs(30);

    /// The claims for an announcement. `random` becomes the token id.
    #[must_use]
    pub fn of(announced: &AddConnection, gateway: IpAddr, random: [u8; 16], now: Time) -> Self {
        Self {
            aud: gateway.to_canonical(),
            iat: now.as_secs(),
            exp: (now + Self::VALID).as_secs(),
            jti: TokenId::random(random),
            agent: canonical(announced.agent),
            hostname: announced.hostname.clone(),
            tag: announced.tag.digest().hex(),
            connection: announced.connection_id.clone(),
            session_key: announced.session_key,
        }
    }

    /// Checks that the token authorizes this announcement for a gateway with the given addresses at
    /// `now`.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`]: the first claim that does not match.
    pub fn check(
        &self,
        announced: &AddConnection,
        own: &[IpAddr],
        now: Time,
    ) -> Result<(), ClaimsError> {
        let audience = self.aud.to_canonical();
        if !own.iter().any(|address| address.to_canonical() == audience) {
            return Err(ClaimsError::OtherGateway(audience));
        }
        if self.iat > (now + Self::LEEWAY).as_secs() {
            return Err(ClaimsError::NotYet(self.iat.saturating_sub(now.as_secs())));
        }
        if self.exp < (now - Self::LEEWAY).as_secs() {
            return Err(ClaimsError::Expired(now.as_secs().saturating_sub(self.iat)));
        }
        if self.exp.saturating_sub(self.iat) > Self::VALID.as_secs() {
            return Err(ClaimsError::TooLong);
        }
        let same = self.agent == canonical(announced.agent)
            && self.hostname == announced.hostname
            && self.tag == announced.tag.digest().hex()
            && self.connection == announced.connection_id
            && self.session_key == announced.session_key;
        if same { Ok(()) } else { Err(ClaimsError::OtherAnnouncement) }
    }

    /// `iat` as a [`Time`].
    #[must_use]
    pub fn issued(&self) -> Time {
        Time::from_millis(self.iat.saturating_mul(1000))
    }

    /// The time after which no clock within the leeway accepts the token.
    #[must_use]
    pub fn forgotten(&self) -> Time {
        Time::from_millis(self.exp.saturating_add(1).saturating_mul(1000)) + Self::LEEWAY
    }
}

pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The `jti` of a token: 1 to 64 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(String);

/// The error of an invalid token id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token id has 1 to 64 printable characters")]
pub struct BadTokenId;

impl TokenId {
    /// A token id from random bytes, in hexadecimal digits.
    #[must_use]
    pub fn random(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }
}

impl TryFrom<String> for TokenId {
    type Error = BadTokenId;

    fn try_from(text: String) -> Result<Self, BadTokenId> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text)) } else { Err(BadTokenId) }
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionTag;

    const NOW: Time = Time::from_millis(1_800_000_000_000);

    fn announced() -> AddConnection {
        AddConnection {
            agent: "10.0.0.5:4172".parse().unwrap(),
            hostname: Some("desk.example".parse().unwrap()),
            tag: SessionTag::parse("SCS1abc").unwrap(),
            connection_id: "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap(),
            session_key: Some(SessionKey::from_random([9; 16])),
        }
    }

    fn own() -> Vec<IpAddr> {
        vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()]
    }

    fn claims() -> Claims {
        Claims::of(&announced(), own()[0], [7; 16], NOW)
    }

    #[test]
    fn a_token_is_valid_for_each_address_of_the_gateway() {
        for gateway in own().into_iter().chain(["::ffff:203.0.113.7".parse().unwrap()]) {
            let claims = Claims::of(&announced(), gateway, [7; 16], NOW);

            assert_eq!(claims.check(&announced(), &own(), NOW), Ok(()));
        }
    }

    #[test]
    fn a_token_is_valid_for_a_minute_with_thirty_seconds_leeway() {
        let second = Duration::from_secs(1);
        let table = [
            (NOW - second * 31, Err(ClaimsError::NotYet(31))),
            (NOW - second * 30, Ok(())),
            (NOW + second * 90, Ok(())),
            (NOW + second * 91, Err(ClaimsError::Expired(91))),
        ];
        for (now, verdict) in table {
            assert_eq!(claims().check(&announced(), &own(), now), verdict, "{now:?}");
        }
        assert!(claims().forgotten() > NOW + second * 90);
    }

    #[test]
    fn a_token_for_another_announcement_is_refused() {
        let other = "192.0.2.1".parse().unwrap();
        let table = [
            (Claims { aud: other, ..claims() }, ClaimsError::OtherGateway(other)),
            (Claims { exp: claims().exp + 1, ..claims() }, ClaimsError::TooLong),
            (Claims { exp: u64::MAX, ..claims() }, ClaimsError::TooLong),
            (
                Claims { agent: "10.0.0.6:4172".parse().unwrap(), ..claims() },
                ClaimsError::OtherAnnouncement,
            ),
            (
                Claims { agent: "10.0.0.5:4173".parse().unwrap(), ..claims() },
                ClaimsError::OtherAnnouncement,
            ),
            (Claims { hostname: None, ..claims() }, ClaimsError::OtherAnnouncement),
            (
                Claims { hostname: Some("other.example".parse().unwrap()), ..claims() },
                ClaimsError::OtherAnnouncement,
            ),
            (Claims { tag: "00".repeat(32), ..claims() }, ClaimsError::OtherAnnouncement),
            (Claims { session_key: None, ..claims() }, ClaimsError::OtherAnnouncement),
            (
                Claims { session_key: Some(SessionKey::from_random([8; 16])), ..claims() },
                ClaimsError::OtherAnnouncement,
            ),
            (
                Claims {
                    connection: "0b1c2d3e-0000-4000-8000-00000000000b".parse().unwrap(),
                    ..claims()
                },
                ClaimsError::OtherAnnouncement,
            ),
        ];
        for (claims, error) in table {
            assert_eq!(claims.check(&announced(), &own(), NOW), Err(error));
        }
    }

    #[test]
    fn claims_are_serialized_as_json() {
        let text = serde_json::to_string(&claims()).unwrap();

        assert_eq!(serde_json::from_str::<Claims>(&text).unwrap(), claims());
        assert!(
            text.starts_with("{\"aud\":\"203.0.113.7\",\"iat\":1800000000,\"exp\":1800000060,")
        );
        let nameless = AddConnection { hostname: None, session_key: None, ..announced() };
        let nameless = Claims::of(&nameless, own()[0], [7; 16], NOW);
        let without = text.replace("\"hostname\":\"desk.example\",", "");
        let key = format!(",\"session-key\":\"{}\"", "09".repeat(16));
        let without = without.replace(&key, "");
        assert_eq!(serde_json::from_str::<Claims>(&without).unwrap(), nameless);
        assert_eq!(serde_json::to_string(&nameless).unwrap(), without);
        let bad = text.replace(&"07".repeat(16), &"x".repeat(65));
        assert!(serde_json::from_str::<Claims>(&bad).is_err());
    }
}
