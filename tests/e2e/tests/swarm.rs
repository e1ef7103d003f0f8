//! The product on a real Docker engine.

#[path = "swarm/composed.rs"]
mod composed;
#[path = "swarm/deployment.rs"]
mod deployment;
#[path = "swarm/own_file.rs"]
mod own_file;
#[path = "swarm/places.rs"]
mod places;
#[path = "swarm/services.rs"]
mod services;
#[path = "swarm/stopped.rs"]
mod stopped;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use cmsg_config::socket::Role;
use cmsg_engine::{Engine, SwarmFact, stack::NETWORK};
use e2e::{
    binaries,
    machine::Machine,
    needs::{Need, met},
};

use deployment::Deployment;

const NEEDS: &[Need] = &[Need::Root, Need::Tool("dockerd"), Need::Tool("unshare"), Need::Namespace];

#[test]
fn the_images_hold_the_daemon_alone_and_it_binds_443_as_nobody() {
    if !met(NEEDS) {
        return;
    }
    let mut machine = Machine::start();
    machine.start_engine();
    let archive = binaries::path("pcoip-cmsg-images.tar");

    let loaded =
        machine.tell("/usr/bin/docker", &["load", "--input", &archive.display().to_string()]);
    let listed = machine.tell("/usr/bin/docker", &["images", "--format", "{{.Repository}}"]);
    let image = format!("localhost/pcoip-cmsg/sg:{}", env!("CARGO_PKG_VERSION"));
    let said =
        machine.tell("/usr/bin/docker", &["run", "--rm", "--network=host", &image, "--version"]);
    // The file requires this capability, without which the kernel does not start the program.
    let none = ["run", "--rm", "--network=host", "--cap-drop=ALL", &image, "--version"];
    let refused = machine.docker().args(none).output().expect("docker starts");

    assert!(loaded.contains("localhost/pcoip-cmsg/pcoip-cm:"), "{loaded}");
    let mut names: Vec<_> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["localhost/pcoip-cmsg/pcoip-cm", "localhost/pcoip-cmsg/sg"]);
    assert_eq!(said, format!("pcoip-cmsgd {}\n", env!("CARGO_PKG_VERSION")));
    assert!(!refused.status.success());
}

#[test]
fn a_machine_of_a_tests_own_changes_nothing_on_this_one() {
    if !met(NEEDS) {
        return;
    }
    let mut machine = Machine::start();

    machine.start_engine();
    machine.tell("useradd", &["--system", "cmsg-test"]);
    machine.tell("touch", &["/opt/cmsg-test", "/var/log/cmsg-test"]);
    machine.kill_engine();
    machine.start_engine();

    assert!(machine.path("/opt/cmsg-test").exists());
    assert!(!Path::new("/opt/cmsg-test").exists());
    let users = std::fs::read_to_string("/etc/passwd").expect("there are users");
    assert!(!users.contains("cmsg-test"));
    let own = machine.folder().to_owned();
    drop(machine);
    assert!(!own.exists());
}

#[test]
fn both_services_live_in_a_swarm_of_this_host_alone_and_leave_nothing_of_it() {
    if !met(NEEDS) {
        return;
    }
    let site = Deployment::prepare();
    let (engine, archive) = (&site.engine, &site.archive);
    assert_eq!(engine.facts().unwrap().swarm, SwarmFact::Inactive);

    engine.load_images(&archive.source, |_| ()).unwrap();
    engine.make_swarm("10.101.128.0/17").unwrap();
    engine.make_network(NETWORK, "10.101.0.0/24").unwrap();
    for docker in ["/usr/bin/docker", "docker"] {
        engine.deploy(Path::new(docker), &[site.write_stack()]).unwrap();
    }
    let live = [Role::Cm, Role::Sg].map(|role| site.live(role));

    let facts = engine.facts().unwrap();
    assert_eq!(facts.swarm, SwarmFact::Manager { is_ours: true, nodes: 1 });
    let mut services: Vec<_> =
        facts.services.iter().map(|s| (s.name.as_str(), s.is_ours)).collect();
    services.sort_unstable();
    assert_eq!(services, [("pcoipcm_cm", true), ("pcoipcm_sg", true)]);
    let network = facts.networks.iter().find(|network| network.name == NETWORK).unwrap();
    assert_eq!((network.is_ours, &network.subnets[..]), (true, &["10.101.0.0/24".to_owned()][..]));
    assert!(
        facts.images.iter().all(|image| image.layer.as_ref() == Some(&archive.images[0].layer))
    );
    for (role, live) in [Role::Cm, Role::Sg].into_iter().zip(live) {
        assert_eq!(live.role, role);
        // Exactly one capability, and no way to gain others.
        assert_eq!(site.rights(role), ["977", "0000000000000400", "0000000000000400"]);
    }
    let certificate = "/var/lib/docker/swarm/certificates/swarm-node.crt";
    let years = ["x509", "-noout", "-checkend", "600000000", "-in", certificate];
    site.machine.tell("openssl", &years);

    engine.remove_services().unwrap();
    while engine.containers().unwrap() > 0 {
        std::thread::yield_now();
    }
    engine.remove_network(NETWORK).unwrap();
    engine.remove_network(NETWORK).unwrap();
    archive.images.iter().for_each(|image| engine.remove_image(&image.tag).unwrap());
    engine.leave_swarm().unwrap();
    let facts = engine.facts().unwrap();
    assert_eq!(
        (facts.swarm, facts.services.len(), facts.images.len()),
        (SwarmFact::Inactive, 0, 0)
    );
}

#[test]
fn the_stack_comes_back_when_the_engine_was_killed() {
    if !met(NEEDS) {
        return;
    }
    let mut site = Deployment::prepare();
    site.engine.load_images(&site.archive.source, |_| ()).unwrap();
    site.engine.make_swarm("10.101.128.0/17").unwrap();
    site.engine.deploy(Path::new("/usr/bin/docker"), &[site.write_stack()]).unwrap();
    // An engine that is killed while it starts a container does not know it afterwards.
    let [_, before] = [Role::Cm, Role::Sg].map(|role| site.live(role));

    site.machine.kill_engine();
    // The state of containers without an engine is not specified; afterwards they run again.
    site.machine.start_engine();
    site.engine = Engine::at(site.machine.path("run/docker.sock")).unwrap();
    let begun = Instant::now();
    while site.engine.facts().unwrap().services.iter().any(|service| service.running == 0) {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{:?}",
            site.engine.last_failure("pcoipcm_cm", None, 5)
        );
        std::thread::yield_now();
    }

    assert_eq!(site.live(Role::Sg).listens, before.listens);
}
