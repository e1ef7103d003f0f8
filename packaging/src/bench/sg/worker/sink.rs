//! Receives datagrams: many with one system call, single or merged.

use std::{
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd as _,
};

use nix::{
    cmsg_space,
    libc::{in_addr, in_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, recvmmsg,
        sendmsg,
    },
};

use super::{
    super::wire::{Mark, Purpose, SIZE},
    line::{Line, Received, Route},
    now,
};

/// Datagrams that are read at once.
const BATCH: usize = 64;
/// Room for a train of merged datagrams.
const ROOM: usize = 65_536;

/// Receives until the process ends.
pub(super) fn receive(line: &Line) {
    let mut buffers = vec![vec![0; ROOM]; BATCH];
    loop {
        receive_some(line, &mut buffers);
    }
}

fn receive_some(line: &Line, buffers: &mut [Vec<u8>]) {
    // They are made for each call, because the previous one left the space for control messages
    // too small.
    let control = cmsg_space!(in_pktinfo, i32);
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, Some(control));
    let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
    let fd = line.socket.as_raw_fd();
    let flags = MsgFlags::MSG_WAITFORONE;
    let Ok(messages) = recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None) else { return };
    let now = now();
    let mut hellos = Vec::new();
    let mut state = line.state();
    for message in messages {
        let Some((from, at, train)) = addresses(&message) else { continue };
        let bytes = message.iovs().next().unwrap_or_default();
        let size = train.filter(|size| *size > 0).unwrap_or(bytes.len()).max(1);
        for bytes in bytes.chunks(size) {
            hellos.extend(state.take(Received { bytes, from, at, now }));
        }
    }
    drop(state);
    for (mark, route) in hellos {
        welcome(line, mark, &route);
    }
}

/// The addresses of a datagram, and the size of its parts if it is a train.
fn addresses(
    message: &RecvMsg<'_, '_, SockaddrIn>,
) -> Option<(SocketAddrV4, Ipv4Addr, Option<usize>)> {
    let (mut at, mut train) = (None, None);
    for control in message.cmsgs().ok()? {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => at = Some(address(info.ipi_addr)),
            ControlMessageOwned::UdpGroSegments(size) => train = usize::try_from(size).ok(),
            _ => {}
        }
    }
    Some((SocketAddrV4::from(message.address?), at?, train))
}

fn welcome(line: &Line, mark: Mark, route: &Route) {
    let mut bytes = [0; SIZE];
    let mark = Mark { purpose: Purpose::Welcome, ..mark };
    mark.write(line.side.spi(mark.session), 1, &mut bytes);
    // The client repeats its hello if the welcome is lost.
    let _ = send(line, route, &[&bytes]);
}

/// Sends one datagram, in pieces, with the source address of its session.
pub(super) fn send(line: &Line, route: &Route, pieces: &[&[u8]]) -> nix::Result<usize> {
    let pieces: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let from = source(route.from);
    let control = [ControlMessage::Ipv4PacketInfo(&from)];
    let to = SockaddrIn::from(route.to);
    sendmsg(line.socket.as_raw_fd(), &pieces, &control, MsgFlags::empty(), Some(&to))
}

/// The control message's data that sets the source address.
pub(super) fn source(address: Ipv4Addr) -> in_pktinfo {
    in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(address.octets()) },
        ipi_addr: in_addr { s_addr: 0 },
    }
}

fn address(address: in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}
