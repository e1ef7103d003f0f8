//! States of an engine's swarm that others may have left.

use std::path::PathBuf;

use cmsg_engine::{Availability, Engine, EngineFacts, SwarmFact, Version};
use e2e::{machine::Machine, needs::met};

use super::NEEDS;

fn engine(machine: &Machine) -> Engine {
    Engine::at(machine.path("run/docker.sock")).expect("the engine answers")
}

fn facts(machine: &Machine) -> EngineFacts {
    engine(machine).facts().expect("the engine answers")
}

#[test]
fn what_the_engine_is_and_where_it_keeps_things_is_told() {
    if !met(NEEDS) {
        return;
    }
    let mut machine = Machine::start();
    machine.start_engine();
    let docker = |format: &str| {
        let told = machine.tell("/usr/bin/docker", &["version", "--format", format]);
        told.trim().to_owned()
    };

    let facts = facts(&machine);

    assert_eq!(facts.version, docker("{{.Server.Version}}"));
    assert_eq!(facts.release, Version::parse(&facts.version));
    assert!(facts.release >= Version::parse("20.10.0"), "{facts:?}");
    assert_eq!(facts.architecture, docker("{{.Server.Arch}}"));
    assert_eq!(facts.data_root, PathBuf::from("/var/lib/docker"));
    assert!(["1", "2"].contains(&facts.cgroups.version.as_str()), "{:?}", facts.cgroups);
    assert!(facts.security.contains("seccomp"), "{:?}", facts.security);
    assert_eq!(
        (facts.swarm, facts.node, facts.has_live_restore),
        (SwarmFact::Inactive, None, false)
    );
}

#[test]
fn a_swarm_that_somebody_else_made_is_told_from_ours() {
    if !met(NEEDS) {
        return;
    }
    let mut machine = Machine::start();
    machine.start_engine();
    let docker = |words: &str| {
        machine.tell("/usr/bin/docker", &words.split_whitespace().collect::<Vec<_>>())
    };
    docker(
        "swarm init --listen-addr 127.0.0.1 --advertise-addr 127.0.0.1 --default-addr-pool 10.9.0.0/16",
    );

    let theirs = facts(&machine);
    let own = docker("node ls --quiet");
    docker(&format!("node update --availability drain {own}"));
    let drained = facts(&machine);
    docker(&format!("node update --availability pause {own}"));
    let paused = facts(&machine);
    docker("swarm leave --force");
    engine(&machine).make_swarm("10.101.128.0/17").unwrap();
    let ours = facts(&machine);

    assert_eq!(theirs.swarm, SwarmFact::Manager { is_ours: false, nodes: 1 });
    assert_eq!(theirs.swarm_pools, ["10.9.0.0/16"]);
    let availability = |facts: &EngineFacts| facts.node.as_ref().map(|node| node.availability);
    assert_eq!(availability(&theirs), Some(Availability::Active));
    assert_eq!(availability(&drained), Some(Availability::Drained));
    assert_eq!(availability(&paused), Some(Availability::Paused));
    assert_eq!(ours.swarm, SwarmFact::Manager { is_ours: true, nodes: 1 });
    assert_eq!(ours.swarm_pools, ["10.101.128.0/17"]);
    let node = ours.node.unwrap();
    assert_eq!((node.is_ready, node.address.as_str()), (true, "127.0.0.1"));
}

#[test]
fn a_swarm_that_waits_for_a_key_or_is_out_of_order_is_told() {
    if !met(NEEDS) {
        return;
    }
    let mut machine = Machine::start();
    machine.start_engine();
    engine(&machine).make_swarm("10.101.128.0/17").unwrap();
    let certificate = "/var/lib/docker/swarm/certificates/swarm-node.crt";

    // An engine without a readable certificate cannot join its swarm.
    machine.tell("cp", &[certificate, "/run/kept"]);
    machine.tell("truncate", &["--size=9", certificate]);
    machine.kill_engine();
    machine.start_engine();
    let broken = facts(&machine);
    machine.tell("cp", &["/run/kept", certificate]);
    machine.kill_engine();
    machine.start_engine();
    let mended = facts(&machine);
    machine.tell("/usr/bin/docker", &["swarm", "update", "--autolock=true"]);
    machine.kill_engine();
    machine.start_engine();
    let locked = facts(&machine);

    // Even right after its start, the engine is only queried once it has joined its swarm.
    assert_eq!(mended.swarm, SwarmFact::Manager { is_ours: true, nodes: 1 });
    assert_eq!(locked.swarm, SwarmFact::Locked);
    assert_eq!((locked.node, locked.services.len()), (None, 0));
    let SwarmFact::Broken(why) = &broken.swarm else { panic!("{:?}", broken.swarm) };
    assert!(!why.is_empty());
}

#[test]
fn of_two_machines_one_manages_and_the_other_works() {
    if !met(NEEDS) {
        return;
    }
    let (mut manager, mut worker) = (Machine::start(), Machine::start());
    manager.connect(&worker, ["192.0.2.1/24", "192.0.2.2/24"]);
    manager.start_engine();
    worker.start_engine();
    let init = ["swarm", "init", "--advertise-addr", "192.0.2.1"];
    manager.tell("/usr/bin/docker", &init);
    let token = manager.tell("/usr/bin/docker", &["swarm", "join-token", "--quiet", "worker"]);

    worker.tell("/usr/bin/docker", &["swarm", "join", "--token", token.trim(), "192.0.2.1:2377"]);

    assert_eq!(facts(&manager).swarm, SwarmFact::Manager { is_ours: false, nodes: 2 });
    let worker = facts(&worker);
    assert_eq!((worker.swarm, worker.node), (SwarmFact::Worker, None));
}
