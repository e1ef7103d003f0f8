//! Desktops that name other hosts, and brokers and host names that lead to the gateway's own host.

use http::StatusCode;

use super::{
    ALLOCATE, HELLO, LOGON, agent, broker, logged, request,
    world::{Script, World},
};
use crate::token::Verifier;

/// Logs on and allocates a resource; returns the response.
async fn allocate(world: &World) -> String {
    let (head, _) = world.post(None, &request(HELLO)).await;
    let (_, cookie) = head.split_once("Set-Cookie: JSESSIONID=").unwrap();
    world.post(Some(&cookie[..32]), &request(LOGON)).await;
    let (_, content) = world.post(Some(&cookie[..32]), &request(ALLOCATE)).await;
    content
}

/// A broker that grants this target.
fn granting(body: &str, target: &str) -> (StatusCode, String) {
    let (status, answer) = broker(body);
    let usual = "<ip-address>127.0.0.1</ip-address><hostname>localhost</hostname>";
    (status, answer.replace(usual, target))
}

fn by_address(body: &str) -> (StatusCode, String) {
    granting(body, "<ip-address>127.0.0.1</ip-address>")
}

fn by_short_address(body: &str) -> (StatusCode, String) {
    granting(body, "<hostname>127.1</hostname>")
}

fn at_a_port(body: &str) -> (StatusCode, String) {
    granting(
        body,
        "<ip-address>10.0.0.5</ip-address><hostname>localhost</hostname><port>14172</port>",
    )
}

fn elsewhere(body: &str) -> (StatusCode, String) {
    let (status, answer) = agent(body);
    let said = "<ip-address>10.0.0.5</ip-address><sni>desk</sni><port>4172</port>";
    assert!(answer.contains(said));
    (status, answer.replace(said, "<ip-address>169.254.169.254</ip-address><port>80</port>"))
}

#[tokio::test]
async fn a_desktop_cannot_redirect_the_gateway() {
    let table = [
        // The desktop names the metadata server of a cloud.
        (elsewhere as Script, broker as Script, "127.0.0.1:4172"),
        // The broker names a port, which is used for any address of the agent.
        (elsewhere, at_a_port, "127.0.0.1:14172"),
        // The broker also names the agent's other address.
        (agent, at_a_port, "10.0.0.5:14172"),
    ];
    for (agent, broker, relayed) in table {
        let conf = "ExternalRoutableIP = 203.0.113.7\nAllowedAgents = 127.0.0.1";
        let world = World::strict(conf, broker, agent).await;

        allocate(&world).await;

        let heard = world.gateway.lock().unwrap();
        let (_, headers, body) = heard.iter().find(|(_, _, body)| !body.is_empty()).unwrap();
        let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let verifier = Verifier::load(&world.run().join("crt")).unwrap();
        assert_eq!(verifier.verify(token).unwrap().agent.to_string(), relayed, "{body}");
    }
}

#[tokio::test]
async fn a_desktop_cannot_redirect_a_client_without_a_gateway() {
    let (log, _guard) = logged();
    let conf = "SecurityGatewayEnabled = false\nAllowedAgents = 127.0.0.1";
    let world = World::strict(conf, broker, elsewhere).await;

    let content = allocate(&world).await;

    assert!(content.contains("<target><ip-address>127.0.0.1</ip-address>"), "{content}");
    assert!(content.contains("<port>4172</port>"), "{content}");
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let warned: Vec<_> = log.lines().filter(|line| line.contains("--allowed-agents")).collect();
    assert_eq!(warned.len(), 1, "{log}");
    for part in ["WARN", "169.254.169.254:80", "127.0.0.1:4172"] {
        assert!(warned[0].contains(part), "{part} in {}", warned[0]);
    }
}

#[tokio::test]
async fn a_desktop_may_name_an_address_in_an_allowed_network() {
    let conf = "SecurityGatewayEnabled = false\nAllowedAgents = 127.0.0.1\n\
                AllowedAgents = 169.254.0.0/16";
    let world = World::strict(conf, broker, elsewhere).await;

    let content = allocate(&world).await;

    assert!(content.contains("<target><ip-address>169.254.169.254</ip-address>"), "{content}");
    assert!(content.contains("<port>80</port>"), "{content}");
}

#[tokio::test]
async fn no_password_is_sent_to_this_host_unless_allowed() {
    for broker in [broker, by_address] {
        let (log, _guard) = logged();
        let world = World::strict("SecurityGatewayEnabled = false", broker, agent).await;

        let content = allocate(&world).await;

        assert!(content.contains("ALLOC_FAILED_TO_ALLOCATE_AGENT"), "{content}");
        assert!(content.contains("Cannot communicate with PCoIP Agent"), "{content}");
        assert!(world.agent.lock().unwrap().is_empty(), "the agent was called");
        let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        assert!(log.contains("a loopback address, and `AllowedAgents`"), "{log}");
    }
}

#[tokio::test]
async fn a_target_with_a_short_form_address_is_refused() {
    let world = World::strict("SecurityGatewayEnabled = false", by_short_address, agent).await;

    let content = allocate(&world).await;

    assert!(content.contains("ERR_BROKER_RESP_FAILED"), "{content}");
    assert!(world.agent.lock().unwrap().is_empty(), "the agent was called");
}
