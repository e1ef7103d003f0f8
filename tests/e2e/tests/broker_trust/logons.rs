//! Logons at an installation whose broker gets another certificate.

use std::net::{Ipv4Addr, SocketAddr};

use cmsg_config::socket::{self, Role, Status};
use e2e::{
    installation::Installation,
    installer::{INSTALL_ON_HOST, document, plain, with},
    site::credentials,
};
use pcoip_sim::{
    agent::{self, Agent},
    broker::{self, Broker},
    client,
    layout::Layout,
    tls::{CertificateKind, Trust},
};
use serde_json::{Value, json};

use super::{WAIT, findings, log, until, words};

const PASSCODE: &str = "123456";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_of_the_broker_is_named_everywhere_and_one_flag_pins_it() {
    let agent = agent().await;
    let old = broker((Ipv4Addr::LOCALHOST, 0).into(), &agent).await;
    let site = installed(&old, &agent);
    assert_eq!(log_on(&site).await, None);

    old.stop().await;
    let new = broker(old.address, &agent).await;

    let certificate = format!("sha256:{}", new.certificate_sha256);
    let status = until(&site, "the new certificate", |cm| {
        cm["broker"]["refused"]["certificate"] == json!(certificate)
    });
    let cm = &status["roles"]["cm"];
    assert_eq!(cm["broker"]["refused"]["problem"], "not-pinned");
    assert!(cm["broker"]["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{cm:#}");
    let reason = cm["reason"].as_str().expect("it is not ready");
    const ANOTHER: &str = "Z: the broker presents a different certificate than the pinned one; \
                           certificate sha256:";
    assert!(reason.starts_with("Cannot communicate with broker since 20"), "{reason}");
    assert!(reason.contains(ANOTHER) && reason.contains(&certificate), "{reason}");
    let key = cm["broker"]["refused"]["key"].as_str().expect("it has a key").to_owned();
    let found = findings(&status, "broker.key-changed");
    let (what, cure) = words(found[0]);
    assert!(what.starts_with("users have not been able to log on since 20"), "{what}");
    assert!(what.contains(&certificate), "{what}");
    assert!(cure.contains(&format!("--broker-pin {key}")), "{cure}");

    assert_eq!((&cm["state"], &cm["broker"]["is_pinned"]), (&json!("not-ready"), &json!(true)));
    assert!(cm["started"].as_u64().is_some(), "{cm:#}");
    let text = shown(&site, &["status"]);
    assert!(text.contains("\n              certificate refused\n"), "{text}");
    let cause = cm["broker"]["reason"].as_str().expect("it has a cause");
    assert!(text.contains(&format!(": {cause}\n")) && text.contains(cure), "{text}");

    let told = log(&site);
    let line = told.lines().rfind(|line| line.contains("Not ready for sessions"));
    let line = line.unwrap_or_else(|| panic!("no line of it: {told}"));
    assert!(line.contains("the pinned one") && line.contains(&certificate), "{line}");
    assert!(line.contains("pcoip-cmsg-setup configure"), "{line}");
    assert!(log_on(&site).await.is_some());
    let told = log(&site);
    let line = told.lines().find(|line| line.contains("The broker does not answer"));
    assert!(line.is_some_and(|line| line.contains(&certificate)), "{told}");

    refused_without_it(&site, &key);
    let done = site.done(&["configure", &format!("--broker-pin={key}")]);
    assert_eq!(done["restarts"], json!(["cm"]));
    until(&site, "the broker is trusted", |cm| cm["ready"] == json!(true));
    assert_eq!(log_on(&site).await, None);
    let conf = site.paths().connection_manager_conf();
    assert_eq!(site.values(&conf, "BrokerCertPin"), [key]);
    new.stop().await;
    agent.stop().await;
}

/// Commands without a terminal that do not say what to trust, or say it incorrectly.
fn refused_without_it(site: &Installation, key: &str) {
    let wrong = format!("--broker-pin=sha256:{}", "0".repeat(64));
    for words_of in [&["configure", "--ignore-disk-req"][..], &["configure", &wrong], &["install"]]
    {
        let output = site.run(words_of);
        let document = document(&output);
        assert_eq!(output.status.code(), Some(3), "{document:#}");
        let found = findings(&document, "broker.key-changed");
        let (what, cure) = words(found[0]);
        assert!(
            what.starts_with("the broker presents a different certificate than the pinned"),
            "{what}"
        );
        assert!(cure.contains(&format!(" --broker-pin {key}")), "{cure}");
    }
    for wrong in [&key[7..], "sha256:123", "sha1:00"] {
        let output = site.run(&["configure", &format!("--broker-pin={wrong}")]);
        let document = document(&output);
        assert_eq!(output.status.code(), Some(2), "{document:#}");
        let found = findings(&document, "usage.value");
        let (_, cure) = words(found[0]);
        assert!(
            cure.starts_with("write `--broker-pin sha256:HEX` with 64 hexadecimal digits"),
            "{cure}"
        );
        let presented = format!(" presents the key {key}, but another one is pinned: ");
        assert!(cure.contains(&presented), "{cure}");
        assert!(cure.ends_with("compare it with the broker's own key before you pin it"), "{cure}");
    }
}

fn installed(broker: &Broker, agent: &Agent) -> Installation {
    let site = Installation::nothing();
    let url = format!("--broker-url=https://localhost:{}", broker.address.port());
    let port = format!("--agent-port={}", agent.https.port());
    let flags = ["--external-pcoip-ip=127.0.0.1", "--allowed-agents=127.0.0.1", &url, &port];
    let document: Value = site.done(&with(&INSTALL_ON_HOST, &flags));
    assert_eq!(findings(&document, "broker.pinned").len(), 1);
    site
}

/// The output of a command without a terminal.
fn shown(site: &Installation, words: &[&str]) -> String {
    let mut command = e2e::binaries::command("pcoip-cmsg-setup");
    command.args(words).arg("--root").arg(site.root());
    let output = plain(&mut command).output().expect("the installer can be run");
    [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("it is text")).concat()
}

/// Logs on and uses the desktop. Returns the error, if any.
async fn log_on(site: &Installation) -> Option<String> {
    let status = socket::get::<Status>(&site.paths().run(), Role::Cm, "/status", WAIT);
    let listens = status.expect("it answers").listens;
    let address = listens.iter().find(|listen| listen.key == "broker").expect("it listens").address;
    let options = client::Options {
        connect: client::Endpoint { host: address.ip().to_string(), port: address.port() },
        trust: Trust::Any,
        credentials: credentials(),
        passcode: Some(PASSCODE.into()),
        session: client::SessionOptions { datagrams: 10, ..client::SessionOptions::default() },
    };
    client::walk(&options).await.error
}

async fn agent() -> Agent {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = agent::Options {
        listen: any,
        pcoip_listen: any,
        layout: Layout::default(),
        transport_header: false,
        requires: agent::Requires::Nothing,
        expect: Some(credentials()),
    };
    agent::start(options).await.expect("the simulated agent starts")
}

/// A broker with a key of its own.
async fn broker(listen: SocketAddr, agent: &Agent) -> Broker {
    let options = broker::Options {
        listen,
        certificate: CertificateKind::Plain,
        credentials: credentials(),
        passcode: PASSCODE.into(),
        resources: std::num::NonZeroU16::MIN,
        target: broker::Target {
            ips: vec![agent.pcoip.ip()],
            hostname: "localhost".to_owned(),
            port: agent.pcoip.port(),
        },
    };
    broker::start(options).await.expect("the simulated broker starts")
}
