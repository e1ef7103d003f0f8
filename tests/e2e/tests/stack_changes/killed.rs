//! Killed before, between and during the steps that the engine performs.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use cmsg_config::socket::Role;
use e2e::stepped::number;
use serde_json::json;

use crate::site::{INSTALL, PURGE, Site};

const LOAD: &str = "load the images";
const SWARM: &str = "create a swarm";
const NETWORK: &str = "create the network pcoipcm_network";
const FOLDERS: &str = "create directories";
const HOLD: &str = "record the running services";
const STACK: &str = "write the stack file";
const DEPLOY: &str = "deploy the stack";
const RELOAD: &str = "reload the certificates of the security gateway";
const AWAIT: &str = "wait until the services are healthy";
const REMOVE: &str = "remove the services";
const DELETE: &str = "delete files";
const LEAVE: &str = "clean up Docker";

#[test]
fn an_installation_killed_after_a_step_of_the_engine_is_carried_out_by_the_next() {
    let Some(site) = Site::fresh() else { return };
    let before = site.state();
    let steps = site.plan(&INSTALL);
    for last in [SWARM, FOLDERS, DEPLOY] {
        site.start_until(&INSTALL, &steps, last).kill();
        if last == DEPLOY {
            validates_beside_what_is_left(&site);
        }

        let again = site.done(&INSTALL);

        assert_eq!(again["findings"][0]["id"], json!("installation.interrupted"), "{last}");
        site.is_live();
        site.is_gone_without_trace(&before, last);
    }
}

/// The services of the killed command use the ports, and the next command undoes them first.
fn validates_beside_what_is_left(site: &Site) {
    let begun = Instant::now();
    while site.machine.in_network(|| TcpStream::connect("127.0.0.1:443")).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(120), "nobody listens");
    }

    let output = site.run(&[&["validate"], &INSTALL[1..]].concat());

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn an_installation_killed_in_a_step_of_the_engine_is_removed_without_trace() {
    let Some(site) = Site::fresh() else { return };
    let before = site.state();
    let steps = site.plan(&INSTALL);
    for step in [LOAD, SWARM, NETWORK, FOLDERS, STACK, DEPLOY, AWAIT] {
        site.start(&INSTALL).kill_in(number(&steps, step), steps.len());

        site.is_gone_without_trace(&before, step);
    }
}

#[test]
fn a_change_that_was_killed_is_carried_out_by_the_next_or_taken_back() {
    let Some(site) = Site::installed() else { return };
    let before = site.state();
    for (step, port) in [(STACK, "6001"), (DEPLOY, "6002"), (AWAIT, "6003")] {
        let change = ["configure", "--agent-port", port];
        let steps = site.plan(&change);
        site.start(&change).kill_in(number(&steps, step), steps.len());

        let again = site.done(&["install"]);

        assert_eq!(again["findings"][0]["id"], json!("installation.interrupted"), "{step}");
        site.is_live();
        site.is_as(&before, step);
    }
}

#[test]
fn a_change_that_was_killed_in_a_step_of_the_engine_is_carried_out_when_it_is_told_again() {
    let Some(site) = Site::installed() else { return };
    for (round, step) in [NETWORK, HOLD, STACK, DEPLOY, RELOAD, AWAIT].into_iter().enumerate() {
        let (port, range) = ((6001 + round).to_string(), format!("10.77.{round}.0/24"));
        let host = format!("round-{round}.example");
        let change = [
            "configure",
            "--agent-port",
            &port,
            "--docker-network-cidr",
            &range,
            "--host-address",
            &host,
        ];
        let steps = site.plan(&change);
        site.start(&change).kill_in(number(&steps, step), steps.len());

        let again = site.done(&change);

        assert_eq!(again["findings"][0]["id"], json!("installation.interrupted"), "{step}");
        assert_eq!(site.values(Role::Cm, "AgentPort"), [port], "{step}");
        assert_eq!(site.network(), range, "{step}");
        for names in site.shown("-ext subjectAltName") {
            assert!(names.contains(&host), "{step}: {names}");
        }
        site.is_live();
    }
}

#[test]
fn a_removal_that_was_killed_is_carried_out_by_the_next_or_taken_back() {
    let Some(site) = Site::fresh() else { return };
    let before = site.state();
    site.done(&INSTALL);
    let installed = site.state();
    let steps = site.plan(&PURGE);
    site.start(&PURGE).kill_in(number(&steps, REMOVE), steps.len());
    site.done(&["install"]);
    site.is_live();
    site.is_as(&installed, REMOVE);
    // This step only does something when all others are done, which may be the case by then.
    site.start(&PURGE).kill_in(number(&steps, LEAVE), steps.len());
    site.done(&INSTALL);
    site.is_live();
    site.start_until(&PURGE, &steps, DELETE).kill();
    site.is_gone_without_trace(&before, DELETE);
    // A completed command is finished, not undone.
    site.done(&INSTALL);
    site.start(&PURGE).kill_in(steps.len() + 1, steps.len());
    // There may be nothing left to remove.
    let _ = site.run(&PURGE);
    site.is_as(&before, "settled");
}

#[test]
fn a_second_installer_is_refused_while_the_first_deploys() {
    let Some(site) = Site::fresh() else { return };
    let steps = site.plan(&INSTALL);
    let first = site.start_until(&INSTALL, &steps, DEPLOY);

    for words in [&INSTALL[..], &["configure", "--agent-port=6001"], &PURGE] {
        let finding = site.fails(words, 3);

        assert_eq!(finding["id"], json!("installation.busy"), "{words:?}: {finding}");
    }
    let (output, said) = first.end();
    assert_eq!(output.status.code(), Some(0), "{said}");
    site.is_live();
}
