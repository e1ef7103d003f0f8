//! The behaviour of a stack during outages of the broker and of the engine.

use std::time::{Duration, Instant};

use cmsg_config::socket::{Connection, Role};
use serde_json::{Value, json};

use super::site::{Site, V4};

/// The engine checks the services every 10 seconds, and replaces them after three failures.
const OUTAGE: Duration = Duration::from_secs(35);

/// Longer than anything takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn the_stack_follows_its_broker_and_outlasts_outages_of_it_and_of_the_engine() {
    let Some(mut site) = Site::fresh() else { return };
    let _desktop = site.desktop(&V4);
    follows_the_broker(&site);
    outlasts_the_broker(&site);
    outlasts_the_engine(&mut site);
}

/// The `/etc/hosts` of a container does not change after its start.
fn follows_the_broker(site: &Site) {
    site.change_inner_address("add 10.72.2.8/24");
    site.call_broker("10.72.2.8");
    site.install(&[]);
    site.session(&V4);

    site.change_inner_address("del 10.72.2.8/24");
    site.call_broker(V4.far);
    let installed = site.install(&[]);
    assert_eq!(installed["restarts"], json!(["cm"]));
    site.session(&V4);
    assert_eq!(site.install(&[])["restarts"], json!([]));
}

#[expect(clippy::disallowed_methods, reason = "the engine's checks come at their own time")]
fn outlasts_the_broker(site: &Site) {
    let before = (site.tasks(), site.processes());
    assert_eq!(before.1.len(), 2, "{before:?}");

    site.done(&["drain"]);
    let refused = site.client(&V4, &[]).end().pop().expect("a client ends with its result");
    assert_eq!(refused["error"], "hello: answer is the error `ERR_GENERIC`");
    site.set_inner_link("down");
    std::thread::sleep(OUTAGE);

    let status = site.done(&["status"]);
    let why = "draining: no new sessions are accepted";
    for role in ["cm", "sg"] {
        let role = &status["roles"][role];
        assert_eq!((&role["live"], &role["reason"]), (&json!(true), &json!(why)));
    }
    assert_eq!(healths(site), ["healthy", "healthy"]);
    site.done(&["resume"]);
    let reason = site.status(Role::Cm).map(|status| (status.ready, status.reason));
    let away = Some("Cannot communicate with broker".to_owned());
    assert_eq!(reason.expect("it answers"), (false, away));

    site.set_inner_link("up");
    site.ready(Role::Cm);
    site.session(&V4);
    assert_eq!((site.tasks(), site.processes()), before);
}

fn outlasts_the_engine(site: &mut Site) {
    let before = site.processes();
    let mut held = site.client(&V4, &["--hold", "300"]);
    held.wait_for(|event| event["name"] == "udp");

    site.machine.kill_engine();
    site.machine.start_engine();
    let begun = Instant::now();
    // The previous containers may still run and respond for a while.
    let are_back = |now: &[String]| now.len() == 2 && !now.iter().any(|it| before.contains(it));
    while !are_back(&site.processes()) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", site.tasks());
        std::thread::yield_now();
    }
    for role in [Role::Cm, Role::Sg] {
        site.ready(role);
    }

    // The new gateway restored the session from its journal, with counters at zero.
    held.wait_for(|event| event["event"] == "resumed");
    while !site.connections(Role::Sg).iter().any(has_datagrams_again) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", site.connections(Role::Sg));
        std::thread::yield_now();
    }
    let held = held.stop().pop().expect("a client ends with its result");
    assert_eq!(held["error"], "stopped");

    let status = site.done(&["status"]);
    let live = |role: &str| status["roles"][role]["live"] == Value::Bool(true);
    assert!(live("cm") && live("sg"), "{status:#}");
    site.session(&V4);
}

fn has_datagrams_again(session: &Connection) -> bool {
    let traffic = session.traffic.unwrap_or_default();
    [traffic.udp_to_agent, traffic.udp_to_client].iter().all(|way| way.datagrams >= 20)
}

fn healths(site: &Site) -> Vec<String> {
    const TELL: &str = "docker inspect --format '{{.State.Health.Status}}' $(docker ps --quiet)";
    site.shell(TELL).lines().map(str::to_owned).collect()
}
