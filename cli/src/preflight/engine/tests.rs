use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use cmsg_config::socket::Role;
use cmsg_engine::{
    NetworkFact, NodeFact, ServiceFact,
    archive::{ArchivedImage, ImageArchive},
};

use super::*;
use crate::{
    host::ports::Listener,
    plan::tests::{facts, wanted},
    wanted::listen::ListenKey,
};

const SWARM: &str = "accept-policies: true\nself-signed: true\nbroker-url: https://b\n\
                     external-pcoip-ip: 192.0.2.1\n";

fn engine() -> EngineFacts {
    EngineFacts {
        version: "20.10.0".to_owned(),
        release: Version::parse("20.10.0"),
        swarm: SwarmFact::Inactive,
        ..EngineFacts::default()
    }
}

fn archive() -> ImageArchive {
    let image = |role: Role| ArchivedImage {
        role,
        tag: format!("{}:1", role.command()),
        layer: "sha256:1".to_owned(),
    };
    let images = [Role::Cm, Role::Sg].map(image).into();
    ImageArchive { source: "/images.tar".into(), bytes: 1, images }
}

/// The ids of what is found, errors with a mark.
fn found(change: impl FnOnce(&mut Facts)) -> Vec<String> {
    let (wanted, _) = wanted(SWARM);
    let mut facts = facts(&wanted);
    facts.engine = EngineFact::There(Box::new(engine()));
    facts.deploying = Some(Deploying {
        has_command: true,
        images: Ok(archive()),
        environment: BTreeMap::new(),
        is_left_at_boot: false,
    });
    change(&mut facts);
    let mark = |finding: Finding| match finding.is_error() {
        true => format!("!{}", finding.id),
        false => finding.id.to_owned(),
    };
    check(&wanted, &facts).into_iter().map(mark).collect()
}

fn with(change: impl FnOnce(&mut EngineFacts)) -> Vec<String> {
    let mut engine = engine();
    change(&mut engine);
    found(|facts| facts.engine = EngineFact::There(Box::new(engine)))
}

#[test]
fn an_engine_that_can_run_the_stack_has_no_findings() {
    assert_eq!(found(|_| {}), [""; 0]);
    assert_eq!(with(|it| it.swarm = SwarmFact::Manager { is_ours: true, nodes: 1 }), [""; 0]);
    assert_eq!(with(|it| it.release = Version::parse("28.2.2")), [""; 0]);
}

#[test]
fn an_engine_that_cannot_is_told() {
    type Edit = fn(&mut EngineFacts);
    let table: [(&str, Edit); 10] = [
        ("!docker.version", |it| it.release = Version::parse("20.9.13")),
        ("!docker.version", |it| it.release = Version::parse("19.03.15-ce")),
        ("!swarm.unavailable", |it| {
            let availability = Availability::Drained;
            it.node = Some(NodeFact {
                name: "n".to_owned(),
                availability,
                is_ready: true,
                address: String::new(),
            });
        }),
        ("!docker.podman", |it| it.is_podman = true),
        ("!docker.live-restore", |it| it.has_live_restore = true),
        ("swarm.others", |it| it.swarm = SwarmFact::Manager { is_ours: false, nodes: 1 }),
        ("!swarm.several-nodes", |it| it.swarm = SwarmFact::Manager { is_ours: true, nodes: 2 }),
        ("!swarm.worker", |it| it.swarm = SwarmFact::Worker),
        ("!swarm.locked", |it| it.swarm = SwarmFact::Locked),
        ("!swarm.broken", |it| it.swarm = SwarmFact::Broken("expired".to_owned())),
    ];
    for (id, change) in table {
        assert_eq!(with(change), [id]);
    }
}

#[test]
fn a_hardened_engine_is_refused_where_the_services_cannot_run_under_it() {
    let secured = |option: &str, from: Option<u64>, port: u16| {
        found(|facts| {
            facts.machine.unprivileged_port = from;
            let address = SocketAddr::from(([0, 0, 0, 0], port));
            let listener = Listener { address: Some(address), troubles: Vec::new(), is_any: false };
            facts.listeners = [(ListenKey::Broker, listener)].into();
            let security = [option.to_owned(), "seccomp".to_owned()].into();
            facts.engine = EngineFact::There(Box::new(EngineFacts { security, ..engine() }));
        })
    };

    assert_eq!(secured("userns", Some(1024), 443), ["!docker.userns-remap"]);
    assert_eq!(secured("rootless", Some(1024), 443), ["!docker.rootless"]);
    assert_eq!(secured("no-new-privileges", Some(1024), 443), ["!docker.no-new-privileges"]);
    assert_eq!(secured("no-new-privileges", Some(80), 443), [""; 0]);
    assert_eq!(secured("no-new-privileges", Some(1024), 8443), [""; 0]);
    assert_eq!(secured("apparmor", Some(1024), 443), [""; 0]);
}

#[test]
fn no_engine_is_told_with_what_brings_one() {
    let socket = || PathBuf::from("/run/docker.sock");
    let table = [
        (NoEngine::Absent(socket()), false, "!docker.missing"),
        (NoEngine::Absent(socket()), true, "!docker.not-running"),
        (NoEngine::Silent(socket()), true, "!docker.not-running"),
        (NoEngine::Forbidden(socket()), true, "!docker.forbidden"),
        (NoEngine::Elsewhere("tcp://h".to_owned()), true, "!docker.elsewhere"),
        (NoEngine::Unresponsive(socket(), "no".to_owned()), true, "!docker.silent"),
        (NoEngine::Failing("no".to_owned()), true, "!docker.silent"),
        (NoEngine::Odd(socket(), "no".to_owned()), true, "!docker.odd"),
    ];
    for (why, has_command, id) in table {
        let findings = found(|facts| {
            facts.engine = EngineFact::None(why.clone());
            facts.deploying = Some(Deploying {
                has_command,
                images: Ok(archive()),
                environment: BTreeMap::new(),
                is_left_at_boot: false,
            });
        });

        assert_eq!(findings, [id], "{why:?}");
    }
    assert_eq!(found(|facts| facts.engine = EngineFact::Silent("no".into())), ["!docker.silent"]);
}

#[test]
fn what_deploying_takes_beside_the_engine_is_told() {
    let findings = found(|facts| {
        facts.deploying = Some(Deploying {
            has_command: false,
            images: Err("gone".to_owned()),
            environment: BTreeMap::new(),
            is_left_at_boot: false,
        });
    });

    assert_eq!(findings, ["!docker.command", "!images.missing"]);
}

#[test]
fn names_that_others_have_taken_are_told() {
    let service = |is_ours, stack: &str| ServiceFact {
        name: format!("{stack}_cm"),
        stack: Some(stack.to_owned()),
        is_ours,
        running: 1,
        ..ServiceFact::default()
    };
    let network = |is_ours| NetworkFact { name: NETWORK.to_owned(), subnets: Vec::new(), is_ours };

    assert_eq!(with(|it| it.services.push(service(true, STACK))), [""; 0]);
    assert_eq!(with(|it| it.services.push(service(false, "other"))), [""; 0]);
    assert_eq!(with(|it| it.services.push(service(false, STACK))), ["!stack.others"]);
    assert_eq!(with(|it| it.networks.push(network(true))), [""; 0]);
    assert_eq!(with(|it| it.networks.push(network(false))), ["!network.others"]);
}

#[test]
fn a_swarm_belongs_to_the_machine_itself() {
    let (wanted, _) = wanted(&format!("{SWARM}root: /r\n"));
    let mut facts = facts(&wanted);
    facts.engine = EngineFact::There(Box::new(engine()));
    facts.deploying = Some(Deploying {
        has_command: true,
        images: Ok(archive()),
        environment: BTreeMap::new(),
        is_left_at_boot: false,
    });

    let ids: Vec<_> = check(&wanted, &facts).into_iter().map(|finding| finding.id).collect();

    assert_eq!(ids, ["runtime.root"]);
}

#[test]
fn the_other_runtime_is_offered_only_where_nothing_is_installed() {
    let cure = |cure: &str| only_way(cure);

    assert_eq!(cure(&format!("update it, {WITHOUT}")), "update it");
    assert_eq!(cure(&format!("start it; {WITHOUT}")), "start it");
    assert_eq!(cure("use another host"), "use another host");
}
