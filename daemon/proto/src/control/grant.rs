//! The claims of a grant, a token (JWT, RFC 7519) that lets every gateway serve a session, and their
//! checks. The signature is checked elsewhere.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use super::{
    AddConnection, TokenId,
    claims::{Claims, canonical},
};
use crate::{Hostname, SessionId, SessionKey, TagDigest, Time, failover::Grant};

/// HTTPS path that accepts grants. The body of the request is the token.
pub const GRANT_PATH: &str = "/pcoip-sg/grant";

/// HTTP header of an announcement with the grant of the same session, which the gateway passes on.
pub const GRANT_HEADER: &str = "pcoip-sg-grant";

/// `Content-Type` of a grant.
pub const GRANT_CONTENT_TYPE: &str = "application/jwt";

/// The claims: valid for all gateways, for [`Grant::VALID`], and any number of times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantClaims {
    /// Public addresses of all gateways, as the Connection Manager is configured.
    pub aud: Vec<IpAddr>,
    /// Time of signing, in seconds since the Unix epoch.
    pub iat: u64,
    /// Time of expiry, in seconds since the Unix epoch.
    pub exp: u64,
    /// Unique id of the token.
    pub jti: TokenId,
    /// Address of the agent.
    pub agent: SocketAddr,
    /// Host name of the agent, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// Length and SHA-256 of the tag.
    pub tag: TagDigest,
    /// The session log id.
    pub connection: SessionId,
    /// The key of the session.
    #[serde(rename = "session-key")]
    pub session_key: SessionKey,
}

/// Why the claims of a grant are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantClaimsError {
    /// `aud` contains no address of this gateway.
    #[error("the grant is for other gateways")]
    OtherGateways,
    /// `iat` is that many seconds in the future: one of the two clocks is wrong.
    #[error(
        "the grant is not valid yet: it was signed {0} seconds in the future; compare the clocks of \
         both hosts"
    )]
    NotYet(u64),
    /// `exp` was that many seconds ago.
    #[error("the grant expired {0} seconds ago")]
    Expired(u64),
    /// `exp` is more than [`Grant::VALID`] after `iat`.
    #[error("the grant is valid for more than {} days", Grant::VALID.as_secs() / 86_400)]
    TooLong,
    /// The port of the agent is 0.
    #[error("the agent's port is 0")]
    NoPort,
}

impl GrantClaims {
    /// The `typ` of the token. That of an announcement's token is `JWT`.
    pub const TYPE: &str = "pcoip-sg-grant+jwt";

    /// The claims for an announced session, for gateways with these addresses. `random` becomes the
    /// token id. `None` if the session has no key.
    #[must_use]
    pub fn of(
        announced: &AddConnection,
        gateways: impl IntoIterator<Item = IpAddr>,
        random: [u8; 16],
        now: Time,
    ) -> Option<Self> {
        let gateways: BTreeSet<_> =
            gateways.into_iter().map(|address| address.to_canonical()).collect();
        Some(Self {
            aud: gateways.into_iter().collect(),
            iat: now.as_secs(),
            exp: (now + Grant::VALID).as_secs(),
            jti: TokenId::random(random),
            agent: canonical(announced.agent),
            hostname: announced.hostname.clone(),
            tag: announced.tag.digest(),
            connection: announced.connection_id.clone(),
            session_key: announced.session_key?,
        })
    }

    /// The grant of these claims for a gateway with the given addresses at `now`. `token` is the
    /// signed token that contains the claims.
    ///
    /// # Errors
    ///
    /// [`GrantClaimsError`]: the first claim that is not acceptable.
    pub fn check(self, token: &str, own: &[IpAddr], now: Time) -> Result<Grant, GrantClaimsError> {
        let is_own =
            |address: &IpAddr| own.iter().any(|own| own.to_canonical() == address.to_canonical());
        if !self.aud.iter().any(is_own) {
            return Err(GrantClaimsError::OtherGateways);
        }
        if self.iat > (now + Claims::LEEWAY).as_secs() {
            return Err(GrantClaimsError::NotYet(self.iat.saturating_sub(now.as_secs())));
        }
        if self.exp <= now.as_secs() {
            return Err(GrantClaimsError::Expired(now.as_secs() - self.exp));
        }
        if self.exp.saturating_sub(self.iat) > Grant::VALID.as_secs() {
            return Err(GrantClaimsError::TooLong);
        }
        if self.agent.port() == 0 {
            return Err(GrantClaimsError::NoPort);
        }
        Ok(Grant {
            key: self.session_key,
            id: self.connection,
            agent: canonical(self.agent),
            hostname: self.hostname,
            tag: self.tag,
            issued: seconds(self.iat),
            expires: seconds(self.exp),
            token: token.into(),
        })
    }
}

fn seconds(since_epoch: u64) -> Time {
    Time::from_millis(since_epoch.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::SessionTag;

    const NOW: Time = Time::from_millis(1_800_000_000_000);
    const TAG: &str = "SCS1abc";

    fn announced() -> AddConnection {
        AddConnection {
            agent: "[::ffff:10.0.0.5]:4172".parse().unwrap(),
            hostname: Some("desk.example".parse().unwrap()),
            tag: SessionTag::parse(TAG).unwrap(),
            connection_id: "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap(),
            session_key: Some(SessionKey::from_random([9; 16])),
        }
    }

    fn gateways() -> Vec<IpAddr> {
        vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()]
    }

    fn claims() -> GrantClaims {
        GrantClaims::of(&announced(), gateways(), [7; 16], NOW).unwrap()
    }

    #[test]
    fn each_gateway_reads_the_announced_session_from_its_grant() {
        let grant = Grant {
            key: SessionKey::from_random([9; 16]),
            id: announced().connection_id,
            agent: "10.0.0.5:4172".parse().unwrap(),
            hostname: Some("desk.example".parse().unwrap()),
            tag: TagDigest::of(TAG.as_bytes()),
            issued: NOW,
            expires: NOW + Duration::from_hours(30 * 24),
            token: "a.b.c".into(),
        };
        for own in gateways().into_iter().chain(["::ffff:203.0.113.7".parse().unwrap()]) {
            assert_eq!(claims().check("a.b.c", &[own], NOW), Ok(grant.clone()), "{own}");
        }
    }

    #[test]
    fn a_session_without_a_key_has_no_grant() {
        let keyless = AddConnection { session_key: None, ..announced() };

        assert_eq!(GrantClaims::of(&keyless, gateways(), [7; 16], NOW), None);
    }

    #[test]
    fn a_grant_is_valid_for_thirty_days_with_thirty_seconds_leeway_at_the_start() {
        let second = Duration::from_secs(1);
        let end = NOW + Grant::VALID;
        let table = [
            (NOW - second * 31, Some(GrantClaimsError::NotYet(31))),
            (NOW - second * 30, None),
            (end - second, None),
            (end, Some(GrantClaimsError::Expired(0))),
            (end + second * 5, Some(GrantClaimsError::Expired(5))),
        ];
        for (now, error) in table {
            assert_eq!(claims().check("", &gateways(), now).err(), error, "{now:?}");
        }
    }

    #[test]
    fn other_claims_are_refused() {
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        let table = [
            (GrantClaims { aud: vec![other], ..claims() }, GrantClaimsError::OtherGateways),
            (GrantClaims { aud: vec![], ..claims() }, GrantClaimsError::OtherGateways),
            (GrantClaims { exp: claims().exp + 1, ..claims() }, GrantClaimsError::TooLong),
            (GrantClaims { exp: u64::MAX, ..claims() }, GrantClaimsError::TooLong),
            (GrantClaims { iat: 0, ..claims() }, GrantClaimsError::TooLong),
            (
                GrantClaims { agent: "10.0.0.5:0".parse().unwrap(), ..claims() },
                GrantClaimsError::NoPort,
            ),
        ];
        for (claims, error) in table {
            assert_eq!(claims.check("", &gateways(), NOW), Err(error));
        }
    }

    #[test]
    fn the_audience_names_each_address_once() {
        let repeated = ["203.0.113.7", "::ffff:203.0.113.7", "203.0.113.7"];
        let repeated = repeated.map(|address| address.parse().unwrap());

        let claims = GrantClaims::of(&announced(), repeated, [7; 16], NOW).unwrap();

        assert_eq!(claims.aud, [gateways()[0]]);
    }

    #[test]
    fn claims_are_serialized_as_json() {
        let text = serde_json::to_string(&claims()).unwrap();

        assert_eq!(serde_json::from_str::<GrantClaims>(&text).unwrap(), claims());
        let start = "{\"aud\":[\"203.0.113.7\",\"2001:db8::7\"],\"iat\":1800000000,\
                     \"exp\":1802592000,";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains(&format!("\"tag\":\"7:{}\"", claims().tag.hex())), "{text}");
        let without_key = text.replace("session-key", "key");
        assert!(serde_json::from_str::<GrantClaims>(&without_key).is_err());
        assert!(serde_json::from_str::<Claims>(&text).is_err(), "not those of an announcement");
    }
}
