//! Grants: which are accepted, and that they are no announcements.

use std::time::Duration;

use super::*;

const NOW: Time = Time::from_millis(1_800_000_000_000);

fn own() -> [IpAddr; 1] {
    ["203.0.113.7".parse().unwrap()]
}

fn announced() -> AddConnection {
    AddConnection {
        agent: "10.0.0.5:4172".parse().unwrap(),
        hostname: Some("desk.example".parse().unwrap()),
        tag: SessionTag::parse("SCS1abc").unwrap(),
        connection_id: "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap(),
        session_key: Some(SessionKey::from_random([9; 16])),
    }
}

/// The claims for this number of gateways, of which the first has the address of [`own`].
fn claims_for(gateways: u8) -> GrantClaims {
    let address = |number| IpAddr::from([203, 0, 113, 7 + number]);
    GrantClaims::of(&announced(), (0..gateways).map(address), [7; 16], NOW).unwrap()
}

fn sign(key: &KeyPair, kind: Option<&str>, claims: &impl serde::Serialize) -> String {
    let Signer { header, key } = signer(key);
    encode(&Header { typ: kind.map(str::to_owned), ..header }, claims, &key).unwrap()
}

fn refusal(verifier: &Verifier, token: &str) -> String {
    verifier.verify_grant(token, &own(), NOW).unwrap_err().to_string()
}

#[test]
fn a_grant_contains_the_session_and_its_token() {
    for key in [p256(), rsa()] {
        let verifier = verifier(&[certificate(&p256()), certificate(&key)]);
        let token = signer(&key).sign_grant(&claims_for(2)).unwrap();

        for _ in 0..2 {
            let grant = verifier.verify_grant(&token, &own(), NOW).unwrap();

            assert_eq!((&*grant.token, grant.agent), (token.as_str(), announced().agent));
            assert_eq!(
                (Some(grant.key), grant.id),
                (announced().session_key, announced().connection_id)
            );
            assert_eq!(
                (grant.tag, grant.hostname),
                (announced().tag.digest(), announced().hostname)
            );
            assert_eq!((grant.issued, grant.expires), (NOW, NOW + Grant::VALID));
        }
    }
}

#[test]
fn grants_and_announcements_are_not_exchangeable() {
    let key = p256();
    let verifier = verifier(&[certificate(&key)]);
    let announcement = Claims::of(&announced(), own()[0], [7; 16], NOW);
    let grant = claims_for(1);

    let signed = signer(&key).sign_grant(&grant).unwrap();
    assert!(verifier.verify(&signed).is_err());
    let signed = signer(&key).sign(&announcement).unwrap();
    assert_eq!(refusal(&verifier, &signed), "the token is not a grant");

    // The type alone decides, even if the claims are the right ones.
    let table = [None, Some("JWT"), Some("jwt"), Some("PCoIP-SG-Grant+jwt"), Some("")];
    for kind in table {
        let token = sign(&key, kind, &grant);
        assert_eq!(refusal(&verifier, &token), "the token is not a grant", "{kind:?}");
    }
    for kind in ["", GrantClaims::TYPE, "at+jwt"] {
        let error = verifier.verify(&sign(&key, Some(kind), &announcement)).unwrap_err();
        assert_eq!(error.to_string(), "the token is not that of an announcement", "{kind}");
    }
    for kind in [None, Some("jwt")] {
        let token = sign(&key, kind, &announcement);
        assert_eq!(verifier.verify(&token).unwrap(), announcement, "{kind:?}");
    }
}

#[test]
fn a_grant_with_other_claims_is_refused() {
    let key = p256();
    let verifier = verifier(&[certificate(&key)]);
    let day = Duration::from_hours(24);
    let at = |now| GrantClaims::of(&announced(), own(), [7; 16], now).unwrap();
    let elsewhere = GrantClaims { aud: vec!["192.0.2.1".parse().unwrap()], ..claims_for(1) };
    let longer = GrantClaims { exp: claims_for(1).exp + 1, ..claims_for(1) };
    let table = [
        (elsewhere, "the grant is for other gateways"),
        (at(NOW - day * 30), "the grant expired 0 seconds ago"),
        (at(NOW - day * 31), "the grant expired 86400 seconds ago"),
        (longer, "the grant is valid for more than 30 days"),
        (
            at(NOW + day),
            "the grant is not valid yet: it was signed 86400 seconds in the future; compare the \
             clocks of both hosts",
        ),
    ];
    for (claims, why) in table {
        let token = signer(&key).sign_grant(&claims).unwrap();
        assert_eq!(refusal(&verifier, &token), why);
    }
    let token = signer(&key).sign_grant(&at(NOW - day * 29)).unwrap();
    assert!(verifier.verify_grant(&token, &own(), NOW).is_ok());
    let token = sign(&key, Some(GrantClaims::TYPE), &serde_json::json!({ "aud": own() }));
    assert_eq!(refusal(&verifier, &token), "the grant is malformed");
}

#[test]
fn a_forged_or_modified_grant_is_refused() {
    let key = p256();
    let verifier = verifier(&[certificate(&key)]);
    let other = signer(&p256()).sign_grant(&claims_for(1)).unwrap();
    let secret = EncodingKey::from_secret(key.public_key_raw());
    let header =
        Header { typ: Some(GrantClaims::TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
    let hmac = encode(&header, &claims_for(1), &secret).unwrap();

    for token in [other, hmac] {
        assert_eq!(refusal(&verifier, &token), "the grant is not signed with a known key");
    }
    for token in ["", "a.b.c", "é"] {
        assert_eq!(refusal(&verifier, token), "the grant is malformed", "{token}");
    }
    let token = signer(&key).sign_grant(&claims_for(1)).unwrap();
    let payload = token.find('.').unwrap() + 20;
    for byte in ["A", "B"] {
        let mut changed = token.clone();
        changed.replace_range(payload..=payload, byte);
        assert_eq!(verifier.verify_grant(&changed, &own(), NOW).is_ok(), changed == token);
    }
}

#[test]
fn a_grant_that_is_too_large_is_neither_signed_nor_read() {
    let key = p256();
    let verifier = verifier(&[certificate(&key)]);
    let largest = (1..u8::MAX)
        .map_while(|gateways| signer(&key).sign_grant(&claims_for(gateways)).ok())
        .last()
        .unwrap();
    assert!(largest.len() > Grant::MAX_BYTES - 24, "{}", largest.len());
    assert!(verifier.verify_grant(&largest, &own(), NOW).is_ok());

    let error = signer(&key).sign_grant(&claims_for(60)).unwrap_err().to_string();
    assert!(error.starts_with("the grant for 60 gateways has "), "{error}");
    let large = sign(&key, Some(GrantClaims::TYPE), &claims_for(60));
    assert_eq!(refusal(&verifier, &large), "the grant is longer than 1536 bytes");
}
