//! Which grants are accepted. The handler is the same for the unix socket and HTTPS.

use cmsg_proto::{
    SessionKey,
    control::GrantClaims,
    failover::{BootId, GatewayId, Grant, Rules, Saved},
};
use http::StatusCode;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::*;

/// A gateway without sockets, and the key of its Connection Manager.
struct Granting {
    handler: AnnouncementHandler,
    signer: Signer,
    folder: TempDir,
}

impl Granting {
    /// A gateway with these lines of configuration. Failover is on if `max_standby` is given.
    fn with(more: &str, max_standby: Option<usize>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        identity(&folder, "tls");
        let (certificate, key) = identity(&folder, "jwt");
        let listen = format!("{EXTERNAL}:4172").parse().unwrap();
        let state = GatewayState::new(&config(&folder, more), listen, &[]);
        let state = match max_standby {
            Some(max_standby) => {
                let (frames, _) = mpsc::unbounded_channel();
                state.join(rules(max_standby), BootId(1), Saved::default(), frames);
                state
            }
            None => state,
        };
        let verifier = Verifier::load(&certificate).unwrap();
        let handler = AnnouncementHandler {
            gateway: Arc::new(state),
            verifier: Arc::new(ArcSwap::from_pointee(verifier)),
        };
        Self { handler, signer: Signer::load(&key).unwrap(), folder }
    }

    /// The grant of session `number` with this agent.
    fn token(&self, number: u8, agent: &str) -> String {
        self.signer.sign_grant(&claims(number, agent)).unwrap()
    }

    async fn post(&self, token: &str) -> (u16, String) {
        let response = self.handler.grant(token.as_bytes());
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(text.to_vec()).unwrap())
    }

    async fn health(&self) -> String {
        let document = self.handler.health().into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(document.to_vec()).unwrap()
    }
}

fn rules(max_standby: usize) -> Rules {
    Rules {
        id: GatewayId(1),
        peers: [GatewayId(2)].into(),
        shared: [].into(),
        max_standby,
        max_remembered: 2 * max_standby,
    }
}

fn claims(number: u8, agent: &str) -> GrantClaims {
    let session_key = Some(SessionKey::from_random([number; 16]));
    let announced = AddConnection { session_key, ..announcement(number, agent.parse().unwrap()) };
    let gateways = [EXTERNAL, "192.0.2.9"].map(|address| address.parse().unwrap());
    GrantClaims::of(&announced, gateways, [number; 16], clock::wall()).unwrap()
}

#[tokio::test]
async fn a_grant_is_accepted_any_number_of_times_until_the_limit() {
    let gateway = Granting::with("", Some(1));
    let token = gateway.token(1, "198.51.100.1:4172");

    for _ in 0..2 {
        assert_eq!(gateway.post(&token).await, (200, "OK".to_owned()));
    }
    let second = gateway.post(&gateway.token(2, "198.51.100.2:4172")).await;

    assert_eq!(second, (503, "the limit of granted sessions is reached".to_owned()));
}

#[tokio::test]
async fn a_forged_expired_or_misdirected_grant_is_refused() {
    let gateway = Granting::with("", Some(9));
    let good = claims(1, "198.51.100.1:4172");
    let forged = {
        let (_, key) = identity(&gateway.folder, "other");
        Signer::load(&key).unwrap().sign_grant(&good).unwrap()
    };
    let signed = |claims: &GrantClaims| gateway.signer.sign_grant(claims).unwrap();
    let elsewhere = GrantClaims { aud: vec!["192.0.2.9".parse().unwrap()], ..good.clone() };
    let old = GrantClaims { iat: 1, exp: good.iat - 7, ..good.clone() };
    let announced = announcement(1, "198.51.100.1:4172".parse().unwrap());
    let announcement = Claims::of(&announced, EXTERNAL.parse().unwrap(), [1; 16], clock::wall());
    let announcement = gateway.signer.sign(&announcement).unwrap();
    let table = [
        (String::new(), 401, "the grant is malformed"),
        (forged, 401, "the grant is not signed with a known key"),
        (announcement, 401, "the token is not a grant"),
        (signed(&elsewhere), 401, "the grant is for other gateways"),
        (signed(&old), 401, "the grant expired "),
        ("x".repeat(Grant::MAX_BYTES + 1), 413, "the grant is longer than 1536 bytes"),
    ];
    for (token, status, why) in table {
        let answer = gateway.post(&token).await;
        assert_eq!(answer.0, status, "{answer:?}");
        assert!(answer.1.starts_with(why), "{why}: {answer:?}");
    }
    let contradiction = claims(1, "198.51.100.2:4172");
    assert_eq!(gateway.post(&signed(&good)).await.0, 200);
    assert_eq!(
        gateway
            .post(&signed(&GrantClaims { iat: good.iat - 1, exp: good.exp - 1, ..contradiction }))
            .await,
        (409, "the grant contradicts a session that the gateway has".to_owned())
    );
}

#[tokio::test]
async fn the_agent_of_a_grant_must_be_allowed_here() {
    let gateway = Granting::with("AllowedAgents = 127.0.0.2", Some(9));
    let table = [
        ("127.0.0.1:22", 403, "the agent's address 127.0.0.1 is a loopback address"),
        ("169.254.169.254:80", 403, "the agent's address 169.254.169.254 is a link-local address"),
        ("203.0.113.7:443", 403, "the agent's address 203.0.113.7 is the gateway's own"),
        ("203.0.113.7:4172", 400, "the agent's address is the gateway's own"),
        ("127.0.0.2:22", 200, "OK"),
        ("198.51.100.1:4172", 200, "OK"),
    ];
    for (number, (agent, status, why)) in (1..).zip(table) {
        let answer = gateway.post(&gateway.token(number, agent)).await;

        assert_eq!(answer.0, status, "{agent}: {answer:?}");
        assert!(answer.1.starts_with(why), "{agent}: {answer:?}");
    }
}

#[tokio::test]
async fn only_a_gateway_with_failover_offers_and_accepts_grants() {
    let with = Granting::with("MaxConnections = 3", Some(9));
    let without = Granting::with("MaxConnections = 3", None);
    let token = |gateway: &Granting| gateway.token(1, "198.51.100.1:4172");

    let health = with.health().await;
    assert_eq!(health, r#"{"code":200,"status":"success","capabilities":["grants"],"load":0}"#);
    assert_eq!(with.post(&token(&with)).await.0, 200);
    assert_eq!(with.health().await, health, "a granted session is not a session");
    assert_eq!(without.health().await, r#"{"code":200,"status":"success"}"#);
    let refused = without.post(&token(&without)).await;
    assert_eq!(refused, (404, "failover is not configured".to_owned()));
}

#[tokio::test]
async fn a_full_or_draining_gateway_accepts_grants() {
    let gateway = Granting::with("MaxConnections = 1", Some(9));
    let announced = announcement(1, "198.51.100.1:4172".parse().unwrap());
    let claims = Claims::of(&announced, EXTERNAL.parse().unwrap(), [1; 16], clock::wall());
    gateway.handler.gateway.announce(&claims, &announced, None).unwrap();

    let full = gateway.health().await;
    assert!(full.ends_with(r#"is reached","capabilities":["grants"],"load":100}"#), "{full}");
    assert_eq!(gateway.post(&gateway.token(2, "198.51.100.2:4172")).await.0, 200);

    gateway.handler.gateway.drain.set(true).unwrap();
    assert_eq!(gateway.handler.health().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gateway.post(&gateway.token(3, "198.51.100.3:4172")).await.0, 200);
}
