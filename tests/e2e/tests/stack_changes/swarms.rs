//! Unsuitable swarms: with several hosts, managed by another host, or broken.

use serde_json::{Value, json};

use crate::site::{INSTALL, PURGE, Site};

/// Waits until the engine has joined its swarm, including the network.
const JOINED: &str = "until docker network inspect docker_gwbridge ingress; do sleep 0.1; done";
const CERTIFICATE: &str = "/var/lib/docker/swarm/certificates/swarm-node.crt";

/// A host that manages a swarm, another host, and the command that makes it join.
fn pair() -> Option<(Site, Site, String)> {
    let (manager, other) = (Site::fresh()?, Site::fresh()?);
    manager.machine.connect(&other.machine, ["198.51.100.1/24", "198.51.100.2/24"]);
    manager.shell(&format!("docker swarm init --advertise-addr 198.51.100.1 && {JOINED}"));
    let token = manager.shell("docker swarm join-token --quiet worker");
    let join = format!("docker swarm join --token {} 198.51.100.1:2377", token.trim());
    Some((manager, other, format!("{join} && {JOINED}")))
}

fn says(finding: &Value, id: &str, what: &str, cure: &str) {
    assert_eq!([&finding["id"], &finding["what"], &finding["cure"]], [id, what, cure]);
}

fn says_several(finding: &Value, cure: &str) {
    let what = "this host's swarm has 2 hosts, so a service could start on another host";
    says(finding, "swarm.several-nodes", what, cure);
}

#[test]
fn no_host_of_a_swarm_of_two_is_installed_on_until_it_is_one_again() {
    let Some((manager, worker, join)) = pair() else { return };
    worker.shell(&join);
    let before = [manager.state(), worker.state()];

    let (of_two, works) = (manager.fails(&INSTALL, 3), worker.fails(&INSTALL, 3));

    let cure = "use a separate host, or run the services on the host itself with `--runtime=host`";
    says_several(&of_two, cure);
    let what = "this host is a worker in a swarm that another host manages";
    let cure = "use another host, or stop its containers on this host and run `docker swarm leave`";
    says(&works, "swarm.worker", what, cure);
    manager.is_as(&before[0], "refused");
    worker.is_as(&before[1], "refused");
    worker.shell("docker swarm leave");
    worker.done(&INSTALL);
    worker.is_live();
}

#[test]
fn an_installation_whose_swarm_another_host_joins_runs_on_and_can_be_removed() {
    let Some((manager, other, join)) = pair() else { return };
    let before = manager.state();
    manager.done(&INSTALL);
    let tasks = manager.tasks();
    other.shell(&join);

    for words in [&["configure", "--agent-port=6001"][..], &INSTALL] {
        says_several(&manager.fails(words, 3), "use a separate host");
    }

    manager.is_live();
    assert_eq!(manager.tasks(), tasks);
    manager.is_gone_without_trace(&before, "joined by another host");
}

#[test]
fn a_swarm_that_is_out_of_order_is_told_and_its_cure_brings_the_services_back() {
    let Some(mut site) = Site::fresh() else { return };
    let before = site.state();
    site.done(&INSTALL);
    site.shell(&format!("truncate --size=9 {CERTIFICATE}"));
    site.machine.kill_engine();
    site.machine.start_engine();

    for words in [&["configure", "--agent-port=6001"][..], &INSTALL, &PURGE] {
        let finding = site.fails(words, 3);
        assert_eq!(finding["id"], json!("swarm.broken"), "{words:?}: {finding}");
        let cure =
            "if nothing else uses it, run `docker swarm leave --force`, then run the command again";
        assert_eq!(finding["cure"], json!(cure), "{words:?}");
    }

    site.shell("docker swarm leave --force");
    site.done(&INSTALL);
    site.is_live();
    // Containers of the former swarm still exist.
    site.is_gone_without_trace(&before, "in a swarm of its own again");
}
