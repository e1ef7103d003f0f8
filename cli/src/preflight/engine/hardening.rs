//! Settings by which administrators harden Docker, where the services cannot run under them.

use cmsg_engine::EngineFacts;

use super::WITHOUT;
use crate::{finding::Finding, host::Facts};

pub(super) fn check(facts: &Facts, engine: &EngineFacts) -> Vec<Finding> {
    let has = |option: &str| engine.security.contains(option);
    let mut findings = Vec::new();
    if has("rootless") {
        findings.push(Finding::error(
            "docker.rootless",
            "Docker runs in rootless mode, which supports neither Swarm nor the host network",
            format!("start Docker as root: `systemctl enable --now docker`; {WITHOUT}"),
        ));
    }
    if has("userns") {
        findings.push(Finding::error(
            "docker.userns-remap",
            "Docker runs with `userns-remap`, which keeps services from using the host network",
            format!(
                "remove `userns-remap` from `/etc/docker/daemon.json` and restart Docker, {WITHOUT}"
            ),
        ));
    }
    if has("no-new-privileges") {
        findings.extend(no_new_privileges(facts));
    }
    findings
}

/// The daemon binds low ports by a capability of its file, which is a new privilege.
fn no_new_privileges(facts: &Facts) -> Option<Finding> {
    let first = facts.machine.unprivileged_port?;
    let ports = facts.listeners.values().filter_map(|listener| listener.port().map(u64::from));
    let low: Vec<_> = ports.filter(|port| (1..first).contains(port)).collect();
    let lowest = low.iter().min()?;
    let ports: Vec<_> = low.iter().map(ToString::to_string).collect();
    Some(Finding::error(
        "docker.no-new-privileges",
        format!(
            "Docker runs with `no-new-privileges`, so the services cannot bind {}",
            match &ports[..] {
                [port] => format!("port {port}"),
                all => format!("ports {}", all.join(" and ")),
            }
        ),
        format!(
            "allow all programs to bind them (`sysctl -w \
             net.ipv4.ip_unprivileged_port_start={lowest}`, and the same in a file under \
             `/etc/sysctl.d`), or remove `no-new-privileges` from `/etc/docker/daemon.json` and \
             restart Docker"
        ),
    ))
}
