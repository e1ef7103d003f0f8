//! The network of the faults: hosts on a bridge for clients and a bridge for agents.
//!
//! ```text
//! clients 10.72.1.10 ── bridge ── cm .1, g1 .2, g2 .3, g3 .4 ── bridge ── 10.72.2.10 broker, agents
//!              g1 and g2 share 10.72.1.100 and 10.72.2.100
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context as _;

use crate::{
    bench::sg::janitor::{Change, Janitor},
    binaries::output,
};

/// The network of clients, and that of broker and agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Wan,
    Lan,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Wan, Self::Lan];

    /// The name of the hosts' interface.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wan => "wan",
            Self::Lan => "lan",
        }
    }

    /// The address with this last number.
    pub(super) fn address(self, host: u8) -> String {
        let net = match self {
            Self::Wan => 1,
            Self::Lan => 2,
        };
        format!("10.72.{net}.{host}")
    }
}

/// Last number of the addresses of clients, broker and agent.
pub(super) const OUTSIDE: u8 = 10;

/// The second agent's address.
pub(super) const SECOND_AGENT: u8 = 11;

/// The port of gateways for their peers.
pub(super) const PEERS: u16 = 4173;

/// Last number of the addresses that two gateways share.
pub(super) const SHARED: u8 = 100;

/// The namespaces. They are removed by the [`Janitor`].
pub(super) struct Network {
    /// Distinguishes this run from others on the same host.
    number: u32,
}

impl Network {
    /// Makes both bridges, and connects these hosts.
    pub(super) fn make(janitor: &Janitor, hosts: &[u8]) -> anyhow::Result<Self> {
        let network = Self { number: std::process::id() % 1_000_000 };
        for side in Side::BOTH {
            let name = network.bridge(side);
            network.add(janitor, &name)?;
            ip(&name, "link add name br0 type bridge mcast_snooping 0")?;
            ip(&name, "link set dev br0 up")?;
            for own in [OUTSIDE, SECOND_AGENT] {
                ip(&name, &format!("address add {}/24 dev br0", side.address(own)))?;
            }
        }
        for host in hosts {
            let name = network.host(*host);
            network.add(janitor, &name)?;
            for side in Side::BOTH {
                let (bridge, link) = (network.bridge(side), side.name());
                ip(
                    &name,
                    &format!("link add name {link} type veth peer name p{host} netns {bridge}"),
                )?;
                ip(&bridge, &format!("link set dev p{host} master br0 up"))?;
                ip(&name, &format!("link set dev {link} up"))?;
                ip(&name, &format!("address add {}/24 dev {link}", side.address(*host)))?;
            }
        }
        Ok(network)
    }

    /// A command on a host.
    pub(super) fn on(&self, host: u8, program: &str) -> Command {
        inside(&self.host(host), program)
    }

    /// A command on a host whose clock is a minute behind.
    pub(super) fn late(&self, host: u8, program: &Path) -> anyhow::Result<Command> {
        let mut command = self.on(host, "sh");
        command.arg("-c").arg(LATE).arg(faketime()?).arg(program);
        Ok(command)
    }

    /// A command where clients, or broker and agent, are.
    pub(super) fn at(&self, side: Side, program: &str) -> Command {
        inside(&self.bridge(side), program)
    }

    /// Connects a host to both networks, or disconnects it. All its packets are dropped then.
    pub(super) fn plug(&self, host: u8, is_plugged: bool) -> anyhow::Result<()> {
        let state = if is_plugged { "up" } else { "down" };
        Side::BOTH
            .iter()
            .try_for_each(|side| ip(&self.bridge(*side), &format!("link set dev p{host} {state}")))
    }

    /// Lets these hosts reach each other, or only all others.
    pub(super) fn isolate(&self, hosts: &[u8], is_isolated: bool) -> anyhow::Result<()> {
        let state = if is_isolated { "on" } else { "off" };
        for side in Side::BOTH {
            for host in hosts {
                let mut bridge = inside(&self.bridge(side), "bridge");
                bridge.args(["link", "set", "dev", &format!("p{host}"), "isolated", state]);
                output(&mut bridge)?;
            }
        }
        Ok(())
    }

    /// Drops what a host sends between peers, or stops doing so.
    pub(super) fn mute(&self, host: u8, is_muted: bool) -> anyhow::Result<()> {
        let change = if is_muted { "add" } else { "del" };
        ["dport", "sport"].iter().try_for_each(|port| {
            ip(&self.host(host), &format!("rule {change} ipproto tcp {port} {PEERS} blackhole"))
        })
    }

    fn add(&self, janitor: &Janitor, name: &str) -> anyhow::Result<()> {
        let mut add = Command::new("ip");
        add.args(["netns", "add", name]);
        janitor.make(&Change::Namespace(name.to_owned()), || output(&mut add))?;
        ip(name, "link set dev lo up")
    }

    fn bridge(&self, side: Side) -> String {
        format!("failover{}-{}", self.number, side.name())
    }

    fn host(&self, host: u8) -> String {
        format!("failover{}-h{host}", self.number)
    }
}

/// Runs a program with a clock that is a minute behind; the library is `$0`. It leaves files in
/// `/dev/shm`: the shell has its own mounts.
const LATE: &str = "mount -t tmpfs none /dev/shm && \
    export FAKETIME=-60s FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD=\"$0\" && exec \"$@\"";

/// The library that changes the clock of a process, from the package `faketime`.
fn faketime() -> anyhow::Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib").context("listing `/usr/lib`")?;
    let library = |folder: PathBuf| folder.join("faketime/libfaketime.so.1");
    let mut libraries = folders.flatten().map(|entry| library(entry.path()));
    libraries.find(|file| file.exists()).context("the package `faketime` is not installed")
}

fn ip(namespace: &str, words: &str) -> anyhow::Result<()> {
    output(Command::new("ip").args(["-n", namespace]).args(words.split(' '))).map(drop)
}

/// A command that does not outlive the benchmark.
fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "setpriv", "--pdeathsig=KILL", program]);
    command.stdin(Stdio::null());
    command
}
