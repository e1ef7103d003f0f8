//! Sessions across hosts: clients outside, broker and agent inside, and hosts of the product
//! between them, each with the documented ports.

use std::net::{IpAddr, SocketAddr};

use cmsg_config::socket::Role;
use e2e::{
    hosts::{Hosts, host::Host, network::Family},
    needs::{Need, met},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

#[path = "across_hosts/failover.rs"]
mod failover;

const NEEDS: [Need; 3] = [Need::Root, Need::Namespace, Need::Tool("openssl")];

/// Two hosts that announce to each other, installed like an administrator does: the certificate of
/// one exists when the other is installed. The gateway of `a` accepts a single session.
fn installed(family: Family) -> Hosts {
    let hosts = Hosts::start(family);
    let (a, b) = (&hosts.a, &hosts.b);
    a.install(&[]);
    b.install(&[Host::announcing_to(a), Host::taking_from(a)].concat());
    a.configure(Role::Sg, "MaxConnections = 1");
    a.install(&[Host::announcing_to(b), Host::taking_from(b)].concat());
    // A Connection Manager that started before a gateway checks it again shortly afterwards.
    for host in [a, b] {
        failover::until_gateways(host, |all| all.iter().all(|gateway| gateway.takes_sessions));
    }
    hosts
}

/// The result of a client, which must have this error or none.
fn result(mut events: Vec<Value>, error: Option<&str>) -> Value {
    let result = events.pop().expect("a client ends with its result");
    assert_eq!(result["error"], json!(error), "{}", json!(events));
    result
}

/// Checks that a client's session is at the gateway of this host, with datagrams in both
/// directions.
fn was_at(host: &Host, result: &Value) {
    assert_eq!(result["target"]["ip"], host.outside.to_string());
    assert_eq!(result["target"]["port"], 4172);
    for way in ["to_agent", "to_client"] {
        assert!(result["udp"][way]["datagrams"].as_u64() >= Some(200), "{result}");
    }
}

/// Checks that a session reached the agent from this address, and its datagrams from the documented
/// port.
fn came_from(inside: IpAddr, result: &Value, agent: &[Value]) {
    let of_session = |kind| {
        let id = &result["target"]["session_id"];
        events(agent, kind).into_iter().filter(|e| e["session_id"] == *id).collect::<Vec<_>>()
    };
    let ([tcp], [udp]) = (&of_session("tag-ok")[..], &of_session("udp")[..]) else {
        panic!("not one control connection and one flow: {}", json!(agent))
    };

    let peer = tcp["peer"].as_str().unwrap_or_default().parse::<SocketAddr>();
    assert_eq!(peer.map(|peer| peer.ip()), Ok(inside));
    assert_eq!(udp["from"], SocketAddr::new(inside, 55_000).to_string());
}

fn events<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|event| event["event"] == kind).collect()
}

fn sessions(host: &Host) -> Vec<Value> {
    host.connections(Role::Sg).into_iter().map(|session| session.id.into()).collect()
}

fn own_gateway(family: Family) {
    if !met(&NEEDS) {
        return;
    }
    let hosts = installed(family);
    let (a, b) = (&hosts.a, &hosts.b);

    let session = result(hosts.client_of(a, &[]).end(), None);

    was_at(a, &session);
    assert_eq!((sessions(a), sessions(b)), (vec![session["session_log_id"].clone()], vec![]));
    let listens = [Role::Cm, Role::Sg].map(|role| a.status(role).listens).concat();
    let ports: Vec<_> = listens.iter().map(|l| (l.key.as_str(), l.address.port())).collect();
    let pcoip = ("pcoip", 4172);
    assert_eq!(ports, [("broker", 443), ("http", 80), pcoip, pcoip, ("udp-source", 55_000)]);

    let (client, inside) = (hosts.client().to_string(), a.inside);
    let said = hosts.end();
    came_from(inside, &session, &said.agent);
    let requests = events(&said.broker, "request");
    assert_eq!(requests.len(), 6);
    assert!(requests.iter().all(|r| r["x_forwarded_for"] == client), "{}", json!(requests));
    let violations = [&said.broker, &said.agent].map(|all| events(all, "violation"));
    assert_eq!(violations, [vec![], vec![]] as [Vec<&Value>; 2]);
}

#[test]
fn a_session_goes_through_the_own_gateway_over_ipv4() {
    own_gateway(Family::V4);
}

#[test]
fn a_session_goes_through_the_own_gateway_over_ipv6() {
    own_gateway(Family::V6);
}

fn full_gateway(family: Family) {
    if !met(&[&NEEDS[..], &[Need::Tool("curl")]].concat()) {
        return;
    }
    let hosts = installed(family);
    let (a, b) = (&hosts.a, &hosts.b);

    let mut first = hosts.client_of(a, &["--hold", "60"]);
    first.wait_for(|event| event["name"] == "udp");
    let second = result(hosts.client_of(a, &[]).end(), None);
    failover::until_gateways(a, |gateways| !gateways[0].takes_sessions);
    let health = ["/pcoip-sg/health", "/health"].map(|path| hosts.curl(a, path));
    let first = result(first.stop(), Some("stopped"));

    was_at(a, &first);
    was_at(b, &second);
    let full =
        r#"{"code":503,"status":"Error","reason":"the session limit of the gateway is reached"}"#;
    assert_eq!(health, [full, r#"{"code":200,"status":"success"}"#]);
    assert_eq!(sessions(a), [first["session_log_id"].clone()]);
    assert_eq!(sessions(b), [second["session_log_id"].clone()]);
    let inside = [a.inside, b.inside];
    let said = hosts.end();
    came_from(inside[0], &first, &said.agent);
    came_from(inside[1], &second, &said.agent);
}

#[test]
fn a_session_goes_through_another_gateway_where_the_own_one_is_full_over_ipv4() {
    full_gateway(Family::V4);
}

#[test]
fn a_session_goes_through_another_gateway_where_the_own_one_is_full_over_ipv6() {
    full_gateway(Family::V6);
}

#[test]
fn a_session_goes_through_another_gateway_where_the_own_one_hangs() {
    if !met(&NEEDS) {
        return;
    }
    let hosts = installed(Family::V4);
    let (a, b) = (&hosts.a, &hosts.b);
    let hanging = Pid::from_raw(i32::try_from(a.status(Role::Sg).pid).unwrap());

    kill(hanging, Signal::SIGSTOP).unwrap();
    let session = result(hosts.client_of(a, &[]).end(), None);
    kill(hanging, Signal::SIGCONT).unwrap();

    was_at(b, &session);
    let inside = b.inside;
    came_from(inside, &session, &hosts.end().agent);
}

fn unknown_key(family: Family) {
    if !met(&NEEDS) {
        return;
    }
    let hosts = Hosts::start(family);
    let (a, b) = (&hosts.a, &hosts.b);
    b.install(&[]);
    let no_gateway = vec!["--enable-security-gateway=false".to_owned()];
    a.install(&[no_gateway, Host::announcing_to(b)].concat());

    let told = hosts.client_of(a, &[]).end();

    let session = result(told, Some("allocate: answer is the error `ERR_GENERIC`"));
    assert_eq!((&session["target"], sessions(b)), (&Value::Null, vec![]));
    let log = a.log(Role::Cm);
    assert!(log.contains("Answering the request (allocate-resource) with error 6612"), "{log}");
    let log = b.log(Role::Sg);
    let refusal = log.lines().find(|line| line.contains("Announcement refused"));
    let why = "the token is not signed with a known key";
    assert!(refusal.is_some_and(|line| line.contains(why)), "{log}");
    let said = hosts.end();
    let [launched, others @ ..] = ["launch", "connected", "udp"].map(|k| events(&said.agent, k));
    assert_eq!((launched.len(), others), (1, [vec![], vec![]]));
}

#[test]
fn an_announcement_signed_with_an_unknown_key_opens_nothing_over_ipv4() {
    unknown_key(Family::V4);
}

#[test]
fn an_announcement_signed_with_an_unknown_key_opens_nothing_over_ipv6() {
    unknown_key(Family::V6);
}

fn second_address(family: Family) {
    if !met(&NEEDS) {
        return;
    }
    let mut hosts = Hosts::start(family);
    hosts.move_a_to_second_address();
    hosts.a.install(&[]);

    let session = result(hosts.client_of(&hosts.a, &[]).end(), None);

    was_at(&hosts.a, &session);
    let inside = hosts.a.inside;
    came_from(inside, &session, &hosts.end().agent);
}

#[test]
fn a_client_is_answered_from_the_address_that_it_called_over_ipv4() {
    second_address(Family::V4);
}

#[test]
fn a_client_is_answered_from_the_address_that_it_called_over_ipv6() {
    second_address(Family::V6);
}

/// A Connection Manager alone on `a` and a gateway alone on `b`.
fn halves(family: Family) {
    if !met(&[&NEEDS[..], &[Need::Tool("curl")]].concat()) {
        return;
    }
    let hosts = Hosts::start(family);
    let (a, b) = (&hosts.a, &hosts.b);
    let without = |half: &str| vec![format!("--enable-{half}=false")];
    a.install(&without("security-gateway"));
    b.install(&[without("connection-manager"), Host::taking_from(a)].concat());
    a.install(&Host::announcing_to(b));

    let session = result(hosts.client_of(a, &[]).end(), None);

    was_at(b, &session);
    assert_eq!(sessions(b), [session["session_log_id"].clone()]);
    assert_eq!(hosts.curl(b, "/health"), r#"{"code":200,"status":"success"}"#);
    assert_eq!(hosts.curl(b, "/pcoip-broker/xml"), "Not Found");
    let listens = b.status(Role::Sg).listens;
    let ports: Vec<_> = listens.iter().map(|l| (l.key.as_str(), l.address.port())).collect();
    let pcoip = ("pcoip", 4172);
    assert_eq!(ports, [pcoip, pcoip, ("udp-source", 55_000), ("broker", 443)]);
    let inside = b.inside;
    came_from(inside, &session, &hosts.end().agent);
}

#[test]
fn a_session_goes_through_a_gateway_that_is_alone_over_ipv4() {
    halves(Family::V4);
}

#[test]
fn a_session_goes_through_a_gateway_that_is_alone_over_ipv6() {
    halves(Family::V6);
}
