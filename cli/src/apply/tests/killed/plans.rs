//! What each of the commands plans on the host as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use cmsg_config::{Paths, socket::Role};
use cmsg_engine::archive::{ArchivedImage, ImageArchive};

use super::{Ask, Host, adopting::adopted};
use crate::{
    apply::lock::Lock,
    host::{
        Facts,
        daemon::DaemonFact,
        engine::{Deploying, EngineFact},
        export::Export,
        machine::Machine,
    },
    installation::{
        Runtime,
        installed::{Installed, UnitsFact},
        record::Record,
    },
    plan::{
        self, Plan,
        tests::{facts, wanted},
    },
    step::Step,
    wanted::listen::ListenKey,
};

pub(super) fn plan(
    ask: Ask,
    paths: &Paths,
    folder: &Path,
    lock: &Lock,
    host: &Host,
) -> (&'static str, Vec<Step>) {
    let installed = Installed::read(paths, Some(lock.made())).unwrap();
    let such = |all: &BTreeSet<&str>| {
        [Role::Cm, Role::Sg].into_iter().filter(|role| all.contains(role.command())).collect()
    };
    let units = UnitsFact {
        are_used: host.is_booted,
        enabled: such(&host.enabled),
        running: if host.is_booted && !host.runs { such(&host.roles) } else { Vec::new() },
    };
    let supervisor_runs = host.runs;
    let installed = Installed { supervisor_runs, units, edited: Vec::new(), ..installed };
    match ask {
        Ask::Nothing | Ask::Systemd => ("nothing", Vec::new()),
        Ask::Uninstall(purges) => {
            let runtime = Record::of(&installed, paths).runtime;
            let engine = (runtime == Runtime::Swarm).then(|| host.engine.facts());
            let machine = host.machine(paths.root());
            let plan = plan::uninstall(paths, &installed, &machine, engine.as_ref(), purges);
            ("uninstall", plan.steps)
        }
        Ask::Swarm(text, images) | Ask::Adopt(text, images) => {
            let root = format!("root: {}\n", paths.root().display());
            let (wanted, answers) = wanted(&text.replace("root: /r\n", &root));
            let mut facts = facts(&wanted);
            facts.installed = installed;
            listen_outside(&mut facts, host.machine(paths.root()));
            facts.daemon = DaemonFact::Stays;
            facts.authorities = Some("authorities".into());
            facts.engine = EngineFact::There(Box::new(host.engine.facts()));
            facts.deploying = Some(deploying(&folder.join(images)));
            facts.adopted = matches!(ask, Ask::Adopt(..)).then(|| adopted(paths));
            let Plan { steps, .. } = plan::install(&wanted, &facts, &answers);
            ("install", steps)
        }
        Ask::Install(text, daemon) => {
            let root = format!("root: {}\n", paths.root().display());
            let (wanted, answers) = wanted(&text.replace("root: /r\n", &root));
            let mut facts = facts(&wanted);
            facts.installed = installed;
            listen_outside(&mut facts, host.machine(paths.root()));
            facts.daemon = DaemonFact::read(Some(&folder.join(daemon)), paths);
            facts.export = Some(Export::look(&folder.join("mine.yaml")));
            let Plan { steps, .. } = plan::install(&wanted, &facts, &answers);
            ("install", steps)
        }
    }
}

/// Has the roles listen where the firewall matters.
fn listen_outside(facts: &mut Facts, machine: Machine) {
    facts.machine = machine;
    for (key, port) in [(ListenKey::Broker, 443), (ListenKey::Pcoip, 4172)] {
        if let Some(listener) = facts.listeners.get_mut(&key) {
            listener.address = Some(([0, 0, 0, 0], port).into());
        }
    }
}

fn deploying(images: &Path) -> Deploying {
    let images = Ok(archive(images));
    let environment = BTreeMap::new();
    Deploying { has_command: true, images, environment, is_left_at_boot: false }
}

fn archive(path: &Path) -> ImageArchive {
    let names = fs::read_to_string(path).unwrap();
    let image = |(role, tag): (Role, &str)| ArchivedImage {
        role,
        tag: tag.to_owned(),
        layer: format!("sha256:{tag}"),
    };
    let images = [Role::Cm, Role::Sg].into_iter().zip(names.lines()).map(image).collect();
    ImageArchive { source: path.into(), bytes: 1, images }
}
