//! The system calls `recvmmsg` and `sendmmsg`. Unsafe, since nix shares one list of control messages
//! among all datagrams of a call.
#![allow(unsafe_code)]

use std::{
    io,
    mem::{size_of, zeroed},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd as _, AsRawFd as _},
    ptr::{self, null_mut},
};

use nix::libc::{
    self, c_int, c_uint, c_void, cmsghdr, in_addr, in_pktinfo, in6_addr, in6_pktinfo, iovec,
    mmsghdr, msghdr, sockaddr_in, sockaddr_in6, sockaddr_storage,
};

use crate::{Batch, Socket, Target, socket::canonical};

/// Length of a buffer: the largest datagram or train. The rest keeps the beginnings of the buffers,
/// which are used most, from sharing cache lines of the processor.
const BUFFER: usize = 65_536 + 4_160;

/// Maximum number of messages of one call.
const MESSAGES: usize = 64;

/// Room for the control messages of one message.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; Control::BYTES]);

/// The metadata of a received train.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceivedTrain {
    pub(crate) length: usize,
    pub(crate) segment: usize,
    pub(crate) from: SocketAddr,
    pub(crate) at: Option<IpAddr>,
    pub(crate) tos: u8,
}

/// Buffers for received trains.
pub(crate) struct Receiver {
    buffers: Box<[u8]>,
    names: Box<[sockaddr_storage]>,
    controls: Box<[Control]>,
}

/// Bytes of a received train to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) train: usize,
    pub(crate) start: usize,
    pub(crate) length: usize,
}

/// A train to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// Index in the outbox.
    pub(crate) outgoing: usize,
    pub(crate) target: Target,
    pub(crate) segment: usize,
    pub(crate) datagrams: usize,
    pub(crate) bytes: usize,
    /// Index of its first piece.
    pub(crate) first: usize,
    /// Number of its pieces.
    pub(crate) pieces: usize,
}

/// Memory for the arguments of `sendmmsg`.
#[derive(Default)]
pub(crate) struct Sender {
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    vectors: Vec<iovec>,
}

impl Control {
    /// Enough for those that a socket of either family receives: type of service, local address, and
    /// length of a segment.
    const BYTES: usize = 192;
    const EMPTY: Self = Self([0; Self::BYTES]);

    /// A pointer to that many bytes of it; null for none.
    fn pointer(&mut self, length: usize) -> *mut c_void {
        if length == 0 { null_mut() } else { self.0.as_mut_ptr().cast() }
    }
}

impl Receiver {
    pub(crate) fn new(places: usize) -> Self {
        // SAFETY: all fields are numbers, for which 0 is a value.
        let name: sockaddr_storage = unsafe { zeroed() };
        Self {
            buffers: vec![0; places * BUFFER].into(),
            names: vec![name; places].into(),
            controls: vec![Control::EMPTY; places].into(),
        }
    }

    pub(crate) fn places(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn buffer(&self, index: usize) -> &[u8] {
        &self.buffers[index * BUFFER..][..BUFFER]
    }

    pub(crate) fn receive(
        &mut self,
        socket: &Socket,
        trains: &mut Vec<ReceivedTrain>,
    ) -> io::Result<()> {
        let mut vectors = [iovec { iov_base: null_mut(), iov_len: BUFFER }; MESSAGES];
        // SAFETY: all fields are numbers and pointers, for which 0 is a value.
        let mut headers: [mmsghdr; MESSAGES] = unsafe { zeroed() };
        let places = self.places().min(MESSAGES);
        let arguments = self.buffers.chunks_exact_mut(BUFFER).zip(&mut self.names);
        let arguments = arguments.zip(&mut self.controls).zip(&mut vectors).zip(&mut headers);
        for ((((buffer, name), control), vector), header) in arguments {
            vector.iov_base = buffer.as_mut_ptr().cast();
            let header = &mut header.msg_hdr;
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_namelen = length_of::<sockaddr_storage>();
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = Control::BYTES;
        }
        let (descriptor, places) = (socket.as_fd().as_raw_fd(), c_uint::try_from(places));
        // SAFETY: each of the first `places` headers points to a name, a vector, a buffer and control
        // room of the given lengths, which nothing else uses until the call has returned.
        let received = unsafe {
            libc::recvmmsg(
                descriptor,
                headers.as_mut_ptr(),
                places.unwrap_or_default(),
                libc::MSG_DONTWAIT,
                null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (header, name) in headers.iter().zip(&self.names).take(received) {
            trains.push(self::received(header, name));
        }
        Ok(())
    }
}

/// Reads what the kernel has written about a train.
fn received(header: &mmsghdr, name: &sockaddr_storage) -> ReceivedTrain {
    let length = header.msg_len as usize;
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let from = address_of(name).unwrap_or(unknown);
    let mut train = ReceivedTrain { length, segment: length, from, at: None, tos: 0 };
    // SAFETY: the kernel has written well-formed control messages into the room that the header
    // points to, and their length into the header.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(&raw const header.msg_hdr) };
    // SAFETY: the pointer is null or that of a control message in that room.
    while let Some(message) = unsafe { control.as_ref() } {
        read_control(message, &mut train);
        // SAFETY: as above.
        control = unsafe { libc::CMSG_NXTHDR(&raw const header.msg_hdr, control) };
    }
    train
}

fn read_control(message: &cmsghdr, train: &mut ReceivedTrain) {
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
fn value<T: Plain>(message: &cmsghdr) -> Option<T> {
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
unsafe trait Plain: Copy {}
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

impl Sender {
    /// Sends the first messages, up to [`MESSAGES`]. Returns how many were sent, at least one.
    pub(crate) fn send(
        &mut self,
        socket: &Socket,
        batch: &Batch,
        pieces: &[Piece],
        messages: &[Message],
    ) -> io::Result<usize> {
        let messages = &messages[..messages.len().min(MESSAGES)];
        self.names.clear();
        self.controls.clear();
        self.vectors.clear();
        // SAFETY: all fields are numbers and pointers, for which 0 is a value.
        let mut headers: [mmsghdr; MESSAGES] = unsafe { zeroed() };
        for (message, mmsghdr { msg_hdr: header, .. }) in messages.iter().zip(&mut headers) {
            let pieces = &pieces[message.first..][..message.pieces];
            self.vectors.extend(pieces.iter().map(|piece| vector(batch, piece)));
            let mut control = Control::EMPTY;
            let (name, length) = name_of(socket.name_of(message.target.to));
            header.msg_namelen = length;
            header.msg_controllen =
                write_controls(&mut control, message.target, message.train_segment());
            header.msg_iovlen = message.pieces;
            self.names.push(name);
            self.controls.push(control);
        }
        // From here on, the vectors do not move.
        let mut vectors = self.vectors.as_mut_ptr();
        let arguments = headers.iter_mut().zip(&mut self.names).zip(&mut self.controls);
        for ((mmsghdr { msg_hdr: header, .. }, name), control) in arguments {
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_control = control.pointer(header.msg_controllen);
            header.msg_iov = vectors;
            vectors = vectors.wrapping_add(header.msg_iovlen);
        }
        let count = c_uint::try_from(messages.len()).unwrap_or_default();
        let descriptor = socket.as_fd().as_raw_fd();
        // SAFETY: each of the first `count` headers points to a name, vectors and control messages of
        // the given lengths, and the vectors to bytes of the batch. None of them changes or moves
        // until the call has returned, and the kernel only reads the bytes.
        let sent =
            unsafe { libc::sendmmsg(descriptor, headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Message {
    /// The length of its segments, if it is a train.
    fn train_segment(&self) -> Option<u16> {
        if self.datagrams > 1 { u16::try_from(self.segment).ok() } else { None }
    }
}

/// Sends a datagram.
pub(crate) fn send_one(socket: &Socket, datagram: &[u8], target: Target) -> io::Result<()> {
    let mut control = Control::EMPTY;
    let (mut name, name_length) = name_of(socket.name_of(target.to));
    let bytes = datagram.as_ptr().cast_mut().cast::<c_void>();
    let mut vector = iovec { iov_base: bytes, iov_len: datagram.len() };
    // SAFETY: all fields are numbers and pointers, for which 0 is a value.
    let mut header: msghdr = unsafe { zeroed() };
    header.msg_controllen = write_controls(&mut control, target, None);
    header.msg_control = control.pointer(header.msg_controllen);
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = name_length;
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the header points to a name, a vector and control messages of the given lengths, which
    // the kernel only reads, as it does the bytes of the datagram.
    let sent = unsafe { libc::sendmsg(descriptor, &raw const header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The number of datagrams that the kernel has dropped at this socket (`SO_MEMINFO`, `socket(7)`).
pub(crate) fn dropped(socket: &Socket) -> io::Result<u32> {
    let mut numbers = [0_u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut length = length_of::<[u32; libc::SK_MEMINFO_DROPS as usize + 1]>();
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `length` bytes of numbers, for which there is room.
    let code = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(numbers[numbers.len() - 1]) }
}

fn vector(batch: &Batch, piece: &Piece) -> iovec {
    let bytes = &batch.bytes(piece.train)[piece.start..][..piece.length];
    iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() }
}

/// Writes the control messages that these datagrams need. Returns their length.
fn write_controls(control: &mut Control, target: Target, segment: Option<u16>) -> usize {
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
struct Room<'a> {
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

/// The address in the form of the kernel, and its length.
fn name_of(address: SocketAddr) -> (sockaddr_storage, libc::socklen_t) {
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

fn address_of(name: &sockaddr_storage) -> Option<SocketAddr> {
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

fn from_in_addr(address: in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}

fn family(family: c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).unwrap_or_default()
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({} places)", self.places())
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}
