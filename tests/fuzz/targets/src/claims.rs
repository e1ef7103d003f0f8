//! Claims are parsed as they were serialized, and only valid for their announcement.

use std::{net::IpAddr, time::Duration};

use cmsg_proto::{
    SessionTag, Time,
    control::{AddConnection, Claims, ClaimsError, Replays},
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
    let announced = announced(input);
    let now = input.bytes(6).iter().fold(0, |now, byte| now << 8 | u64::from(*byte));
    let now = Time::from_millis(now);
    let claims = Claims::of(&announced, input.ip(), [input.byte(); 16], now);
    judged(&claims, &announced, now);
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
