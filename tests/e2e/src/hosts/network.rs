//! A network between hosts: a bridge in a namespace, which is itself a host of the network.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::namespace::Namespace;

/// The address family of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// A network and its own host.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) namespace: Namespace,
    /// The address of its own host.
    pub(super) own: IpAddr,
    name: &'static str,
    number: u8,
    family: Family,
}

impl Network {
    /// Makes a network that only its own host is on.
    pub(super) fn make(name: &'static str, number: u8, family: Family) -> io::Result<Self> {
        let namespace = Namespace::make(name)?;
        let own = family.address(number, OWN);
        namespace.ip("link add name bridge type bridge mcast_snooping 0")?;
        namespace.ip("link set dev bridge up")?;
        namespace.ip(&family.assignment(own, "bridge"))?;
        Ok(Self { namespace, own, name, number, family })
    }

    /// Connects another host, and returns the address that it gets.
    pub(super) fn connect(&self, host: &Namespace, index: u8) -> io::Result<IpAddr> {
        let (bridge, link) = (&self.namespace, self.name);
        let (other, port) = (bridge.name(), format!("port{index}"));
        let address = self.family.address(self.number, index);
        host.ip(&format!("link add name {link} type veth peer name {port} netns {other}"))?;
        bridge.ip(&format!("link set dev {port} master bridge up"))?;
        host.ip(&format!("link set dev {link} up"))?;
        host.ip(&self.family.assignment(address, link))?;
        Ok(address)
    }

    /// Sets the far end of a connected host's link `up` or `down`.
    pub(super) fn set(&self, index: u8, state: &str) -> io::Result<()> {
        self.namespace.ip(&format!("link set dev port{index} {state}"))
    }

    /// Gives a connected host one more address.
    pub(super) fn connect_again(&self, host: &Namespace, index: u8) -> io::Result<IpAddr> {
        let address = self.family.address(self.number, index);
        host.ip(&self.family.assignment(address, self.name))?;
        Ok(address)
    }
}

/// Differs from the index of every host.
const OWN: u8 = 10;

impl Family {
    fn address(self, network: u8, host: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 71, network, host).into(),
            Self::V6 => Ipv6Addr::new(0xfd71, network.into(), 0, 0, 0, 0, 0, host.into()).into(),
        }
    }

    /// The arguments of `ip` that assign an address. An IPv6 address is usable immediately.
    fn assignment(self, address: IpAddr, link: &str) -> String {
        match self {
            Self::V4 => format!("address add {address}/24 dev {link}"),
            Self::V6 => format!("address add {address}/64 dev {link} nodad"),
        }
    }
}
