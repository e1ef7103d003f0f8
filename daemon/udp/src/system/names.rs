//! Addresses in the form of the kernel.

use std::{
    mem::zeroed,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    ptr,
};

use nix::libc::{self, c_int, in_addr, in6_addr, sockaddr_in, sockaddr_in6, sockaddr_storage};

use crate::socket::canonical;

/// The address in the form of the kernel, and its length.
pub(super) fn name_of(address: SocketAddr) -> (sockaddr_storage, libc::socklen_t) {
    // SAFETY: all fields are numbers, for which 0 is a value.
    let mut name: sockaddr_storage = unsafe { zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let to = sockaddr_in {
                sin_family: family(libc::AF_INET),
                sin_port: v4.port().to_be(),
                sin_addr: in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: a `sockaddr_storage` is as large and as aligned as any address.
            unsafe { ptr::from_mut(&mut name).cast::<sockaddr_in>().write(to) };
            length_of::<sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let to = sockaddr_in6 {
                sin6_family: family(libc::AF_INET6),
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { ptr::from_mut(&mut name).cast::<sockaddr_in6>().write(to) };
            length_of::<sockaddr_in6>()
        }
    };
    (name, length)
}

pub(super) fn address_of(name: &sockaddr_storage) -> Option<SocketAddr> {
    let at = ptr::from_ref(name);
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel has written an address of this type.
            let v4 = unsafe { at.cast::<sockaddr_in>().read() };
            let port = u16::from_be(v4.sin_port);
            Some(SocketAddrV4::new(from_in_addr(v4.sin_addr), port).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { at.cast::<sockaddr_in6>().read() };
            let (ip, port) = (Ipv6Addr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port));
            Some(match canonical(ip) {
                IpAddr::V4(v4) => SocketAddrV4::new(v4, port).into(),
                IpAddr::V6(_) => SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

pub(super) fn from_in_addr(address: in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}

pub(super) fn family(family: c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).unwrap_or_default()
}

pub(super) fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}
