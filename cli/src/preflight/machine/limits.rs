//! The system's limits against what the roles may need at once.

use cmsg_config::{ConfFile, ConnectionManager, SecurityGateway};

use crate::{
    finding::Finding,
    host::{
        Facts,
        machine::{
            Machine,
            kernel::{FILE, Said},
        },
    },
    installation::{Runtime, surroundings::KernelKey},
    plan::{
        configuration::Configuration,
        surroundings::{self, kernel::list},
        units,
    },
    wanted::{Wanted, listen::ListenKey},
};

/// Clients' side and the other side of each.
const FILES_EACH: u64 = 2;
/// Listeners, logs, and connections that are not let in yet.
const FILES_BESIDE: u64 = 1_000;
/// A gateway's session has TCP and UDP on both sides.
const TRACKED_BY_SESSION: u64 = 4;
/// A client of the Connection Manager, and its connection to the broker.
const TRACKED_BY_CLIENT: u64 = 2;

/// `MaxConnections` of each role, where it is wanted and its file can be read.
struct Most {
    clients: Option<u64>,
    sessions: Option<u64>,
}

/// Checks the limits on files and connections.
pub(super) fn check(draft: &Configuration, runtime: Runtime, facts: &Facts) -> Vec<Finding> {
    let most = Most::of(draft);
    files(&most, runtime, facts).into_iter().chain(connections(&most, &facts.machine)).collect()
}

/// Checks that nobody can be lent the port that datagrams to agents come from.
pub(super) fn udp_source(facts: &Facts) -> Option<Finding> {
    let port = facts.listeners.get(&ListenKey::UdpSource)?.port()?;
    facts.machine.lent_ports.as_ref().filter(|lent| lent.contains(&port))?;
    let reserved = facts.machine.reserved_ports.as_ref()?;
    if reserved.iter().any(|range| range.contains(&port)) {
        return None;
    }
    let cure = if facts.machine.is_prepared {
        "nothing to do: `install` reserves it, and `uninstall` undoes that".to_owned()
    } else {
        let all = [&reserved[..], &[port..=port]].concat();
        format!(
            "`sysctl -w {}={}`, and the same in a file under `/etc/sysctl.d`",
            KernelKey::ReservedPorts.name(),
            list(&all)
        )
    };
    Some(Finding::warning(
        "host.reserved-ports",
        format!(
            "the kernel may give port {port} of `udp-source` to another program while the gateway is stopped"
        ),
        cure,
    ))
}

/// Checks that the settings of the kernel that `install` writes down will hold.
pub(super) fn overridden(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let finding = |(said, value): (Said, String)| {
        let (path, name) = (said.path.display(), said.key.name());
        Finding::warning(
            "host.kernel-settings",
            format!(
                "`{path}` sets `{name}` to `{}` when the machine starts, after the installer's own \
                 `/{FILE}`",
                said.value
            ),
            format!("set it to `{value}` in that file, or remove the line"),
        )
    };
    surroundings::overridden(facts, &wanted.place.paths()).into_iter().map(finding).collect()
}

/// Each role is one process.
fn files(most: &Most, runtime: Runtime, facts: &Facts) -> Option<Finding> {
    let machine = &facts.machine;
    let (limit, cure) = match runtime {
        // The kernel gives a service no more than that either.
        Runtime::Host if facts.installed.units.are_used => (
            units::OPEN_FILES.min(machine.most_files?),
            "raise it (`LimitNOFILE=` with `systemctl edit`, `sysctl -w fs.nr_open`), or lower \
             `MaxConnections`",
        ),
        Runtime::Host => (
            machine.own_files?,
            "raise it (`ulimit -Hn`, `/etc/security/limits.conf`), or lower `MaxConnections`",
        ),
        Runtime::Swarm => match facts.engine.facts().and_then(|engine| engine.open_files) {
            Some(limit) => (
                limit,
                "raise `nofile` in `default-ulimits` in `/etc/docker/daemon.json` and restart \
                 Docker, or lower `MaxConnections`",
            ),
            None => (
                machine.most_files?,
                "raise it (`sysctl -w fs.nr_open`), or lower `MaxConnections`",
            ),
        },
    };
    let largest = most.clients.max(most.sessions)?;
    let needed = largest.saturating_mul(FILES_EACH).saturating_add(FILES_BESIDE);
    (limit < needed).then(|| {
        Finding::warning(
            "host.file-limit",
            format!(
                "a process may open {limit} files, but a service with `MaxConnections = {largest}` needs {needed}"
            ),
            cure,
        )
    })
}

fn connections(most: &Most, machine: &Machine) -> Option<Finding> {
    let limit = machine.tracked_connections?;
    let tracked = |count: Option<u64>, each: u64| count.unwrap_or_default().saturating_mul(each);
    let needed = tracked(most.clients, TRACKED_BY_CLIENT)
        .saturating_add(tracked(most.sessions, TRACKED_BY_SESSION));
    (limit < needed).then(|| {
        Finding::warning(
            "host.tracked-connections",
            format!(
                "the kernel tracks at most {limit} connections, but `MaxConnections` allows {needed}"
            ),
            format!(
                "`sysctl -w net.netfilter.nf_conntrack_max={}`, and the same in a file under \
                 `/etc/sysctl.d`; or lower `MaxConnections`",
                needed.saturating_mul(2)
            ),
        )
    })
}

impl Most {
    fn of(draft: &Configuration) -> Self {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let clients = |file: &ConfFile| {
            ConnectionManager::read(file)
                .ok()
                .map(|read| wide(read.value.max_connections.as_usize()))
        };
        let sessions = |file: &ConfFile| {
            SecurityGateway::read(file).ok().map(|read| wide(read.value.max_connections.as_usize()))
        };
        Self {
            clients: draft.cm.as_ref().and_then(clients),
            sessions: draft.sg.as_ref().and_then(sessions),
        }
    }
}
