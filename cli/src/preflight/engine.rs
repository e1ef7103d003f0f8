//! The Docker engine and its swarm: whether the stack can be deployed there, and would stay.

mod hardening;

use cmsg_engine::{Availability, EngineFacts, NoEngine, STACK, SwarmFact, Version, stack::NETWORK};

use crate::{
    finding::Finding,
    host::{
        Facts,
        engine::{self, Deploying, EngineFact, description},
    },
    installation::{Runtime, adopted::Adopted, record::Record},
    plan::swarm,
    wanted::Wanted,
};

const LEAST_VERSION: Version = Version { major: 20, minor: 10, patch: 0 };

/// What to do about an engine that runs, but does not work.
const RESTART: &str = "check `journalctl -u docker`, fix the problem and restart Docker";

/// The other way, where nothing is installed yet.
const WITHOUT: &str = "or run the services on the host itself with `--runtime=host`";

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = other_runtime(wanted, facts).into_iter().collect();
    if wanted.place.runtime != Runtime::Swarm {
        return findings;
    }
    if wanted.place.root.is_some() {
        findings.push(Finding::error(
            "runtime.root",
            "`--root` cannot be combined with `--runtime=swarm`, the default, which uses the documented paths",
            "omit `--root`, or add `--runtime=host`",
        ));
    }
    let has_command = facts.deploying.as_ref().is_some_and(|deploying| deploying.has_command);
    match &facts.engine {
        EngineFact::NotAsked => {}
        EngineFact::None(why) => {
            findings.push(no_engine(why, has_command, facts.installed.units.are_used));
        }
        EngineFact::Silent(why) => findings.push(unreported(why)),
        EngineFact::There(engine) => {
            if !has_command {
                findings.push(Finding::error(
                    "docker.command",
                    "Docker is running, but the `docker` command is not on the search path",
                    "install the package `docker-ce-cli`",
                ));
            }
            findings.extend(engine_itself(engine));
            findings.extend(hardening::check(facts, engine));
            findings.extend(swarm_of(&engine.swarm));
            findings.extend(node(engine));
            findings.extend(names_of_others(facts.adopted.as_ref(), engine));
            findings.extend(pool(wanted, facts, engine));
        }
    }
    if wanted.docker.registry.is_none() {
        findings.extend(facts.deploying.as_ref().and_then(images));
    }
    if facts.installed.is_there(&wanted.place.paths()) {
        // To be installed on the host as well would be refused.
        findings.iter_mut().for_each(|it| it.cure = only_way(&it.cure));
    }
    findings
}

fn only_way(cure: &str) -> String {
    let first = cure.strip_suffix(WITHOUT).map(|first| first.trim_end_matches([',', ';', ' ']));
    first.unwrap_or(cure).to_owned()
}

fn other_runtime(wanted: &Wanted, facts: &Facts) -> Option<Finding> {
    let paths = wanted.place.paths();
    let installed = Record::of(&facts.installed, &paths).runtime;
    let is_other = facts.installed.is_there(&paths) && installed != wanted.place.runtime;
    is_other.then(|| runs_otherwise(installed))
}

/// What is installed runs in another way than the one that is named.
pub(crate) fn runs_otherwise(installed: Runtime) -> Finding {
    Finding::error(
        "runtime.other",
        format!("this host was installed with `--runtime={installed}`"),
        format!(
            "add `--runtime={installed}`, or run `pcoip-cmsg-setup uninstall` first, which keeps \
             configuration and keys"
        ),
    )
}

/// The same for a command that needs what is installed.
pub(crate) fn named_otherwise(installed: Runtime) -> Finding {
    let cure = format!("run the command with `--runtime={installed}`");
    Finding { cure, ..runs_otherwise(installed) }
}

/// There is no engine where one is needed that need not run services.
pub(crate) fn away(why: &NoEngine) -> Finding {
    let finding = no_engine(why, engine::has_command(), false);
    Finding { cure: only_way(&finding.cure), ..finding }
}

/// Docker answers, but a query failed.
pub(crate) fn unreported(why: &str) -> Finding {
    Finding::error("docker.silent", format!("Docker does not report its state: {why}"), RESTART)
}

fn no_engine(why: &NoEngine, has_command: bool, has_systemd: bool) -> Finding {
    let what = description(why);
    match why {
        NoEngine::Absent(_) if !has_command => Finding::error(
            "docker.missing",
            format!("{what}, and no `docker` command"),
            format!("install Docker 20.10.0 or later (`dnf install docker-ce`), {WITHOUT}"),
        ),
        NoEngine::Absent(_) | NoEngine::Silent(_) if has_systemd => Finding::error(
            "docker.not-running",
            what,
            format!(
                "start it with `systemctl enable --now docker`, or let `install --yes` start it; {WITHOUT}"
            ),
        ),
        NoEngine::Absent(_) | NoEngine::Silent(_) => Finding::error(
            "docker.not-running",
            what,
            format!("start it with `systemctl enable --now docker`; {WITHOUT}"),
        ),
        NoEngine::Forbidden(_) => {
            Finding::error("docker.forbidden", what, "run the command with `sudo`")
        }
        NoEngine::Elsewhere(_) => Finding::error(
            "docker.elsewhere",
            what,
            "unset `DOCKER_HOST`, or set it to a Unix socket",
        ),
        NoEngine::Unresponsive(..) | NoEngine::Failing(_) => {
            Finding::error("docker.silent", what, RESTART)
        }
        NoEngine::Interrupted => Finding::error("docker.silent", what, "run the command again"),
        NoEngine::Odd(..) => Finding::error(
            "docker.odd",
            what,
            format!("install Docker 20.10.0 or later in its place, {WITHOUT}"),
        ),
    }
}

fn engine_itself(engine: &EngineFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if engine.is_podman {
        findings.push(Finding::error(
            "docker.podman",
            "Podman answers instead of Docker, and it does not support Swarm",
            format!("remove `podman-docker` and install Docker 20.10.0 or later, {WITHOUT}"),
        ));
        return findings;
    }
    if engine.release.is_some_and(|release| release < LEAST_VERSION) {
        findings.push(Finding::error(
            "docker.version",
            format!("Docker has version {}, but 20.10.0 or later is required", engine.version),
            format!("update it: `dnf upgrade docker-ce`, {WITHOUT}"),
        ));
    }
    if engine.has_live_restore {
        findings.push(Finding::error(
            "docker.live-restore",
            "Docker runs with `live-restore`, which Swarm does not support",
            "remove `live-restore` from `/etc/docker/daemon.json` and restart Docker",
        ));
    }
    findings
}

/// What is wrong with a swarm that does not tell of its services.
pub(crate) fn mute(swarm: &SwarmFact) -> Option<Finding> {
    let is_mute = matches!(swarm, SwarmFact::Locked | SwarmFact::Broken(_));
    swarm_of(swarm).filter(|_| is_mute)
}

fn swarm_of(swarm: &SwarmFact) -> Option<Finding> {
    let leave = "stop its containers on this host and run `docker swarm leave`";
    Some(match swarm {
        SwarmFact::Inactive | SwarmFact::Manager { is_ours: true, nodes: ..=1 } => return None,
        SwarmFact::Manager { is_ours: false, nodes: ..=1 } => Finding::warning(
            "swarm.others",
            "this host already has a swarm; the stack is deployed to it",
            "nothing to do: `uninstall` keeps the swarm",
        ),
        SwarmFact::Manager { nodes, .. } => Finding::error(
            "swarm.several-nodes",
            format!(
                "this host's swarm has {nodes} hosts, so a service could start on another host"
            ),
            format!("use a separate host, {WITHOUT}"),
        ),
        SwarmFact::Worker => Finding::error(
            "swarm.worker",
            "this host is a worker in a swarm that another host manages",
            format!("use another host, or {leave}"),
        ),
        SwarmFact::Locked => Finding::error(
            "swarm.locked",
            "this host's swarm is locked",
            "run `docker swarm unlock`",
        ),
        SwarmFact::Broken(why) => Finding::error(
            "swarm.broken",
            format!("this host's swarm does not work: {why}"),
            "if nothing else uses it, run `docker swarm leave --force`, then run the command again",
        ),
    })
}

fn node(engine: &EngineFacts) -> Option<Finding> {
    let node = engine.node.as_ref().filter(|node| node.availability != Availability::Active)?;
    Some(Finding::error(
        "swarm.unavailable",
        "this host's swarm starts no services here: the node is paused or drained",
        format!("`docker node update --availability active {}`", node.name),
    ))
}

/// The stack's names are the documented ones, and may be taken.
fn names_of_others(adopted: Option<&Adopted>, engine: &EngineFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let in_stack = engine.services.iter().filter(|it| it.stack.as_deref() == Some(STACK));
    let others: Vec<_> =
        in_stack.filter(|it| !it.is_of_installation()).map(|it| format!("`{}`", it.name)).collect();
    if !others.is_empty() && adopted.is_none() {
        findings.push(Finding::error(
            "stack.others",
            format!(
                "Docker runs a stack `{STACK}` that this program did not deploy: {}",
                others.join(", ")
            ),
            "take it over with `--adopt`, or remove it: `docker stack rm pcoipcm`",
        ));
    }
    let goes = adopted.is_some_and(|it| it.networks.iter().any(|name| name == NETWORK));
    let network = engine.networks.iter().find(|it| it.name == NETWORK && !it.is_ours && !goes);
    findings.extend(network.map(|_| {
        Finding::error(
            "network.others",
            format!("Docker has a network `{NETWORK}` that this program did not create"),
            format!("if nothing uses it, run `docker network rm {NETWORK}`"),
        )
    }));
    findings
}

fn pool(wanted: &Wanted, facts: &Facts, engine: &EngineFacts) -> Option<Finding> {
    let is_needed = engine.swarm == SwarmFact::Inactive;
    (is_needed && swarm::pool(wanted.network, facts).is_none()).then(|| {
        Finding::error(
            "network.no-pool",
            "no private network is free for the swarm's addresses",
            "remove unused Docker networks with `docker network prune`",
        )
    })
}

fn images(deploying: &Deploying) -> Option<Finding> {
    let why = deploying.images.as_ref().err()?;
    Some(Finding::error(
        "images.missing",
        format!("the images of the services cannot be read: {why}"),
        "reinstall the package, put `pcoip-cmsg-images.tar` of this version next to this program, \
         or specify a registry with `--docker-registry`",
    ))
}

#[cfg(test)]
mod tests;
