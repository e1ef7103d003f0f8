//! The machine: rights, disk, the daemon to install, and what the machine is like.

mod firewall;
mod limits;
mod requirements;

use std::path::Path;

use crate::{
    finding::Finding,
    host::{Facts, daemon::DaemonFact, machine::Machine},
    installation::{
        Runtime,
        account::{AccountFact, NAME},
    },
    plan::configuration::Configuration,
    wanted::{Location, Wanted},
};

const GIGABYTE: u64 = 1_000_000_000;
const LEAST_DISK: u64 = 10 * GIGABYTE;

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_under_root = wanted.place.root.is_some();
    findings.extend(rights(&wanted.place, facts.is_root));
    findings.extend(disk(wanted, facts, is_under_root));
    findings.extend(daemon(&facts.daemon).filter(|_| wanted.place.runtime == Runtime::Host));
    if let AccountFact::Odd(why) = facts.account {
        findings.push(Finding::error(
            "host.account",
            format!("the services cannot run as `{NAME}`, which {why}"),
            format!("rename or remove that user or group: `{NAME}` is a system user with a group"),
        ));
    }
    findings.extend(services_of_root(&wanted.place, facts.is_root));
    findings.extend(requirements::check(&facts.machine));
    findings.extend(firewall::check(facts));
    findings.extend(limits::udp_source(facts));
    findings.extend(limits::overridden(wanted, facts));
    findings.extend(other_engines(&wanted.place, &facts.machine));
    findings
}

fn daemon(daemon: &DaemonFact) -> Option<Finding> {
    match daemon {
        DaemonFact::Copy(_) | DaemonFact::Stays => None,
        DaemonFact::Missing(path) => Some(Finding::error(
            "daemon.missing",
            format!("the daemon `{}` does not exist", path.display()),
            "specify it with `--daemon PATH`",
        )),
        DaemonFact::NotExecutable(path) => Some(Finding::error(
            "daemon.missing",
            format!("the daemon `{}` is not an executable file", path.display()),
            "make it executable with `chmod +x`, or specify another file with `--daemon PATH`",
        )),
        DaemonFact::Foreign(foreign) => Some(Finding::error(
            "daemon.untrusted",
            foreign.to_string(),
            "move this program to a directory of your own, or specify the daemon with `--daemon \
             PATH`",
        )),
    }
}

/// Checks the machine's limits against the configuration that it will have.
pub(super) fn limits(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let draft = Configuration::draft(wanted, facts);
    limits::check(&draft, wanted.place.runtime, facts)
}

/// Other container tools and Docker disturb each other's networks and sockets.
fn other_engines(place: &Location, machine: &Machine) -> Option<Finding> {
    if place.runtime != Runtime::Swarm || machine.other_engines.is_empty() {
        return None;
    }
    let paths: Vec<_> =
        machine.other_engines.iter().map(|p| format!("`{}`", p.display())).collect();
    Some(Finding::warning(
        "host.other-engines",
        format!("container tools besides Docker are installed: {}", paths.join(" and ")),
        "remove them: `dnf erase podman buildah`",
    ))
}

/// Whether the user may install there.
pub(super) fn rights(place: &Location, is_root: bool) -> Option<Finding> {
    (!is_root && place.root.is_none()).then(|| {
        Finding::error(
            "host.not-root",
            "only root can install on the host itself",
            "run the command with `sudo`, or install below a directory with `--root DIR`",
        )
    })
}

/// Under a folder the services run as the user who installs: there is no account, and files belong to
/// that user.
fn services_of_root(place: &Location, is_root: bool) -> Option<Finding> {
    let is_folder = place.root.is_some() && place.runtime == Runtime::Host;
    (is_folder && is_root).then(|| {
        Finding::warning(
            "host.services-run-as-root",
            "with `--root`, the services run as the installing user, here root",
            format!("install as another user, or omit `--root` to run the services as `{NAME}`"),
        )
    })
}

/// Under another root, where somebody tries things out, a shortage refuses nothing.
fn disk(wanted: &Wanted, facts: &Facts, is_under_root: bool) -> Option<Finding> {
    let free = facts.free_disk.filter(|free| *free < LEAST_DISK)?;
    if wanted.ignores_disk {
        return None;
    }
    let folder = wanted.place.root.as_deref().unwrap_or(Path::new("/var"));
    let what = format!(
        "only {} GB of disk space is free for `{}`, but 10 GB is required",
        free / GIGABYTE,
        folder.display()
    );
    let cure = "free some space, or add `--ignore-disk-req`";
    Some(if is_under_root {
        Finding::warning("host.disk", what, cure)
    } else {
        Finding::error("host.disk", what, cure)
    })
}

#[cfg(test)]
mod tests;
