//! Installation in an engine with unrelated objects.

use serde_json::json;

use crate::site::{INSTALL, PURGE, Site, error};

/// An unrelated stack, network, volume and image. The image is one of ours under another name, so
/// no registry is needed.
const FOREIGN: &str = "tar -cf- -C /etc hostname | docker import - others.example/thing:1 >/dev/null && \
    docker volume create theirs >/dev/null && docker network create --driver overlay theirs >/dev/null && \
    printf 'version: \"3.8\"\\nservices:\\n  one:\\n    image: others.example/thing:1\\n    \
    command: [\"/nothing\"]\\n    deploy: {replicas: 0}\\n' >/root/theirs.yaml && \
    docker stack deploy --resolve-image never -c /root/theirs.yaml theirs 2>&1";
const SWARM: &str = "docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 \
    --default-addr-pool 10.99.0.0/16 && \
    until docker network inspect docker_gwbridge ingress; do sleep 0.1; done";

fn ids(document: &serde_json::Value) -> Vec<&str> {
    let findings = document["findings"].as_array().into_iter().flatten();
    findings.filter_map(|finding| finding["id"].as_str()).collect()
}

#[test]
fn a_swarm_of_others_is_used_and_all_of_theirs_survives_the_removal() {
    let Some(site) = Site::fresh() else { return };
    site.shell(SWARM);
    site.shell(FOREIGN);
    let before = site.state();

    let installed = site.done(&INSTALL);

    assert!(ids(&installed).contains(&"swarm.others"), "{installed:#}");
    site.is_live();
    assert!(site.shell("docker service ls --format '{{.Name}}'").contains("theirs_one"));
    site.done(&["configure", "--agent-port=6001"]);
    site.is_gone_without_trace(&before, "a swarm of others");
}

#[test]
fn a_swarm_of_ours_in_which_others_have_services_now_is_not_left() {
    let Some(site) = Site::installed() else { return };
    site.shell(FOREIGN);
    let swarm = "docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.NodeID}}'";
    let node = site.shell(swarm);

    site.done(&PURGE);

    assert_eq!(site.shell(swarm), node);
    let services = site.shell("docker service ls --format '{{.Name}}'");
    assert_eq!(services.trim(), "theirs_one");
    let networks = site.shell("docker network ls --format '{{.Name}}' --filter driver=overlay");
    assert!(networks.contains("theirs\n") && !networks.contains("pcoipcm"), "{networks}");
    assert_eq!(site.shell("docker volume ls --format '{{.Name}}'").trim(), "theirs");
    let images = site.shell("docker image ls --format '{{.Repository}}:{{.Tag}}'");
    assert_eq!(images.trim(), "others.example/thing:1");
    // The network is reused.
    site.done(&INSTALL);
    site.is_live();
    assert_eq!(site.shell(swarm), node);
}

#[test]
fn what_others_keep_in_a_swarm_of_ours_and_of_our_images_stays() {
    const KEEP: &str = "set -e
version=$1
echo secret | docker secret create theirs - >/dev/null
docker network create --driver overlay theirs >/dev/null
docker tag localhost/pcoip-cmsg/sg:$version registry.example:5000/pcoip/sg:$version
docker create --name theirs --network none localhost/pcoip-cmsg/pcoip-cm:$version >/dev/null";
    const KEPT: &str = "docker secret ls --format '{{.Name}}'; docker ps -a --format '{{.Names}}'
docker network ls --filter driver=overlay --format '{{.Name}}' | grep -v ingress
docker images --format '{{.Repository}}' | sort";
    let Some(site) = Site::installed() else { return };
    site.machine.tell("bash", &["-c", KEEP, "bash", env!("CARGO_PKG_VERSION")]);

    let removed = site.done(&PURGE);

    let theirs = ["theirs"; 3].join("\n");
    let images = "localhost/pcoip-cmsg/pcoip-cm\nregistry.example:5000/pcoip/sg";
    assert_eq!(site.shell(KEPT).trim(), format!("{theirs}\n{images}"), "{removed:#}");
    site.done(&INSTALL);
    site.is_live();
    site.shell("docker secret rm theirs; docker network rm theirs; docker rm theirs");
    site.done(&PURGE);
    assert_eq!(site.shell("docker info --format '{{.Swarm.LocalNodeState}}'").trim(), "inactive");
}

#[test]
fn a_swarm_that_cannot_run_the_services_is_refused_with_its_cure() {
    let Some(site) = Site::fresh() else { return };
    site.shell(SWARM);
    let node = site.shell("docker node ls --format '{{.Hostname}}'");
    let before = site.state();

    site.shell("docker node update --availability drain $(docker node ls -q)");
    let drained = site.fails(&INSTALL, 3);
    site.shell("docker node update --availability pause $(docker node ls -q)");
    let paused = site.fails(&INSTALL, 3);
    site.shell("docker node update --availability active $(docker node ls -q)");

    for finding in [drained, paused] {
        assert_eq!(finding["id"], json!("swarm.unavailable"), "{finding}");
        let cure = format!("`docker node update --availability active {}`", node.trim());
        assert_eq!(finding["cure"], json!(cure));
    }
    site.is_as(&before, "refused");
}

#[test]
fn names_that_others_have_taken_are_refused() {
    let Some(site) = Site::fresh() else { return };
    site.shell(SWARM);
    site.shell(&FOREIGN.replace("theirs 2>&1", "pcoipcm 2>&1"));
    site.shell("docker network create --driver overlay pcoipcm_network");
    let before = site.state();

    let refused = site.run(&INSTALL);

    let document = e2e::installer::document(&refused);
    assert_eq!(refused.status.code(), Some(3), "{document:#}");
    let ids = ids(&document);
    assert!(ids.contains(&"stack.others") && ids.contains(&"network.others"), "{ids:?}");
    site.is_as(&before, "refused");
}

#[test]
fn a_locked_swarm_is_refused_until_it_is_unlocked() {
    let Some(mut site) = Site::fresh() else { return };
    site.shell(SWARM);
    let before = site.state();
    let key =
        site.shell("docker swarm update --autolock >/dev/null; docker swarm unlock-key --quiet");
    let unlock = format!("echo '{}' | docker swarm unlock", key.trim());
    // Docker encrypts its key some time after it has answered.
    let state = |site: &mut Site| {
        site.machine.kill_engine();
        site.machine.start_engine();
        site.shell("docker info --format '{{.Swarm.LocalNodeState}}'")
    };
    while state(&mut site).trim() != "locked" {}

    let locked = site.fails(&INSTALL, 3);

    assert_eq!(locked["id"], json!("swarm.locked"), "{locked}");
    assert_eq!(locked["cure"], json!("run `docker swarm unlock`"));
    site.shell(&unlock);
    // Docker 20.10 sometimes unlocks without notifying its network layer.
    let mut installed = site.run(&INSTALL);
    while installed.status.code() == Some(1) {
        let cure = "all changes were undone; restart Docker (`systemctl restart docker`) and run \
                    the command again";
        assert_eq!(error(&installed)["cure"], json!(cure));
        site.machine.kill_engine();
        site.machine.start_engine();
        site.shell(&unlock);
        installed = site.run(&INSTALL);
    }
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    site.is_live();

    // Objects in a locked swarm cannot be removed, and would return with it.
    site.machine.kill_engine();
    site.machine.start_engine();
    assert_eq!(site.fails(&PURGE, 3), locked);
    site.shell(&unlock);
    site.is_gone_without_trace(&before, "unlocked");
}
