//! The installer's report, the privileges of the services, and sessions over IPv4 and IPv6.

use std::net::{IpAddr, SocketAddr};

use cmsg_config::socket::Role;
use serde_json::{Value, json};

use super::site::{Family, Site, V4, V6};

#[test]
fn the_stack_carries_sessions_over_both_families_and_clients_keep_their_addresses() {
    let Some(site) = Site::fresh() else { return };
    let (by_name, by_ipv6) = (site.desktop(&V4), site.desktop(&V6));

    let installed =
        site.install(&["--enable-ipv6", &format!("--external-pcoip-ip={}", V6.outside)]);
    assert_eq!((&installed["outcome"], &installed["restarts"]), (&json!("done"), &json!([])));
    let findings = installed["findings"].as_array().expect("a document has its findings");
    assert!(findings.iter().all(|finding| finding["id"] != "role.not-ready"), "{findings:?}");
    reports_what_runs(&site.done(&["status"]));
    may_do_little(&site);

    // The broker's name is only in `/etc/hosts`, with an IPv4 address.
    let first = [&V4, &V6].map(|family| (family, keeps_its_address(&site, family)));
    let url = format!("--broker-url=https://[{}]", V6.far);
    let configured = site.done(&["configure", &url, &format!("--host-address={NAME}")]);
    assert_eq!(configured["restarts"], json!(["cm"]));
    is_called_by_its_name(&site);
    let second = [&V4, &V6].map(|family| (family, keeps_its_address(&site, family)));

    came_from_the_gateway(by_name.stop(), &V4, &first);
    came_from_the_gateway(by_ipv6.stop(), &V6, &second);
}

/// The machine's name for clients, which differs from the host name in the container.
const NAME: &str = "cm.corp.example";

/// Checks that HTTP is redirected to this name from any other.
fn is_called_by_its_name(site: &Site) {
    let ask = "curl --silent --output /dev/null --write-out '%{redirect_url}'";
    let redirected = site.shell(&format!("{ask} --header 'Host: elsewhere' http://127.0.0.1/x"));
    assert_eq!(redirected, format!("https://{NAME}/x"));
}

/// Checks the `status` of a running stack.
fn reports_what_runs(status: &Value) {
    assert_eq!(status["runtime"], "swarm");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let listens = |role: &str| {
        let role = &status["roles"][role];
        assert_eq!((&role["live"], &role["ready"]), (&json!(true), &json!(true)), "{role}");
        role["listens"].clone()
    };
    assert_eq!(listens("cm"), json!(["broker=[::]:443/tcp", "http=[::]:80/tcp"]));
    assert_eq!(
        listens("sg"),
        json!(["pcoip=[::]:4172/tcp", "pcoip=[::]:4172/udp", "udp-source=[::]:55000/udp"])
    );
}

/// Checks the privileges of a role's process: it may only bind ports below 1024, as an unprivileged
/// user, and cannot write to its image.
fn may_do_little(site: &Site) {
    let user = site.shell("id -u pcoip-cmsg");
    for role in [Role::Cm, Role::Sg] {
        let pid = site.shell(&format!("pgrep -f '^/pcoip-cmsgd {}'", role.command()));
        let pid = pid.trim();
        let rights = site.shell(&format!(
            "awk '/^(Uid|CapEff|CapBnd|NoNewPrivs):/ {{ print $2 }}' /proc/{pid}/status"
        ));
        let rights: Vec<_> = rights.lines().collect();
        assert_eq!(rights[..3], [user.trim(), "0000000000000400", "0000000000000400"]);
        let written = site.shell(&format!("touch /proc/{pid}/root/written 2>&1 || true"));
        assert!(written.ends_with("Read-only file system\n"), "{role:?}: {written}");
    }
}

/// Checks that both roles see the client's own address in a session.
fn keeps_its_address(site: &Site, family: &Family) -> Value {
    let session = site.session(family);
    for role in [Role::Cm, Role::Sg] {
        let seen = site.seen(role, &session["session_log_id"]);
        assert_eq!(seen.client.as_deref(), Some(family.client), "{role:?}");
    }
    session
}

/// Checks that broker and agent saw these sessions with their own clients, and that the agent was
/// only contacted from the machine's address, with datagrams from the documented port.
fn came_from_the_gateway(
    [broker, agent]: [Vec<Value>; 2],
    desktop: &Family,
    sessions: &[(&Family, Value)],
) {
    let inside: IpAddr = desktop.inside.parse().expect("it is one");
    for (client, session) in sessions {
        let log_id = &session["session_log_id"];
        let requests = of(&broker, "request", "client_log_id", log_id);
        let forwarded: Vec<_> = requests.iter().map(|it| &it["x_forwarded_for"]).collect();
        assert_eq!(forwarded, vec![client.client; 6], "{}", json!(broker));
        let launched = of(&agent, "launch", "session_log_id", log_id);
        assert_eq!(launched.len(), 1, "{}", json!(agent));
        assert_eq!(launched[0]["client_ip"], client.client);

        let id = &session["target"]["session_id"];
        let tcp = of(&agent, "tag-ok", "session_id", id);
        let udp = of(&agent, "udp", "session_id", id);
        let ([tcp], [udp]) = (&tcp[..], &udp[..]) else {
            panic!("not one control connection and one flow: {}", json!(agent))
        };
        let peer = tcp["peer"].as_str().unwrap_or_default().parse::<SocketAddr>();
        assert_eq!(peer.map(|peer| peer.ip()), Ok(inside));
        assert_eq!(udp["from"], SocketAddr::new(inside, 55_000).to_string());
    }
    let violations = |all: &[Value]| all.iter().any(|event| event["event"] == "violation");
    assert!(!violations(&broker) && !violations(&agent), "{} {}", json!(broker), json!(agent));
}

/// The events of a kind that have this value there.
fn of<'a>(all: &'a [Value], kind: &str, key: &str, value: &Value) -> Vec<&'a Value> {
    all.iter().filter(|event| event["event"] == kind && event[key] == *value).collect()
}
