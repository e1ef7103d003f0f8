//! The network of the benchmark: namespaces of clients, gateway, agents and flood, joined by veth
//! pairs that behave like network cards with single packets on the wire.
//!
//! ```text
//! clients 10.9.1.2 ── 10.9.1.1 gateway 10.9.2.1 ── 10.9.2.2 agents
//!                     10.9.3.1 ── 10.9.3.2 flood
//! ```

use std::{
    fs,
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use super::janitor::{Change, Janitor};
use crate::binaries::output;

/// CPU of the gateway and its network cards.
pub(super) const GATEWAY_CPU: u32 = 1;
/// CPU of everything else.
pub(super) const OUTSIDE_CPU: u32 = 0;

pub(super) const GATEWAY_OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 1);
pub(super) const GATEWAY_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 2, 1);

/// The namespaces. They are removed by the [`Janitor`].
pub(super) struct Network {
    /// Distinguishes this run from others on the same host.
    number: u32,
    realtime: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Clients,
    Gateway,
    Agents,
    Flood,
}

/// The links: the outer namespace, its interface, and the gateway's interface.
const LINKS: [(Place, &str, &str, u8); 3] = [
    (Place::Clients, "cl", "gc", 1),
    (Place::Agents, "ag", "ga", 2),
    (Place::Flood, "fl", "gf", 3),
];

impl Network {
    pub(super) fn make(janitor: &Janitor) -> anyhow::Result<Self> {
        let network = Self { number: std::process::id() % 1_000_000, realtime: can_use_realtime() };
        for place in [Place::Clients, Place::Gateway, Place::Agents, Place::Flood] {
            let name = network.name(place);
            let mut add = Command::new("ip");
            add.args(["netns", "add", &name]);
            janitor.make(&Change::Namespace(name), || output(&mut add))?;
            network.ip(place, "link set dev lo up")?;
        }
        for (place, outer, inner, net) in LINKS {
            network.join(place, [outer, inner], net)?;
        }
        network.route()?;
        network.multiply_flood()?;
        network.pin_receive_threads()?;
        Ok(network)
    }

    pub(super) fn has_realtime(&self) -> bool {
        self.realtime
    }

    /// A command inside a namespace, on the CPU of that side.
    pub(super) fn command(&self, place: Place, program: &str) -> Command {
        let cpu = if place == Place::Gateway { GATEWAY_CPU } else { OUTSIDE_CPU };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(place), "taskset", "-c", &cpu.to_string()]);
        // It must not outlive the benchmark.
        command.args(["setpriv", "--pdeathsig=KILL"]);
        if self.realtime {
            command.args(["chrt", "--rr", PRIORITY]);
        }
        command.arg(program).stdin(Stdio::null());
        command
    }

    /// The interface on which the flood sends frames.
    pub(super) fn flooding_interface(&self) -> String {
        format!("fs{}", self.number)
    }

    /// The threads that receive for the gateway's interfaces.
    pub(super) fn gateway_threads(&self) -> anyhow::Result<Vec<u32>> {
        let names = LINKS.map(|(_, _, inner, _)| format!("{inner}{}", self.number));
        receive_threads(&names)
    }

    /// The hardware address of the gateway's interface for the flood.
    pub(super) fn flooded_address(&self) -> [u8; 6] {
        hardware_address(3, 1)
    }

    fn name(&self, place: Place) -> String {
        let name = match place {
            Place::Clients => "clients",
            Place::Gateway => "gateway",
            Place::Agents => "agents",
            Place::Flood => "flood",
        };
        format!("sgbench{}-{name}", self.number)
    }

    fn ip(&self, place: Place, words: &str) -> anyhow::Result<()> {
        let name = self.name(place);
        output(Command::new("ip").args(["-n", &name]).args(words.split(' '))).map(drop)
    }

    fn inside(&self, place: Place, words: &str) -> anyhow::Result<()> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(place)]).args(words.split(' '));
        output(&mut command).map(drop)
    }

    /// Writes to a file below `/proc/sys` or `/sys`, as the namespace sees it.
    fn set(&self, place: Place, path: &str, value: &str) -> anyhow::Result<()> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(place), "sh", "-c"]);
        command.arg(format!("echo {value} > {path}"));
        output(&mut command).map(drop)
    }

    fn join(&self, place: Place, [outer, inner]: [&str; 2], net: u8) -> anyhow::Result<()> {
        let (gateway, number) = (self.name(Place::Gateway), self.number);
        let [far, near] = [2, 1].map(|host| spelled(hardware_address(net, host)));
        self.ip(
            place,
            &format!(
                "link add name {outer}{number} address {far} type veth peer name {inner}{number} \
                 address {near} netns {gateway}"
            ),
        )?;
        let ends = [(place, outer, 2), (Place::Gateway, inner, 1)];
        for (place, interface, host) in ends {
            let interface = format!("{interface}{number}");
            // Without TSO, veth passes packets through NAPI. Without UDP segmentation, the sender
            // pays for cutting its trains, as before a card that cannot do it.
            let offloads = "gro on tso off tx-udp-segmentation off";
            self.inside(place, &format!("ethtool -K {interface} {offloads}"))?;
            self.ip(place, &format!("address add 10.9.{net}.{host}/24 dev {interface}"))?;
            self.ip(place, &format!("link set dev {interface} up"))?;
            self.inside(place, &format!("tc qdisc replace dev {interface} root pfifo"))?;
            self.set(place, &format!("/sys/class/net/{interface}/threaded"), "1")?;
            for of in ["all", &interface] {
                self.set(place, &format!("/proc/sys/net/ipv4/conf/{of}/rp_filter"), "0")?;
            }
        }
        Ok(())
    }

    /// Every client and agent has its own address, all of which are local to their namespace.
    fn route(&self) -> anyhow::Result<()> {
        self.ip(Place::Clients, "route add local 10.11.0.0/16 dev lo")?;
        self.ip(Place::Clients, "route add default via 10.9.1.1")?;
        self.ip(Place::Agents, "route add local 10.10.0.0/16 dev lo")?;
        self.ip(Place::Agents, "route add default via 10.9.2.1")?;
        self.ip(Place::Flood, "route add default via 10.9.3.1")?;
        self.ip(Place::Gateway, "route add 10.11.0.0/16 via 10.9.1.2")?;
        self.ip(Place::Gateway, "route add 10.10.0.0/16 via 10.9.2.2")?;
        self.set(Place::Gateway, "/proc/sys/net/ipv4/ip_forward", "1")
    }

    /// Frames sent on one more link are copied to the flood's link, which is much cheaper than
    /// sending each. It also ignores how many the gateway takes, as a flood does.
    fn multiply_flood(&self) -> anyhow::Result<()> {
        let [source, copied, link] =
            ["fs", "fc", "fl"].map(|name| format!("{name}{}", self.number));
        let flood = Place::Flood;
        self.ip(flood, &format!("link add name {source} type veth peer name {copied}"))?;
        for interface in [&source, &copied] {
            self.ip(flood, &format!("link set dev {interface} up"))?;
        }
        self.inside(flood, &format!("tc qdisc add dev {copied} clsact"))?;
        let copies = format!("action mirred egress mirror dev {link} pipe ").repeat(COPIES - 1);
        self.inside(
            flood,
            &format!(
                "tc filter add dev {copied} ingress protocol ip u32 match u32 0 0 \
                 {copies}action mirred egress redirect dev {link}"
            ),
        )
    }

    fn pin_receive_threads(&self) -> anyhow::Result<()> {
        let outer = LINKS.map(|(_, outer, ..)| format!("{outer}{}", self.number));
        let (outside, gateway) = (receive_threads(&outer)?, self.gateway_threads()?);
        if outside.len() != LINKS.len() || gateway.len() != LINKS.len() {
            bail!("the kernel does not receive in threads (`/sys/class/net/*/threaded`)");
        }
        let outside = outside.into_iter().map(|thread| (thread, OUTSIDE_CPU));
        let gateway = gateway.into_iter().map(|thread| (thread, GATEWAY_CPU));
        for (thread, cpu) in outside.chain(gateway) {
            let (thread, cpu) = (thread.to_string(), cpu.to_string());
            output(Command::new("taskset").args(["-p", "-c", &cpu, &thread]))?;
            self.prioritise(&thread, PRIORITY)?;
        }
        Ok(())
    }

    /// Lets the gateway's receive threads preempt the relay, as interrupts of network cards do, or
    /// not. Without it, a busy relay would slow the flood down instead of losing datagrams.
    pub(super) fn receive_first(&self, first: bool) -> anyhow::Result<()> {
        let priority = if first { FIRST } else { PRIORITY };
        let threads = self.gateway_threads()?;
        threads.iter().try_for_each(|thread| self.prioritise(&thread.to_string(), priority))
    }

    fn prioritise(&self, thread: &str, priority: &str) -> anyhow::Result<()> {
        if self.realtime {
            output(Command::new("chrt").args(["--rr", "-p", priority, thread]))?;
        }
        Ok(())
    }

    /// Packets that the gateway has received on the flood's link.
    pub(super) fn flooded(&self) -> anyhow::Result<u64> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(Place::Gateway), "cat"]);
        command.arg(format!("/sys/class/net/gf{}/statistics/rx_packets", self.number));
        let packets = String::from_utf8(output(&mut command)?)?;
        packets.trim().parse().context("reading the statistics of the flood's link")
    }
}

/// Priority of all measured threads, so that other programs do not preempt them.
const PRIORITY: &str = "5";
/// Priority of threads that preempt them.
const FIRST: &str = "6";
/// Copies of each frame that the flood sends.
pub(super) const COPIES: usize = 8;

fn can_use_realtime() -> bool {
    output(Command::new("chrt").args(["--rr", PRIORITY, "true"])).is_ok()
}

/// Locally administered.
fn hardware_address(net: u8, host: u8) -> [u8; 6] {
    [0x02, 0x53, 0x47, 0x00, net, host]
}

fn spelled(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// The kernel threads that receive for these interfaces.
fn receive_threads(interfaces: &[String]) -> anyhow::Result<Vec<u32>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir("/proc").context("listing processes")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if interfaces.iter().any(|interface| receives_for(&name, interface)) {
            threads.push(pid);
        }
    }
    Ok(threads)
}

/// Whether a thread with this name receives for this interface: `napi/NAME-ID`.
fn receives_for(name: &str, interface: &str) -> bool {
    let rest = name.strip_prefix("napi/").and_then(|rest| rest.strip_prefix(interface));
    rest.is_some_and(|rest| rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receive_threads_are_told_apart_by_the_whole_interface_name() {
        let table = [
            ("napi/gc12-8193", true),
            ("napi/gc123-8193", false),
            ("napi/gc12", false),
            ("kworker/gc12-1", false),
        ];
        for (name, expected) in table {
            assert_eq!(receives_for(name, "gc12"), expected, "{name}");
        }
        assert_eq!(spelled(hardware_address(3, 1)), "02:53:47:00:03:01");
    }
}
