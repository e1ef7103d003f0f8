//! The verifier in the roles, and the response to clients if it refuses a peer. The simulators
//! create their own certificates, which are read from their listeners.

use std::{net::Ipv4Addr, num::NonZeroU16};

use pcoip_sim::{
    agent,
    broker::{self, Broker},
    client,
    layout::Layout,
    tls::CertificateKind,
};

use super::{exchange, openssl::Workshop, pair::Pair};
use e2e::{
    needs::{Need, met},
    site::{Site, credentials},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_hears_of_no_client_unless_it_is_trusted() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let site = Site::start(Layout::Little).await;
    let workshop = Workshop::open();
    workshop.take("agent", site.agent.https);
    for kind in [CertificateKind::Ca, CertificateKind::CnOnly] {
        let mut broker = broker(&site, kind).await;
        workshop.take("broker", broker.address);
        let table = [
            (listed(&workshop, "broker"), true),
            (format!("BrokerCertPin = {}", workshop.certificate_pin("broker")), true),
            (format!("BrokerCertPin = {}", workshop.key_pin("broker")), true),
            ("BrokerCertCheck = false".to_owned(), true),
            (String::new(), false),
            (listed(&workshop, "agent"), false),
            (format!("BrokerCertPin = {}", workshop.certificate_pin("agent")), false),
        ];

        for (conf, trusted) in table {
            let what = format!("{kind:?}, {conf}");
            let pair = Pair::manager(&site, &broker, &conf).await;
            let error = client::walk(&pair.client(&site)).await.error;
            let answer = exchange::hello(pair.connection_manager).await;
            pair.stop().await;

            let heard = std::iter::from_fn(|| broker.events.try_recv().ok())
                .filter(|event| !matches!(event, broker::Event::Ready { .. }))
                .count();
            if trusted {
                assert_eq!(error, None, "{what}");
                assert!(heard > 0 && answer.contains("<hello-resp"), "{what}: {answer}");
            } else {
                let refused = "hello: answer is the error `ERR_BROKER_RESP_FAILED`";
                assert_eq!((error.as_deref(), heard), (Some(refused), 0), "{what}");
                assert!(answer.contains(ERROR_6608), "{what}: {answer}");
            }
        }
        broker.stop().await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_hears_of_no_user_unless_it_is_trusted() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let mut site = Site::start(Layout::Little).await;
    let workshop = Workshop::open();
    workshop.take("agent", site.agent.https);
    workshop.take("broker", site.broker.address);
    let pin = format!("BrokerCertPin = {}", workshop.certificate_pin("broker"));
    let checked = format!("{pin}\nAgentCertCheck = true");
    let table = [
        (format!("{checked}\n{}", listed(&workshop, "agent")), true),
        (pin, true),
        (format!("{checked}\n{}", listed(&workshop, "broker")), false),
        (checked, false),
    ];

    for (conf, trusted) in table {
        let pair = Pair::manager(&site, &site.broker, &conf).await;
        let error = client::walk(&pair.client(&site)).await.error;
        let answer = exchange::allocate(pair.connection_manager).await;
        pair.stop().await;

        let launches = std::iter::from_fn(|| site.agent.events.try_recv().ok())
            .filter(|event| {
                matches!(event, agent::Event::Launch(_) | agent::Event::Violation { .. })
            })
            .count();
        if trusted {
            assert_eq!((error, launches), (None, 2), "{conf}: {answer}");
            assert!(answer.contains("ALLOC_SUCCESSFUL"), "{conf}: {answer}");
        } else {
            let refused = "allocate: result is `ALLOC_FAILED_TO_ALLOCATE_AGENT`";
            assert_eq!((error.as_deref(), launches), (Some(refused), 0), "{conf}");
            assert!(answer.contains(ERROR_6405), "{conf}: {answer}");
        }
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_shows_no_tag_to_an_agent_unless_it_is_trusted() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let mut site = Site::start(Layout::Little).await;
    let workshop = Workshop::open();
    // The agent presents the same certificate on both ports.
    workshop.take("agent", site.agent.https);
    workshop.take("broker", site.broker.address);
    let pin = format!("BrokerCertPin = {}", workshop.certificate_pin("broker"));
    let table = [
        (format!("AgentCertCheck = true\n{}", listed(&workshop, "agent")), true),
        (String::new(), true),
        (format!("AgentCertCheck = true\n{}", listed(&workshop, "broker")), false),
        ("AgentCertCheck = true".to_owned(), false),
    ];

    for (conf, trusted) in table {
        let pair = Pair::both(&site, &site.broker, &pin, &conf).await;
        let error = client::walk(&pair.client(&site)).await.error;
        pair.stop().await;

        let connected = std::iter::from_fn(|| site.agent.events.try_recv().ok())
            .filter(|event| matches!(event, agent::Event::Connected { .. }))
            .count();
        let refused = format!("tls: {GATEWAY_LEFT}");
        assert_eq!(error, (!trusted).then_some(refused), "{conf}");
        assert_eq!(connected, usize::from(trusted), "{conf}");
    }
    site.stop().await;
}

fn listed(workshop: &Workshop, name: &str) -> String {
    format!("CaCertificate = {}", workshop.certificate(name).display())
}

/// A broker with this kind of certificate, which sends users to the site's agent.
async fn broker(site: &Site, certificate: CertificateKind) -> Broker {
    let options = broker::Options {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        certificate,
        credentials: credentials(),
        passcode: site.client().passcode.expect("the site asks for one"),
        resources: NonZeroU16::MIN,
        target: broker::Target {
            ips: vec![site.agent.pcoip.ip()],
            hostname: "localhost".to_owned(),
            port: site.agent.pcoip.port(),
        },
    };
    broker::start(options).await.expect("the simulated broker starts")
}

/// The gateway does not report a reason: it only closes the connection.
const GATEWAY_LEFT: &str = "control connection failed: peer closed connection without sending TLS \
    close_notify: https://docs.rs/rustls/latest/rustls/manual/_03_howto/index.html#unexpected-eof";

const ERROR_6608: &str = "<error-resp><result><result-id>ERR_BROKER_RESP_FAILED</result-id>\
    <result-str>Error 6608: Command failed due to a connection broker communication failure. \
    Please try again. If this failure persists, please report this failure to your system \
    administrator.</result-str></result><detected-by>CM</detected-by>\
    <err-detail>Cannot communicate with broker</err-detail></error-resp>";

const ERROR_6405: &str = "<allocate-resource-resp><result>\
    <result-id>ALLOC_FAILED_TO_ALLOCATE_AGENT</result-id><result-str>Error 6405: PCoIP Agent \
    failed to launch the remote session. Please try again. If this failure persists, please report \
    this failure to your system administrator.</result-str></result><fail-reason-str>[PCoIPAgent] \
    FAILED_GENERIC: Cannot communicate with PCoIP Agent</fail-reason-str></allocate-resource-resp>";
