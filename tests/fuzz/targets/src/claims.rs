//! Claims are parsed as they were serialized, and only valid for their announcement. Those of a grant
//! are only valid for their gateways and at most 30 days.

use std::{net::IpAddr, time::Duration};

use cmsg_proto::{
    SessionTag, Time,
    control::{AddConnection, Claims, ClaimsError, GrantClaims, Replays},
    failover::Grant,
};

use crate::input::Input;

/// Reads bytes as claims, and as the values of an announcement.
pub fn run(data: &[u8]) {
    let input = &mut Input::new(data);
    if let Ok(claims) = serde_json::from_slice::<Claims>(data) {
        let written = serde_json::to_vec(&claims).expect("texts and numbers are JSON");
        assert_eq!(serde_json::from_slice::<Claims>(&written).ok(), Some(claims.clone()));
        let _ = (claims.issued(), claims.forgotten());
        judged(&claims, &announced(input), Time::from_millis(1_800_000_000_000));
    }
    if let Ok(claims) = serde_json::from_slice::<GrantClaims>(data) {
        let written = serde_json::to_vec(&claims).expect("texts and numbers are JSON");
        assert_eq!(serde_json::from_slice::<GrantClaims>(&written).ok(), Some(claims.clone()));
        granted(&claims, Time::from_millis(1_800_000_000_000));
    }
    let announced = announced(input);
    let now = input.bytes(6).iter().fold(0, |now, byte| now << 8 | u64::from(*byte));
    let now = Time::from_millis(now);
    let claims = Claims::of(&announced, input.ip(), [input.byte(); 16], now);
    judged(&claims, &announced, now);
    if let Some(claims) = GrantClaims::of(&announced, [input.ip(), input.ip()], [7; 16], now) {
        granted(&claims, now);
    }
}

/// A valid grant contains what its claims say, and is not valid elsewhere or for ever.
fn granted(claims: &GrantClaims, now: Time) {
    assert!(claims.clone().check("token", &[], now).is_err(), "it is valid for no gateway");
    let Ok(grant) = claims.clone().check("token", &claims.aud, now) else { return };
    assert_eq!(grant.agent.ip().to_canonical(), claims.agent.ip().to_canonical());
    assert_ne!(grant.agent.port(), 0);
    assert_eq!((grant.tag, grant.key), (claims.tag, claims.session_key));
    assert!(grant.issued <= now + Claims::LEEWAY && grant.expires > now);
    assert!(grant.expires <= grant.issued + Grant::VALID);
    let late = now + Grant::VALID + Claims::LEEWAY + Duration::from_secs(1);
    assert!(claims.clone().check("token", &claims.aud, late).is_err(), "it has expired");
}

fn announced(input: &mut Input<'_>) -> AddConnection {
    let tag = SessionTag::parse(&input.text()).or_else(|_| SessionTag::parse("SCS1"));
    let id = format!("0b1c2d3e-0000-4000-8000-{:012x}", input.byte());
    AddConnection {
        agent: input.socket(),
        hostname: input.text().parse().ok(),
        tag: tag.expect("one of them is a tag"),
        connection_id: id.parse().expect("it has the shape"),
        session_key: input.text().parse().ok(),
    }
}

/// Valid claims are for this gateway, this minute and this announcement.
fn judged(claims: &Claims, announced: &AddConnection, now: Time) {
    let own = [claims.aud];
    let Ok(()) = claims.check(announced, &own, now) else { return };
    assert_eq!(claims.tag, announced.tag.digest().hex());
    assert_eq!(claims.hostname, announced.hostname);
    assert_eq!(claims.connection, announced.connection_id);
    assert_eq!(claims.session_key, announced.session_key);
    assert_eq!(claims.agent.ip().to_canonical(), announced.agent.ip().to_canonical());
    assert!(claims.exp.saturating_sub(claims.iat) <= 60);
    assert!(claims.iat <= now.as_secs() + 30 && claims.exp + 30 >= now.as_secs());
    assert!(claims.forgotten() > now, "it could be used again");
    assert_eq!(claims.check(announced, &[], now), Err(other_gateway(claims.aud)));
    let mut replays = Replays::new(1);
    assert!(replays.use_once(claims, now).is_ok() && replays.use_once(claims, now).is_err());
    let late = now + Duration::from_secs(60 + 60 + 31);
    let expired = claims.check(announced, &own, late);
    assert!(matches!(expired, Err(ClaimsError::Expired(_))), "{expired:?}");
}

fn other_gateway(aud: IpAddr) -> ClaimsError {
    ClaimsError::OtherGateway(aud.to_canonical())
}
