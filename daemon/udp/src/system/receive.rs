//! `recvmmsg`.

use std::{
    io,
    mem::zeroed,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::{AsFd as _, AsRawFd as _},
    ptr::{self, null_mut},
};

use nix::libc::{self, c_uint, iovec, mmsghdr, sockaddr_storage};

use super::{
    MESSAGES,
    control::{Control, read_control},
    names::{address_of, length_of},
};
use crate::Socket;

/// Length of a buffer: the largest datagram or train. The rest keeps the beginnings of the buffers,
/// which are used most, from sharing cache lines of the processor.
const BUFFER: usize = 65_536 + 4_160;

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
pub(super) fn received(header: &mmsghdr, name: &sockaddr_storage) -> ReceivedTrain {
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

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({} places)", self.places())
    }
}
