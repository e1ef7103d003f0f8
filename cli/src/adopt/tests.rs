//! What is read of the documented product, in tables.

use std::collections::BTreeMap;

use cmsg_engine::MountFact;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;
use crate::{
    args::settings::Setting,
    host::{ports::Listener, sockets::Owner},
    pki::generate::{self, Key, Pair, Request},
    plan::tests::{facts, wanted},
    wanted::listen::ListenKey,
};

const CM: &str = "docker.cloudsmith.io/teradici/pcoip-cmsg/pcoip-cm:25.03@sha256:1";
const SG: &str = "docker.cloudsmith.io/teradici/pcoip-cmsg/sg:23.04";
const CERTS: &str = "/opt/teradici/pcoipcm_data/certs";

fn service(name: &str, image: &str, environment: &[(&str, &str)]) -> ServiceFact {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ServiceFact {
        name: name.to_owned(),
        stack: Some("pcoipcm".to_owned()),
        image: image.to_owned(),
        running: 1,
        desired: 1,
        environment: environment.iter().map(owned).collect(),
        mounts: vec![MountFact {
            source: CERTS.into(),
            target: "/certs".into(),
            is_read_only: true,
        }],
        ..ServiceFact::default()
    }
}

/// Both services, as the engine shows them with these ports.
fn vendor(environment: &[(&str, &str)], ports: &[(u16, u16)]) -> Vendor {
    let ports: Vec<Value> = ports
        .iter()
        .map(|(target, published)| json!({ "TargetPort": target, "PublishedPort": published }))
        .collect();
    let shown = json!({ "Spec": { "Name": "pcoipcm_cm", "EndpointSpec": { "Ports": ports } } });
    Vendor {
        services: vec![service("pcoipcm_cm", CM, environment), service("pcoipcm_sg", SG, &[])],
        others: Others { services: vec![shown], ..Others::default() },
        ..Vendor::default()
    }
}

fn paths() -> Paths {
    Paths::under("/")
}

fn conf(role: Role, text: &str) -> (Role, PathBuf, Content) {
    let path = layout::conf(&paths(), role);
    (role, path, text.into())
}

/// Answers in one line each, but for the certificates, and the ids of what is told.
fn read(vendor: &Vendor) -> (Vec<String>, Vec<String>) {
    let Adoption { layer, findings, .. } = judge(vendor, &paths());
    let answers = layer.iter().map(|(name, texts)| format!("{name}={}", texts.join(" ")));
    let told = findings.into_iter().filter(|finding| finding.id != "adopt.certificate");
    (answers.collect(), told.map(|finding| finding.what).collect())
}

#[test]
fn configurations_become_answers() {
    let table: [(Role, &str, &[&str]); 9] = [
        (Role::Cm, "PcoipAddress = https://b:8443\n", &["broker-url=https://b:8443"]),
        (Role::Cm, "pcoipaddress = broker.example\n", &["broker-url=https://broker.example"]),
        (
            Role::Cm,
            "LicenseServerAddress = 2589@a, http://b:7070/request\n",
            &["license-server-url=2589@a http://b:7070/request"],
        ),
        (Role::Cm, "BrokerCertCheck = True\n", &["broker-cert-check=true"]),
        (
            Role::Cm,
            "ExternalSecurityGateway=192.0.2.8\nExternalSecurityGateway=192.0.2.9\n",
            &["external-sg-ip=192.0.2.8 192.0.2.9"],
        ),
        (Role::Sg, "ExternalRoutableIP = \"192.0.2.1\"\n", &["external-pcoip-ip=192.0.2.1"]),
        (
            Role::Sg,
            "ExternalRoutableIP = 192.0.2.1\nExternalRoutableIP = 2001:db8::1\n",
            &["enable-ipv6=true", "external-pcoip-ip=192.0.2.1 2001:db8::1"],
        ),
        (Role::Cm, "LogLevel = DEBUG\nClientSSLCipherBlackList = X\n", &[]),
        (Role::Cm, "", &[]),
    ];
    for (role, text, answers) in table {
        let vendor = Vendor { confs: vec![conf(role, text)], ..vendor(&[], &[]) };

        assert_eq!(
            read(&vendor),
            (answers.iter().map(ToString::to_string).collect(), vec![]),
            "{text}"
        );
    }
}

#[test]
fn what_services_are_given_becomes_answers_and_the_rest_is_told_by_name() {
    let environment = [
        ("BROKER_URL", "https://b"),
        ("PCOIP_CMSG_LICENSE_SERVER_URL", "https://lls:7071"),
        ("EXTERNAL_PCOIP_IP", "192.0.2.1"),
        ("SSO_ENROLLMENT_PASSWORD", "s3cr3t"),
        ("JWT_SIGNING_KEY", "/certs/sign.key"),
        ("SELF_SIGNED", "true"),
        ("VENDOR_TOKEN", "t0k3n"),
    ];

    let (answers, told) = read(&vendor(&environment, &[]));

    assert_eq!(
        answers,
        [
            "broker-url=https://b",
            "external-pcoip-ip=192.0.2.1",
            &format!("jwt-signing-key={CERTS}/sign.key"),
            "license-server-url=https://lls:7071",
            "sso-enrollment-password=s3cr3t",
        ]
    );
    assert_eq!(
        told,
        ["these parameters in the service `pcoipcm_cm` are not taken over: `SELF_SIGNED`, \
             `VENDOR_TOKEN`"]
    );
}

#[test]
fn what_is_not_understood_or_contradicts_is_told() {
    let vendor = Vendor {
        confs: vec![
            conf(Role::Cm, "PcoipAddress = https://first\nAgentPort = many\n"),
            (Role::Sg, "/other/SecurityGateway.conf".into(), "\nMaxConnections = 7\n".into()),
        ],
        ..vendor(&[("BROKER_URL", "https://second")], &[(9999, 9998)])
    };

    let (answers, told) = read(&vendor);

    assert_eq!(answers, ["broker-url=https://first"]);
    assert_eq!(
        told,
        [
            "the value for `--agent-port` in `/opt/teradici/pcoipcm_data/data/ConnectionManager.conf` cannot be parsed: many",
            "these keys in `/other/SecurityGateway.conf` are not taken over: `MaxConnections` \
             (line 2)",
            "the service `pcoipcm_cm` contradicts an earlier value of `--broker-url`",
            "its services publish port 9999 as 9998: nothing will listen there afterwards",
        ]
    );
}

#[test]
fn roles_and_ports_follow_the_services() {
    let both = || vendor(&[], &[(8443, 443), (8080, 80), (4172, 4172)]);
    assert_eq!(read(&both()), (vec![], vec![]));
    assert_eq!(read(&vendor(&[], &[(8443, 8443), (8080, 8080)])), (vec![], vec![]));
    let moved = read(&vendor(&[], &[(8443, 9443), (4172, 4173)])).0;
    assert_eq!(moved, ["listen=broker=0.0.0.0:9443 pcoip=0.0.0.0:4173"]);

    let mut one = both();
    one.services.remove(1);
    one.services.push(service("pcoipcm_fa", "vendor/fa:1", &[]));
    assert_eq!(
        read(&one),
        (
            vec!["enable-security-gateway=false".to_owned()],
            vec![
                "`pcoipcm_fa` runs `vendor/fa:1`, which is neither a Connection Manager nor a Security Gateway: it is removed without a replacement"
                    .to_owned()
            ],
        )
    );
    one.services.remove(0);
    let told = judge(&one, &paths()).findings.into_iter().find(Finding::is_error).unwrap();
    assert_eq!(told.id, "adopt.nothing");
}

fn pair(key: Key) -> Pair {
    let now = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
    generate::pair(&Request { key, names: vec!["cm.example".to_owned()], now }).unwrap()
}

fn certificates(files: &[(&str, &Content)]) -> (BTreeMap<Setting, String>, Vec<String>) {
    let files =
        files.iter().map(|(name, content)| (Path::new(CERTS).join(name), (*content).clone()));
    let vendor = Vendor { files: files.collect(), ..vendor(&[], &[]) };
    let Adoption { layer, findings, .. } = judge(&vendor, &paths());
    let short = |text: &String| text.replace(&format!("{CERTS}/"), "");
    let found = layer.iter().map(|(setting, texts)| (*setting, short(&texts[0]))).collect();
    (found, findings.into_iter().map(|finding| finding.what.replace(CERTS, "")).collect())
}

#[test]
fn certificates_and_keys_are_found_by_what_is_in_them() {
    let (tls, other, jwt) = (pair(Key::NewRsa), pair(Key::NewRsa), pair(Key::NewP256));
    let all = [
        ("a.pem", &tls.certificate),
        ("b.pem", &tls.key),
        ("c.pem", &jwt.certificate),
        ("d.pem", &jwt.key),
        ("readme", &Content::from("nothing of ours")),
    ];
    let expected = [
        (Setting::CaCert, "a.pem"),
        (Setting::JwtSigningKey, "d.pem"),
        (Setting::JwtVerifyingCert, "c.pem"),
        (Setting::SslCert, "a.pem"),
        (Setting::SslKey, "b.pem"),
    ];
    let expected = expected.map(|(setting, file)| (setting, file.to_owned()));

    assert_eq!(certificates(&all), (expected.into(), vec![]));
    let named = [
        ("jwt.crt", &other.certificate),
        ("jwt.key", &other.key),
        ("tcl-cert.crt", &tls.certificate),
        ("tcl-cert.key", &tls.key),
    ];
    let (found, lacking) = certificates(&named);
    let settings: Vec<_> = found.keys().copied().collect();
    assert_eq!(
        settings,
        [
            Setting::JwtSigningKey,
            Setting::JwtVerifyingCert,
            Setting::TrustedLicenseCert,
            Setting::TrustedLicenseCertKey,
        ]
    );
    assert_eq!(lacking, ["no certificate with a matching key was found"]);
    let two = [&all[..2], &[("x.crt", &other.certificate), ("x.key", &other.key)][..]].concat();
    assert_eq!(
        certificates(&two).1,
        ["several keys have a matching certificate: `/b.pem`, `/x.key`"]
    );
}

#[test]
fn a_path_that_leads_back_up_is_kept_below_the_folder_too() {
    let path = Path::new("/srv/certs/../../../../../../../../etc/cron.d/cert.key");
    let vendor = Vendor { files: vec![(path.to_owned(), "* * * * *".into())], ..vendor(&[], &[]) };

    let adopted = judge(&vendor, &paths()).adopted.unwrap();

    let kept = adopted.kept.last().unwrap().0.display().to_string();
    let folder = "/opt/teradici/pcoipcm_data/data/adopted/files";
    assert_eq!(kept, format!("{folder}/srv/certs/etc/cron.d/cert.key"));
}

#[test]
fn all_that_it_is_made_of_is_kept_aside() {
    let vendor = Vendor {
        confs: vec![conf(Role::Cm, "# theirs\n")],
        files: vec![(Path::new(CERTS).join("a.key"), "key".into())],
        ..vendor(&[], &[(8443, 443)])
    };

    let adopted = judge(&vendor, &paths()).adopted.unwrap();

    let base = "/opt/teradici/pcoipcm_data";
    let kept: Vec<_> = adopted.kept.iter().map(|(path, _)| path.display().to_string()).collect();
    let folder = format!("{base}/data/adopted");
    assert_eq!(
        kept,
        [
            format!("{folder}/stack.yaml"),
            format!("{folder}/services.json"),
            format!("{folder}/files{base}/data/ConnectionManager.conf"),
            format!("{folder}/files{base}/certs/a.key"),
        ]
    );
    assert_eq!(adopted.kept[2].1.text(), "# theirs\n");
    assert_eq!(adopted.published, [443]);
}

#[test]
fn its_own_ports_and_networks_are_not_in_the_way() {
    let (wanted, _) = wanted(crate::plan::tests::BOTH);
    let mut facts = facts(&wanted);
    let taken = || Trouble::Taken {
        transport: "tcp",
        owner: Some(Owner { name: "x".to_owned(), pid: u32::MAX }),
    };
    let listener = |port: u16| Listener {
        address: Some(([0, 0, 0, 0], port).into()),
        troubles: vec![taken()],
        is_any: false,
    };
    facts.listeners = [(ListenKey::Broker, listener(443)), (ListenKey::Http, listener(80))].into();
    let network = |name: &str| crate::host::networks::Taken {
        network: "10.101.0.0/24".parse().unwrap(),
        what: engine::called(name),
    };
    facts.networks = vec![network("pcoipcm_theirs"), network("other")];
    let adopted = Adopted {
        networks: vec!["pcoipcm_theirs".to_owned()],
        published: vec![443],
        ..Adopted::default()
    };

    settle(&mut facts, &Adoption { adopted: Some(adopted), ..Adoption::default() });

    let troubles = |key| facts.listeners[&key].troubles.len();
    assert_eq!((troubles(ListenKey::Broker), troubles(ListenKey::Http)), (0, 1));
    assert_eq!(facts.networks, [network("other")]);
}

#[test]
fn a_configuration_keeps_what_does_not_say_how_a_container_is() {
    let (wanted, _) = wanted(crate::plan::tests::BOTH);
    let mut facts = facts(&wanted);
    let text = "# theirs\nListenAddress = 0.0.0.0:8443\nSslKey = /certs/x\nMaxConnections = 7\n\
                Unknown = kept\n";
    assert_eq!(configuration(ConfFile::parse(text), &facts).render(), text);

    facts.adopted = Some(Adopted::default());

    let left = configuration(ConfFile::parse(text), &facts).render();
    assert_eq!(left, "# theirs\nMaxConnections = 7\nUnknown = kept\n");
}
