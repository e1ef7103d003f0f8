//! Control messages: the metadata of received and sent datagrams.

use std::{
    net::{IpAddr, Ipv6Addr},
    ptr::{self, null_mut},
};

use nix::libc::{self, c_int, c_uint, c_void, cmsghdr, in_addr, in_pktinfo, in6_addr, in6_pktinfo};

use super::{ReceivedTrain, names::from_in_addr};
use crate::{Target, socket::canonical};

/// Room for the control messages of one message.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; Control::BYTES]);

impl Control {
    /// Enough for those that a socket of either family receives: type of service, local address, and
    /// length of a segment.
    pub(super) const BYTES: usize = 192;
    pub(super) const EMPTY: Self = Self([0; Self::BYTES]);

    /// A pointer to that many bytes of it; null for none.
    pub(super) fn pointer(&mut self, length: usize) -> *mut c_void {
        if length == 0 { null_mut() } else { self.0.as_mut_ptr().cast() }
    }
}

pub(super) fn read_control(message: &cmsghdr, train: &mut ReceivedTrain) {
    match (message.cmsg_level, message.cmsg_type) {
        (libc::IPPROTO_IP, libc::IP_TOS) => {
            train.tos = value::<u8>(message).unwrap_or_default();
        }
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
            let class = value::<c_int>(message).and_then(|class| u8::try_from(class).ok());
            train.tos = class.unwrap_or_default();
        }
        (libc::SOL_UDP, libc::UDP_GRO) => {
            let segment = value::<c_int>(message).and_then(|length| usize::try_from(length).ok());
            train.segment = segment.filter(|length| *length > 0).unwrap_or(train.length);
        }
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let info = value::<in_pktinfo>(message);
            train.at = info.map(|info| canonical(from_in_addr(info.ipi_addr)));
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let info = value::<in6_pktinfo>(message);
            train.at = info.map(|info| canonical(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
        }
        _ => {}
    }
}

/// The value of a control message, if it is as long as that type.
pub(super) fn value<T: Plain>(message: &cmsghdr) -> Option<T> {
    // SAFETY: the function only computes a number.
    let needed = unsafe { libc::CMSG_LEN(c_uint::try_from(size_of::<T>()).ok()?) };
    if message.cmsg_len < needed as usize {
        return None;
    }
    // SAFETY: the kernel has written that many bytes behind the header, and any bytes are a `Plain`.
    Some(unsafe { ptr::read_unaligned(libc::CMSG_DATA(message).cast::<T>()) })
}

/// Types of which any bytes are a value.
///
/// # Safety
///
/// The type consists of numbers only.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: they consist of numbers.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for c_int {}
// SAFETY: as above.
unsafe impl Plain for in_pktinfo {}
// SAFETY: as above.
unsafe impl Plain for in6_pktinfo {}

/// Writes the control messages that these datagrams need. Returns their length.
pub(super) fn write_controls(control: &mut Control, target: Target, segment: Option<u16>) -> usize {
    let mut room = Room { control, used: 0 };
    let Target { to, from, tos } = target;
    if let Some(segment) = segment {
        room.add(libc::SOL_UDP, libc::UDP_SEGMENT, segment);
    }
    // An IPv4-mapped address needs the IPv4 option, even on an IPv6 socket.
    let is_v4 = canonical(to.ip()).is_ipv4();
    if tos != 0 {
        match is_v4 {
            true => room.add(libc::IPPROTO_IP, libc::IP_TOS, c_int::from(tos)),
            false => room.add(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, c_int::from(tos)),
        }
    }
    match from.map(canonical) {
        Some(IpAddr::V4(from)) if is_v4 => {
            let from = in_addr { s_addr: u32::from_ne_bytes(from.octets()) };
            let any = in_addr { s_addr: 0 };
            let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: any };
            room.add(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(from)) if !is_v4 => {
            let from = in6_addr { s6_addr: from.octets() };
            let info = in6_pktinfo { ipi6_addr: from, ipi6_ifindex: 0 };
            room.add(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        _ => {}
    }
    room.used
}

/// Control messages that are being written.
pub(super) struct Room<'a> {
    control: &'a mut Control,
    used: usize,
}

impl Room<'_> {
    fn add<T: Plain>(&mut self, level: c_int, kind: c_int, value: T) {
        let size = c_uint::try_from(size_of::<T>()).unwrap_or_default();
        // SAFETY: the functions only compute numbers.
        let (length, space) = unsafe { (libc::CMSG_LEN(size), libc::CMSG_SPACE(size)) };
        let Some(room) = self.control.0.get_mut(self.used..self.used + space as usize) else {
            return;
        };
        let header = room.as_mut_ptr().cast::<cmsghdr>();
        // SAFETY: the room is as long as a header, the value and their padding, and is aligned, since
        // control messages have a length that is a multiple of the alignment.
        unsafe {
            header.write(cmsghdr { cmsg_len: length as usize, cmsg_level: level, cmsg_type: kind });
            ptr::write_unaligned(libc::CMSG_DATA(header).cast::<T>(), value);
        }
        self.used += space as usize;
    }
}
