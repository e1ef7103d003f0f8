use std::path::Path;

use cmsg_config::Paths;

use super::*;
use crate::{
    answers::Answers,
    host::broker::{BrokerFact, Seen},
    installation::installed::InstalledFile,
    pki::sha256,
    plan::{
        self,
        tests::{BOTH, after, facts, installed, wanted},
    },
};

mod pins;

/// Adds lines to the configuration that a role has, in place of those with the same keys.
fn edit(facts: &mut Facts, role: Role, lines: &[(&str, &str)]) {
    let paths = Paths::under("/r");
    let mut file = present(&facts.installed, &paths, role).unwrap();
    for (key, value) in lines {
        file.set(key, [value]);
    }
    let file = InstalledFile { content: file.render().into(), is_private: true };
    facts.installed.files.insert(layout::conf(&paths, role), file);
}

/// The host after it was installed again.
fn again(facts: Facts, (wanted, answers): &(Wanted, Answers)) -> Facts {
    let plan = plan::install(wanted, &facts, answers);
    after(&plan, facts)
}

fn values(facts: &Facts, role: Role, key: &str) -> Vec<String> {
    let file = present(&facts.installed, &Paths::under("/r"), role).unwrap();
    file.values(key).map(|entry| entry.value.to_owned()).collect()
}

#[test]
fn administrators_keys_survive_and_their_pins_stay_with_their_broker() {
    let (wanted, _) = wanted(BOTH);
    let mut facts = installed(BOTH);
    let path = wanted.place.paths().connection_manager_conf();
    let text = facts.installed.files[&path].content.text();
    let pin = sha256(b"a key");
    let text = format!("{text}# mine\nMaxConnections = 7\nBrokerCertPin = {pin}\n");
    facts.installed.files.insert(path, InstalledFile { content: text.into(), is_private: true });

    let cm = Configuration::draft(&wanted, &facts).cm.unwrap();

    assert_eq!(cm.values("MaxConnections").next().unwrap().value, "7");
    assert_eq!(cm.values("BrokerCertPin").next().unwrap().value, pin.to_string());
    assert!(cm.render().contains("\n# mine\n"));
}

#[test]
fn a_broker_that_cannot_be_verified_is_pinned_and_another_brokers_pin_goes() {
    let seen = |trouble: Option<&str>| {
        BrokerFact::Seen(Seen {
            key: sha256(b"key"),
            certificate: sha256(b"certificate"),
            names: "b".to_owned(),
            trouble: trouble.map(str::to_owned),
        })
    };
    let table = [
        (seen(Some("unknown issuer")), Some(sha256(b"key").to_string())),
        (seen(None), None),
        (BrokerFact::NotAsked, None),
    ];
    for (broker, pin) in table {
        let (wanted, _) = wanted(BOTH);
        let mut facts = facts(&wanted);
        let old = format!("PcoipAddress = https://old\nBrokerCertPin = {}\n", sha256(b"old"));
        let path = wanted.place.paths().connection_manager_conf();
        let file = InstalledFile { content: old.into(), is_private: true };
        facts.installed.files.insert(path, file);
        facts.broker = broker;

        let cm = Configuration::draft(&wanted, &facts).cm.unwrap();

        let written = cm.values("BrokerCertPin").next().map(|entry| entry.value.to_owned());
        assert_eq!(written, pin);
    }
}

#[test]
fn given_pins_replace_those_in_use_and_no_key_of_a_known_broker_is_pinned_unasked() {
    const KEY: &str = "BrokerCertPin";
    let (one, other) = (sha256(b"one").to_string(), sha256(b"other").to_string());
    let given = |pins: &str| wanted(&format!("{BOTH}broker-pin: {pins}\n"));
    let unsaid = wanted(BOTH);

    let set = again(installed(BOTH), &given(&format!("[{one}, {other}]")));
    assert_eq!(values(&set, Role::Cm, KEY), [&*one, &*other]);
    let kept = again(set, &unsaid);
    assert_eq!(values(&kept, Role::Cm, KEY), [&*one, &*other]);
    let mut removed = again(kept, &given("[]"));
    assert_eq!(values(&removed, Role::Cm, KEY), [""; 0]);

    removed.broker = BrokerFact::Seen(Seen {
        key: sha256(b"key"),
        certificate: sha256(b"certificate"),
        names: "b".to_owned(),
        trouble: Some("expired".to_owned()),
    });
    assert_eq!(values(&again(removed, &unsaid), Role::Cm, KEY), [""; 0]);
}

#[test]
fn the_check_of_the_broker_is_as_it_was_said_and_else_the_administrators() {
    const KEY: &str = "BrokerCertCheck";
    let off = wanted(&format!("{BOTH}broker-cert-check: false\n"));
    let unsaid = wanted(BOTH);

    let switched = again(installed(BOTH), &off);
    assert_eq!(values(&switched, Role::Cm, KEY), ["false"]);
    let back = again(switched, &unsaid);
    assert_eq!(values(&back, Role::Cm, KEY), [""; 0]);

    let mut theirs = installed(BOTH);
    edit(&mut theirs, Role::Cm, &[(KEY, "false")]);
    let theirs = again(theirs, &unsaid);
    assert_eq!(values(&theirs, Role::Cm, KEY), ["false"]);
}

#[test]
fn networks_of_agents_are_those_of_the_flag_and_else_the_administrators() {
    const KEY: &str = "AllowedAgents";
    let given = wanted(&format!("{BOTH}allowed-agents: [10.9.0.5/16, '2001:db8::9']\n"));
    let unsaid = wanted(BOTH);

    let set = again(installed(BOTH), &given);
    for role in [Role::Cm, Role::Sg] {
        assert_eq!(values(&set, role, KEY), ["10.9.0.0/16", "2001:db8::9/128"]);
    }
    let back = again(set, &unsaid);
    let mut theirs = installed(BOTH);
    edit(&mut theirs, Role::Sg, &[(KEY, "127.0.0.0/8")]);
    let theirs = again(theirs, &unsaid);

    for role in [Role::Cm, Role::Sg] {
        assert_eq!(values(&back, role, KEY), [""; 0]);
    }
    assert_eq!(values(&theirs, Role::Sg, KEY), ["127.0.0.0/8"]);
}

#[test]
fn trusted_proxies_are_those_of_the_flag_and_else_the_administrators() {
    const KEY: &str = "TrustedProxies";
    let given = wanted(&format!("{BOTH}trusted-proxies: [10.9.0.5/16, '2001:db8::9']\n"));
    let unsaid = wanted(BOTH);

    let set = again(installed(BOTH), &given);
    assert_eq!(values(&set, Role::Cm, KEY), ["10.9.0.0/16", "2001:db8::9/128"]);
    assert_eq!(values(&set, Role::Sg, KEY), [""; 0]);
    let back = again(set, &unsaid);
    let mut theirs = installed(BOTH);
    edit(&mut theirs, Role::Cm, &[(KEY, "127.0.0.0/8")]);
    let theirs = again(theirs, &unsaid);

    assert_eq!(values(&back, Role::Cm, KEY), [""; 0]);
    assert_eq!(values(&theirs, Role::Cm, KEY), ["127.0.0.0/8"]);
}

#[test]
fn a_fresh_configuration_says_all_that_the_roles_need() {
    let (wanted, _) = wanted(&format!(
        "{BOTH}agent-port: 6000\nlicense-server-url: 2589@lls\nexternal-sg-ip: 192.0.2.9\n\
         external-sg-control: 192.0.2.9=sg:8443\n"
    ));

    let draft = Configuration::draft(&wanted, &facts(&wanted));

    let base = "/r/opt/teradici/pcoipcm_data";
    let common = |logs: &str| {
        format!(
            "SslCertificate = {base}/certs/cmsg.crt\nSslKey = {base}/certs/cmsg.key\n\
             DataDirectory = {base}/state\nRunDirectory = {base}/run\n\
             LogDirectory = /r/var/log/Teradici/{logs}\n"
        )
    };
    let head = "# Written by pcoip-cmsg-setup, which keeps comments and other keys.\n";
    assert_eq!(
        draft.cm.unwrap().render(),
        format!(
            "{head}PcoipAddress = https://b\nAgentPort = 6000\nLicenseServerAddress = 2589@lls\n\
             SecurityGatewayEnabled = true\nExternalRoutableIP = 192.0.2.1\nExternalPort = 20003\n\
             ExternalSecurityGateway = 192.0.2.9\n\
             ExternalSecurityGatewayControl = 192.0.2.9=sg:8443\n\
             ListenAddress = 127.0.0.1:20001\nHttpListenAddress = 127.0.0.1:20002\n{}\
             JwtSigningKey = {base}/certs/jwt-signing.key\n",
            common("ConnectionManager")
        )
    );
    assert_eq!(
        draft.sg.unwrap().render(),
        format!(
            "{head}ExternalRoutableIP = 192.0.2.1\nListenAddress = 127.0.0.1:20003\n\
             UdpSourceAddress = 127.0.0.1:20004\n{}\
             JwtVerifyingCertificate = {base}/certs/jwt-verifying.crt\n",
            common("SecurityGateway")
        )
    );
}

#[test]
fn certificates_and_folders_that_an_administrator_gave_a_role_stay_however_often() {
    const MINE: [(&str, &str); 5] = [
        ("SslCertificate", "/mine.crt"),
        ("SslKey", "/mine.key"),
        ("CaCertificate", "/mine-ca.crt"),
        ("DataDirectory", "/mine"),
        ("LogDirectory", "/mine-too"),
    ];
    const GIVEN: &str = "accept-policies: true\nroot: /r\nruntime: host\nbroker-url: https://b\n\
                         external-pcoip-ip: 192.0.2.1\nssl-cert: /c\nssl-key: /k\nca-cert: /a\n";
    for text in [BOTH, GIVEN] {
        let mut facts = installed(text);
        edit(&mut facts, Role::Sg, &MINE);

        for _ in 0..3 {
            facts = again(facts, &wanted(text));

            for (key, value) in MINE {
                assert_eq!(values(&facts, Role::Sg, key), [value]);
                assert!(!values(&facts, Role::Cm, key).contains(&value.to_owned()));
            }
        }
    }
}

#[test]
fn an_authority_that_is_given_later_comes_beside_the_administrators() {
    let authority = format!("{BOTH}ca-cert: /a\n");
    let ours = layout::authority(&Paths::under("/r")).display().to_string();
    let mut facts = installed(BOTH);
    edit(&mut facts, Role::Cm, &[("CaCertificate", "/mine-ca.crt")]);

    let given = again(facts, &wanted(&authority));
    assert_eq!(values(&given, Role::Cm, "CaCertificate"), [ours.as_str(), "/mine-ca.crt"]);
    assert_eq!(values(&given, Role::Sg, "CaCertificate"), [ours]);

    let taken_back = again(given, &wanted(BOTH));
    assert_eq!(values(&taken_back, Role::Cm, "CaCertificate"), ["/mine-ca.crt"]);
    assert_eq!(values(&taken_back, Role::Sg, "CaCertificate"), [""; 0]);
}

#[test]
fn an_installation_that_was_moved_names_its_new_folders() {
    let moved = BOTH.replace("root: /r", "root: /s");
    let (wanted, _) = wanted(&moved);
    let mut facts = installed(&format!("{BOTH}ca-cert: /a\n"));
    let to = |path: &Path| Path::new("/s").join(path.strip_prefix("/r").unwrap());
    facts.installed.files =
        facts.installed.files.iter().map(|(path, file)| (to(path), file.clone())).collect();

    let draft = Configuration::draft(&wanted, &facts);

    for file in [draft.cm.unwrap(), draft.sg.unwrap()] {
        assert!(!file.render().contains("/r/"), "{}", file.render());
    }
}

#[test]
fn the_agents_port_goes_back_to_its_default_unless_the_administrator_wrote_it() {
    let said = format!("{BOTH}agent-port: 6000\n");
    for (edited, left) in [(None, None), (Some("7000"), Some("7000"))] {
        let mut facts = installed(&said);
        edit(&mut facts, Role::Cm, &edited.map_or(vec![], |port| vec![("AgentPort", port)]));

        let facts = again(facts, &wanted(BOTH));

        assert_eq!(values(&facts, Role::Cm, "AgentPort").first().map(String::as_str), left);
    }
}

#[test]
fn the_note_of_a_role_that_is_not_wanted_stays_for_the_day_it_is() {
    let cm_only = format!("{BOTH}enable-security-gateway: false\n");
    let paths = Paths::under("/r");
    let before = installed(BOTH);
    let note = Record::of(&before.installed, &paths).written;

    let after = again(before, &wanted(&cm_only));

    let kept = Record::of(&after.installed, &paths).written;
    assert_eq!(kept.of(Role::Sg), note.of(Role::Sg));
    assert_eq!(kept.of(Role::Sg).of(CERTIFICATE).len(), 1);
}

#[test]
fn a_gateway_has_https_of_its_own_only_while_it_is_alone() {
    let alone =
        wanted(&format!("{BOTH}enable-connection-manager: false\njwt-verifying-cert: /j\n"));
    let both = wanted(BOTH);
    let https = |facts: &Facts| values(facts, Role::Sg, "HttpsListenAddress");
    let on = |facts: Facts, whom: &(Wanted, Answers)| {
        let installed = facts.installed;
        again(Facts { installed, ..super::super::tests::facts(&whom.0) }, whom)
    };

    let facts = on(installed(BOTH), &alone);
    assert_eq!(https(&facts), ["127.0.0.1:20001"]);
    let facts = on(facts, &both);
    assert_eq!(https(&facts), [""; 0]);
    let facts = on(facts, &alone);
    assert_eq!(https(&facts), ["127.0.0.1:20001"]);
}
