//! A datagram with its metadata: the type of service (DSCP and ECN), and the local address that it
//! is sent from.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::RawFd,
};

use cmsg_proto::gateway::canonical;
use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
        recvmsg, sendmsg,
    },
};

/// The metadata of a received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::security_gateway) struct Received {
    pub(in crate::security_gateway) length: usize,
    /// Source address, canonical.
    pub(in crate::security_gateway) from: SocketAddr,
    /// The byte of the IP header with DSCP and ECN.
    pub(in crate::security_gateway) tos: u8,
}

/// A buffer for the control messages of a datagram.
pub(in crate::security_gateway) fn control_room() -> Vec<u8> {
    let mut room = cmsg_space!(u8, i32);
    room.resize(room.capacity(), 0);
    room
}

/// Receives one datagram, without waiting.
pub(super) fn receive(
    socket: RawFd,
    buffer: &mut [u8],
    control: &mut [u8],
) -> io::Result<Received> {
    let mut into = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket, &mut into, Some(control), flags)?;
    let from = message.address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
    });
    let from = from.ok_or_else(|| io::Error::other("a datagram without a source"))?;
    let tos = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4Tos(tos) => Some(tos),
        ControlMessageOwned::Ipv6TClass(class) => u8::try_from(class).ok(),
        _ => None,
    });
    Ok(Received { length: message.bytes, from: canonical(from), tos: tos.unwrap_or_default() })
}

/// Sends one datagram with this type of service, and from this local address if one is given.
pub(super) fn send(
    socket: RawFd,
    datagram: &[u8],
    to: SocketAddr,
    (from, tos): (Option<IpAddr>, u8),
) -> io::Result<usize> {
    let datagram = [IoSlice::new(datagram)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let class = i32::from(tos);
    let is_v4 = canonical(to).is_ipv4();
    // An IPv4-mapped address needs the IPv4 option, even on an IPv6 socket.
    let tos = match is_v4 {
        true => ControlMessage::Ipv4Tos(&tos),
        false => ControlMessage::Ipv6TClass(&class),
    };
    let sent = match to {
        SocketAddr::V4(to) => {
            let to = SockaddrIn::from(to);
            let Some(IpAddr::V4(from)) = from else {
                return Ok(sendmsg(socket, &datagram, &[tos], flags, Some(&to))?);
            };
            let any = libc::in_addr { s_addr: 0 };
            let from = libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: any };
            let info = ControlMessage::Ipv4PacketInfo(&info);
            sendmsg(socket, &datagram, &[tos, info], flags, Some(&to))
        }
        SocketAddr::V6(to) => {
            let to = SockaddrIn6::from(to);
            let from = match from {
                None => return Ok(sendmsg(socket, &datagram, &[tos], flags, Some(&to))?),
                Some(IpAddr::V4(from)) => from.to_ipv6_mapped(),
                Some(IpAddr::V6(from)) => from,
            };
            let from = libc::in6_addr { s6_addr: from.octets() };
            let info = libc::in6_pktinfo { ipi6_addr: from, ipi6_ifindex: 0 };
            let info = ControlMessage::Ipv6PacketInfo(&info);
            sendmsg(socket, &datagram, &[tos, info], flags, Some(&to))
        }
    };
    Ok(sent?)
}
