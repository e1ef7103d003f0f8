//! Draining a host: the effect on clients, load balancers and administrators.

use std::time::{Duration, Instant};

use cmsg_config::socket::{self, Role, Status, tell};
use e2e::{
    installation::Installation,
    installer::{INSTALL_ON_HOST, document, with},
    site::{self, PASSCODE, Site, credentials},
};
use pcoip_sim::{client, layout::Layout, tls::Trust};
use serde_json::json;

const WAIT: Duration = Duration::from_secs(20);
const WHY: &str = "draining: no new sessions are accepted";

async fn order(site: &Site, role: Role, what: &'static str) {
    let run = site.run().to_owned();
    let told = tokio::task::spawn_blocking(move || tell(&run, role, what, WAIT)).await;
    told.expect("it is told").expect("it obeys");
}

async fn status(site: &Site, role: Role) -> Status {
    let run = site.run().to_owned();
    let asked = tokio::task::spawn_blocking(move || socket::get(&run, role, "/status", WAIT)).await;
    asked.expect("it is asked").expect("it answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_connection_manager_greets_nobody_until_it_is_resumed() {
    let site = Site::start(Layout::Little).await;

    order(&site, Role::Cm, "/drain").await;
    let refused = client::walk(&site.client()).await;
    let drained = status(&site, Role::Cm).await;
    order(&site, Role::Cm, "/resume").await;
    let taken = client::walk(&site.client()).await;

    assert_eq!(refused.error.as_deref(), Some("hello: answer is the error `ERR_GENERIC`"));
    assert_eq!((drained.ready, drained.reason.as_deref()), (false, Some(WHY)));
    assert_eq!(taken.error, None);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_gateway_keeps_its_sessions_and_takes_no_other() {
    let site = Site::start(Layout::Little).await;
    let mut long = site.client();
    long.session.hold = Duration::from_secs(4);
    let running = tokio::spawn(async move { client::walk(&long).await });
    let connected = async {
        while status(&site, Role::Sg).await.sessions == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, connected).await.expect("the session begins");

    order(&site, Role::Sg, "/drain").await;
    let refused = client::walk(&site.client()).await;
    let drained = status(&site, Role::Sg).await;
    let kept = running.await.expect("the session ends");
    order(&site, Role::Sg, "/resume").await;

    assert!(!refused.ok);
    assert_eq!((drained.ready, drained.reason.as_deref()), (false, Some(WHY)));
    assert_eq!(kept.error, None);
    site.stop().await;
}

#[test]
fn the_command_drains_both_roles_and_a_restart_does_not_end_it() {
    let site = Installation::start();
    let reason = || {
        let status = document(&site.run(&["status"]));
        [&status["roles"]["cm"]["reason"], &status["roles"]["sg"]["reason"]].map(Clone::clone)
    };

    let drained = site.done(&["drain", "--wait=10"]);
    let none = json!({ "sessions": 0, "in_use": 0, "resumable": 0 });
    assert_eq!(
        drained,
        json!({ "schema": 1, "draining": true, "ended": 0, "roles": { "cm": none, "sg": none } })
    );
    assert_eq!(reason(), [json!(WHY), json!(WHY)]);

    site.done(&["configure", "--agent-port=6000"]);
    assert_eq!(reason(), [json!(WHY), json!(WHY)]);

    site.done(&["resume"]);
    let [cm, sg] = reason();
    assert_ne!(cm, json!(WHY));
    assert_eq!(sg, json!(null));
}

/// An installation on this host whose users get this agent.
fn installed(broker: &pcoip_sim::broker::Broker, agent: &pcoip_sim::agent::Agent) -> Installation {
    let site = Installation::nothing();
    let (broker, agent) = (
        format!("--broker-url=https://{}", broker.address),
        format!("--agent-port={}", agent.https.port()),
    );
    let flags = [
        broker.as_str(),
        agent.as_str(),
        "--broker-cert-check=false",
        "--external-pcoip-ip=127.0.0.1",
        "--allowed-agents=127.0.0.1",
    ];
    site.done(&with(&INSTALL_ON_HOST, &flags));
    site
}

/// A client that holds its session for this time and says bye.
fn staying(site: &Installation, hold: Duration) -> client::Options {
    let status = socket::get::<Status>(&site.paths().run(), Role::Cm, "/status", WAIT);
    let listens = status.expect("it answers").listens;
    let broker = listens.iter().find(|listen| listen.key == "broker").expect("it listens");
    client::Options {
        connect: client::Endpoint {
            host: broker.address.ip().to_string(),
            port: broker.address.port(),
        },
        trust: Trust::Any,
        credentials: credentials(),
        passcode: Some(PASSCODE.into()),
        session: client::SessionOptions {
            layout: Layout::Little,
            datagrams: 100,
            hold,
            ..client::SessionOptions::default()
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_of_an_installation_ends_soon_after_the_last_client_said_bye() {
    let agent = site::agent(Layout::Little).await;
    let broker = site::broker(agent.pcoip.port()).await;
    let site = tokio::task::block_in_place(|| installed(&broker, &agent));
    let client = staying(&site, Duration::from_secs(4));
    let running = tokio::spawn(async move { client::walk(&client).await });
    let begun = async {
        let run = site.paths().run();
        while socket::get::<Status>(&run, Role::Sg, "/status", WAIT).expect("it answers").sessions
            == 0
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, begun).await.expect("the session begins");

    let started = Instant::now();
    let drained = tokio::task::block_in_place(|| site.done(&["drain", "--wait=200"]));

    let report = running.await.expect("the client ends");
    assert_eq!(report.error, None);
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    assert_eq!(drained["ended"], json!(1), "{drained:#}");
    assert_eq!(drained["roles"]["sg"], json!({ "sessions": 1, "in_use": 0, "resumable": 1 }));
    tokio::task::block_in_place(|| drop(site));
    broker.stop().await;
    agent.stop().await;
}
