//! `sendmmsg`.

use std::{
    io,
    mem::zeroed,
    os::fd::{AsFd as _, AsRawFd as _},
    ptr,
};

use nix::libc::{self, c_uint, c_void, iovec, mmsghdr, msghdr, sockaddr_storage};

use super::{
    MESSAGES,
    control::{Control, write_controls},
    names::name_of,
};
use crate::{Batch, Socket, Target};

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

pub(super) fn vector(batch: &Batch, piece: &Piece) -> iovec {
    let bytes = &batch.bytes(piece.train)[piece.start..][..piece.length];
    iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}
