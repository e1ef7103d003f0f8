//! A UDP socket whose options are set for trains.

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, BorrowedFd},
};

use nix::sys::socket::{
    setsockopt,
    sockopt::{IpRecvTos, Ipv4PacketInfo, Ipv6RecvPacketInfo, Ipv6RecvTClass, UdpGroSegment},
};

use crate::{
    filter::SourceFilter,
    outbox::Target,
    system::{dropped, send_one},
};

/// A UDP socket. It does not block.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    /// Whether it is an IPv6 socket, where IPv4 addresses are mapped to IPv6.
    is_v6: bool,
}

impl Socket {
    /// Prepares a bound socket for trains. If `has_local` is set and the socket has a wildcard address,
    /// each datagram is received with the local address that it came to.
    ///
    /// # Errors
    ///
    /// The error of the system call that failed.
    pub fn new(inner: socket2::Socket, has_local: bool) -> io::Result<Self> {
        let address = bound(&inner)?;
        let is_v6 = address.is_ipv6();
        let is_wildcard = has_local && address.ip().is_unspecified();
        inner.set_nonblocking(true)?;
        setsockopt(&inner, IpRecvTos, &true)?;
        if is_v6 {
            setsockopt(&inner, Ipv6RecvTClass, &true)?;
        }
        match is_v6 {
            true if is_wildcard => setsockopt(&inner, Ipv6RecvPacketInfo, &true)?,
            false if is_wildcard => setsockopt(&inner, Ipv4PacketInfo, &true)?,
            _ => {}
        }
        // Linux before 5.0 does not merge datagrams, which are then received one by one.
        let _ = setsockopt(&inner, UdpGroSegment, &true);
        Ok(Self { inner, is_v6 })
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// The error of the system call.
    pub fn address(&self) -> io::Result<SocketAddr> {
        bound(&self.inner)
    }

    /// Sends one datagram.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the socket's buffer is full; otherwise the error of the system call.
    pub fn send(&self, datagram: &[u8], target: Target) -> io::Result<()> {
        send_one(self, datagram, target)
    }

    /// Lets the kernel drop datagrams from other addresses than those of the filter, or from none.
    ///
    /// # Errors
    ///
    /// The error of the system call: `net.core.optmem_max` may be too small for the program. The former
    /// filter stays.
    pub fn set_filter(&self, filter: Option<&SourceFilter>) -> io::Result<()> {
        match filter {
            Some(filter) => self.inner.attach_filter(&filter.program()),
            None => match self.inner.detach_filter() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                detached => detached,
            },
        }
    }

    /// The number of datagrams that the kernel has dropped, because of a filter or because the buffer
    /// was full. It starts again at 0 after 4,294,967,295.
    ///
    /// # Errors
    ///
    /// The error of the system call.
    pub fn dropped(&self) -> io::Result<u32> {
        dropped(self)
    }

    /// The address in the form that system calls for this socket need.
    pub(crate) fn name_of(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) if self.is_v6 => mapped(v4).into(),
            other => other,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

fn bound(socket: &socket2::Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::other("the socket has no IP address"))
}

fn mapped(address: SocketAddrV4) -> SocketAddrV6 {
    SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0)
}

/// The address in its shortest form: an IPv4-mapped IPv6 address as IPv4.
pub(crate) fn canonical(ip: impl Into<IpAddr>) -> IpAddr {
    ip.into().to_canonical()
}
