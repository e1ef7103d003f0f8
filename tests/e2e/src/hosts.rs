//! The product across hosts. Each host is a network namespace, so that the documented ports are
//! really used, and all traffic passes through the product:
//!
//! ```text
//!          ┌── a ──┐
//! client ──┼── b ──┼── broker, agent
//!          └── c ──┘
//! ```

pub mod host;
pub mod namespace;
pub mod network;
pub mod process;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Command,
};

use cmsg_config::Paths;
use serde_json::Value;
use tempfile::TempDir;

use crate::binaries;
use host::Host;
use namespace::Namespace;
use network::{Family, Network};
use process::Process;

/// Three hosts for the product, between the host of the client and that of broker and agent.
#[derive(Debug)]
pub struct Hosts {
    /// One host for the product.
    pub a: Host,
    pub b: Host,
    pub c: Host,
    broker: Process,
    agent: Process,
    wan: Network,
    lan: Network,
    folder: TempDir,
}

/// Host part of the second address.
const SECOND: u8 = 101;

/// The events of broker and agent.
#[derive(Debug)]
pub struct Said {
    pub broker: Vec<Value>,
    pub agent: Vec<Value>,
}

impl Hosts {
    /// Connects the hosts and starts broker and agent. Nothing is installed.
    ///
    /// # Panics
    ///
    /// If something does not start.
    #[must_use]
    pub fn start(family: Family) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let wan = Network::make("wan", 1, family).expect("the clients' network can be made");
        let lan = Network::make("lan", 2, family).expect("the agents' network can be made");
        let host = |name: &str, index| {
            let namespace = Namespace::make(name).expect("a namespace can be made");
            let outside = wan.connect(&namespace, index).expect("a host can be connected");
            Host {
                index,
                outside,
                pcoip: outside,
                inside: lan.connect(&namespace, index).expect("a host can be connected"),
                namespace,
                broker: lan.own,
                paths: Paths::under(folder.path().join(name)),
            }
        };
        let (a, b, c) = (host("a", 1), host("b", 2), host("c", 3));
        let (broker, agent) = (broker(&lan), agent(&lan));
        Self { a, b, c, broker, agent, wan, lan, folder }
    }

    /// Moves `a` to a second address on its outer link, like a failover of a virtual address. Its
    /// gateway listens on all addresses.
    ///
    /// # Panics
    ///
    /// If the address cannot be given.
    pub fn move_a_to_second_address(&mut self) {
        let second = self.wan.connect_again(&self.a.namespace, SECOND);
        self.a.outside = second.expect("a second address can be given");
        self.a.pcoip = match self.a.outside {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
    }

    /// Disconnects a host from the clients' network and from the other hosts, without closing
    /// connections.
    ///
    /// # Panics
    ///
    /// If the link cannot be cut.
    pub fn unplug(&self, host: &Host) {
        self.wan.set(host.index, "down").expect("a link can be cut");
    }

    /// Reconnects a host.
    ///
    /// # Panics
    ///
    /// If the link cannot be mended.
    pub fn plug(&self, host: &Host) {
        self.wan.set(host.index, "up").expect("a link can be mended");
    }

    /// Address of the client.
    #[must_use]
    pub fn client(&self) -> IpAddr {
        self.wan.own
    }

    /// Starts a client of a host's Connection Manager.
    #[must_use]
    pub fn client_of(&self, host: &Host, more: &[&str]) -> Process {
        let mut client = simulator(&self.wan, "client");
        client.args(["--connect", &url(host.outside), "--passcode", "123456"]);
        client.args(["--user", "u", "--password", "p", "--domain", "example.com"]);
        client.args(more);
        Process::start(client)
    }

    /// The response of a host to a request for this path from outside.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    pub fn curl(&self, host: &Host, path: &str) -> String {
        let mut curl = self.wan.namespace.command("curl");
        curl.args(["--silent", "--show-error", "--insecure", "--max-time", "30"]);
        curl.arg(format!("{}{path}", url(host.outside)));
        host::succeed(curl)
    }

    /// Uninstalls and stops everything, and returns the events of the simulators.
    ///
    /// # Panics
    ///
    /// If anything is left behind.
    #[must_use]
    pub fn end(self) -> Said {
        self.a.uninstall();
        self.b.uninstall();
        self.c.uninstall();
        let said = Said { broker: self.broker.stop(), agent: self.agent.stop() };

        let [a, b, c] = [self.a, self.b, self.c].map(|host| host.namespace);
        let hosts = [a, b, c, self.wan.namespace, self.lan.namespace];
        for host in &hosts {
            assert_eq!(host.processes().expect("a namespace tells its processes"), []);
        }
        let names = hosts.each_ref().map(|host| host.name().to_owned());
        drop(hosts);
        let left = namespace::names().expect("namespaces can be listed");
        assert!(!names.iter().any(|name| left.contains(name)), "{names:?} {left:?}");
        let files = host::files(self.folder.path());
        assert!(files.is_empty(), "{files:?}");
        said
    }
}

/// The URL of the documented port.
fn url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("https://{address}"),
        IpAddr::V6(address) => format!("https://[{address}]"),
    }
}

fn broker(lan: &Network) -> Process {
    let (own, agent) = (lan.own, lan.own.to_string());
    let mut broker = simulator(lan, "broker");
    broker.args(["--listen", &SocketAddr::new(own, 443).to_string()]);
    broker.args(["--agent-host", &agent, "--agent-ip", &agent]);
    ready(broker)
}

fn agent(lan: &Network) -> Process {
    let mut agent = simulator(lan, "agent");
    agent.args(["--listen", &SocketAddr::new(lan.own, 60443).to_string()]);
    agent.args(["--pcoip-listen", &SocketAddr::new(lan.own, 4172).to_string()]);
    ready(agent)
}

fn ready(command: Command) -> Process {
    let mut server = Process::start(command);
    server.wait_for(|event| event["event"] == "ready");
    server
}

fn simulator(network: &Network, kind: &str) -> Command {
    let simulator = binaries::command("pcoip-sim");
    let mut command = network.namespace.command(simulator.get_program());
    command.arg(kind);
    command
}
