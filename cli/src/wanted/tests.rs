use super::*;
use crate::{answers::file, args::settings::Layer};

/// Flags as an answers file writes them.
pub(crate) fn answers(text: &str) -> Answers {
    let flags: Layer = file::parse(text).unwrap();
    Answers::resolve(&[(Origin::Flag, &flags)])
}

fn read(text: &str) -> Result<Wanted, Vec<Finding>> {
    let answers = answers(text);
    let (wanted, findings) = Wanted::read(&answers, Location::read(&answers)?);
    if findings.iter().any(Finding::is_error) { Err(findings) } else { Ok(wanted) }
}

fn refusals(text: &str) -> Vec<(&'static str, String)> {
    let errors = read(text).unwrap_err().into_iter().filter(Finding::is_error);
    errors.map(|finding| (finding.id, finding.what)).collect()
}

const BOTH: &str = "accept-policies: true\nself-signed: true\nbroker-url: https://b\n\
                    external-pcoip-ip: 192.0.2.1\n";

#[test]
fn each_role_is_wanted_with_what_it_needs() {
    let table = [
        ("", vec![Role::Cm, Role::Sg]),
        ("enable-security-gateway: false\n", vec![Role::Cm]),
        ("enable-connection-manager: false\njwt-verifying-cert: /j\n", vec![Role::Sg]),
    ];
    for (more, roles) in table {
        assert_eq!(read(&format!("{BOTH}{more}")).unwrap().roles(), roles, "{more}");
    }
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let told = refusals("");

    let whats: Vec<_> = told.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(
        whats,
        [
            "`--broker-url` is missing",
            "`--external-pcoip-ip` is missing",
            "no certificate was specified",
            "the policies are not accepted: the license (Apache-2.0) and the privacy statement \
             (nothing is collected or sent)",
        ]
    );
    assert!(told.iter().all(|(id, _)| id.starts_with("settings.")));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let table = [
        ("enable-connection-manager: false\n", "`--jwt-verifying-cert` is missing"),
        (
            "enable-connection-manager: false\nenable-security-gateway: false\n",
            "neither the Connection Manager nor the Security Gateway is enabled",
        ),
        (
            "external-sg-pin: '192.0.2.9=sha256:0000000000000000000000000000000000000000000000000000000000000000'\n",
            "`--external-sg-pin` names `192.0.2.9`, which is not in `--external-sg-ip`",
        ),
        (
            "external-sg-ip: 192.0.2.9\nexternal-sg-pin: 'sg:443=sha256:0000000000000000000000000000000000000000000000000000000000000000'\n",
            "`--external-sg-pin` names `sg:443`, which is not in `--external-sg-control`",
        ),
        (
            "external-sg-control: 192.0.2.9=sg:443\n",
            "`--external-sg-control` names `192.0.2.9`, which is not in `--external-sg-ip`",
        ),
        (
            "host-address: [a.example, b.example]\n",
            "`--host-address` contains more than one address or more than one name",
        ),
        ("listen: ['http=off', 'http=127.0.0.1:1']\n", "`--listen` sets `http` more than once"),
        (
            "listen: 'broker=[::1]:0'\n",
            "`--listen` sets `broker` to an IPv6 address, but IPv6 is not enabled",
        ),
    ];
    for (more, what) in table {
        let told = refusals(&format!("{BOTH}{more}"));

        assert_eq!(told.len(), 1, "{more}: {told:?}");
        assert_eq!(told[0].1, what);
    }
}

#[test]
fn there_is_one_external_address_a_family() {
    let base = "accept-policies: true\nself-signed: true\nbroker-url: https://b\n";
    let table = [
        (
            "external-pcoip-ip: [192.0.2.1, 192.0.2.2]",
            Some("`--external-pcoip-ip` contains 2 IPv4 addresses"),
        ),
        (
            "external-pcoip-ip: ['2001:db8::1']",
            Some("`--external-pcoip-ip` contains an IPv6 address, but IPv6 is not enabled"),
        ),
        ("external-pcoip-ip: [192.0.2.1, '2001:db8::1']\nenable-ipv6: true", None),
    ];
    for (more, what) in table {
        let told = read(&format!("{base}{more}\n"));

        assert_eq!(told.err().map(|findings| findings[0].what.clone()).as_deref(), what, "{more}");
    }
}

#[test]
fn a_listener_has_an_ipv6_address_where_ipv6_is_enabled() {
    let read = read(&format!("{BOTH}enable-ipv6: true\nlisten: 'broker=[::1]:0'\n")).unwrap();

    assert_eq!(read.listen, ["broker=[::1]:0".parse().unwrap()]);
}

#[test]
fn a_given_certificate_needs_its_key_and_its_authority() {
    let base = "accept-policies: true\nbroker-url: https://b\nexternal-pcoip-ip: 192.0.2.1\n";

    let told = refusals(&format!("{base}ssl-cert: /c\n"));

    assert_eq!(
        told,
        [
            ("settings.missing", "`--ssl-key` is missing".to_owned()),
            ("settings.missing", "`--ca-cert` is missing".to_owned()),
        ]
    );
}

#[test]
fn a_value_that_cannot_be_read_is_a_mistake_of_usage() {
    let told = read(&format!("{BOTH}agent-port: 0\nlisten: nowhere\n")).unwrap_err();

    assert!(told.iter().all(Finding::is_usage));
    assert_eq!(told[0].what, "`--agent-port`: `0` is not a port from 1 to 65535");
    assert_eq!(told[0].cure, "write a number from 1 to 65535, such as `--agent-port 60443`");
    assert_eq!(told.len(), 2);
}

#[test]
fn the_agents_port_is_wanted_only_where_it_was_said() {
    let port = |text: &str| read(text).unwrap().connection_manager.unwrap().agent_port;

    assert_eq!(port(BOTH), None);
    assert_eq!(port(&format!("{BOTH}agent-port: 60443\n")), Some(Port(60443)));
}

#[test]
fn the_root_of_the_machine_is_no_other_root() {
    assert_eq!(Location::read(&answers("root: /")).unwrap_err()[0].id, "usage.value");
    assert_eq!(
        Location::read(&answers("root: /r\nruntime: host")),
        Ok(Location { runtime: Runtime::Host, root: Some(PathBuf::from("/r")) })
    );
}

#[test]
fn a_gateways_address_is_one_that_clients_can_connect_to() {
    const NO_ADDRESS: &str = "which is not a host's address";
    let table = [
        ("0.0.0.0", "", Some(NO_ADDRESS)),
        ("0.0.0.0", "root: /r\n", Some(NO_ADDRESS)),
        ("'::'", "enable-ipv6: true\n", Some(NO_ADDRESS)),
        ("127.0.0.1", "", Some("which is a loopback address, which no client can reach")),
        (
            "'::1'",
            "enable-ipv6: true\n",
            Some("which is a loopback address, which no client can reach"),
        ),
        (
            "'::ffff:127.0.0.1'",
            "enable-ipv6: true\n",
            Some("which is a loopback address, which no client can reach"),
        ),
        ("127.0.0.1", "root: /r\n", None),
        ("224.0.0.1", "", Some("which is a multicast address")),
        ("'ff02::1'", "enable-ipv6: true\n", Some("which is a multicast address")),
        ("255.255.255.255", "", Some("which is a broadcast address")),
        ("198.51.100.1", "", None),
    ];
    for (address, more, why) in table {
        let base = "accept-policies: true\nself-signed: true\nbroker-url: https://b\n";
        let own = read(&format!("{base}{more}external-pcoip-ip: [{address}]\n"));
        let other = read(&format!("{BOTH}{more}external-sg-ip: [{address}]\n"));

        let plain = address.trim_matches('\'');
        for (told, name, id) in [
            (own, "external-pcoip-ip", "settings.external-pcoip-ip"),
            (other, "external-sg-ip", "settings.external-sg"),
        ] {
            let told = told.err().map(|found| (found.len(), found[0].id, found[0].what.clone()));
            let expected = why.map(|why| (1, id, format!("`--{name}` contains `{plain}`, {why}")));
            assert_eq!(told, expected);
        }
    }
}

#[test]
fn a_gateways_address_is_given_once() {
    let base = "accept-policies: true\nself-signed: true\nbroker-url: https://b\n";
    let own = refusals(&format!("{base}external-pcoip-ip: [192.0.2.1, 192.0.2.1]\n"));
    let other = refusals(&format!("{BOTH}external-sg-ip: [192.0.2.9, 192.0.2.8, 192.0.2.9]\n"));

    let what = |name, address| format!("`--{name}` contains `{address}` twice");
    let [name, other_name] = ["external-pcoip-ip", "external-sg-ip"];
    assert_eq!(own, [("settings.external-pcoip-ip", what(name, "192.0.2.1"))]);
    assert_eq!(other, [("settings.external-sg", what(other_name, "192.0.2.9"))]);
}

#[test]
fn what_a_disabled_role_ignores_is_told() {
    const MANAGER: &str = "because the Connection Manager is disabled";
    let warned = |from, text: &str| {
        let layer = file::parse(text).unwrap();
        let answers = Answers::resolve(&[(from, &layer)]);
        let (_, findings) = Wanted::read(&answers, Location::read(&answers).unwrap());
        assert!(!findings.iter().any(Finding::is_error), "{findings:?}");
        assert!(findings.iter().all(|finding| finding.id == "settings.ignored"));
        findings.into_iter().map(|finding| finding.what).collect::<Vec<_>>()
    };
    let gateway = format!(
        "{BOTH}enable-connection-manager: false\njwt-verifying-cert: /j\nagent-port: 1\n\
         license-server-url: 1@l\nlisten: [http=off, 'broker=0.0.0.0:1']\n"
    );
    let manager = format!(
        "{BOTH}enable-security-gateway: false\nruntime: host\n\
                           docker-network-cidr: 10.0.0.0/24\nlisten: 'pcoip=0.0.0.0:1'\n"
    );

    assert_eq!(
        warned(Origin::Flag, &gateway),
        [
            format!("`--broker-url` is ignored {MANAGER}"),
            format!("`--license-server-url` is ignored {MANAGER}"),
            format!("`--agent-port` is ignored {MANAGER}"),
            "`--listen` sets `http`, which no enabled role uses".to_owned(),
        ]
    );
    assert_eq!(
        warned(Origin::Flag, &manager),
        [
            "`--external-pcoip-ip` is ignored because the Security Gateway is disabled",
            "`--docker-network-cidr` is ignored because the runtime is not Docker Swarm",
            "`--listen` sets `pcoip`, which no enabled role uses",
        ]
    );
    assert_eq!(warned(Origin::Saved, &gateway), [""; 0]);
    assert_eq!(warned(Origin::Flag, BOTH), [""; 0]);
}
