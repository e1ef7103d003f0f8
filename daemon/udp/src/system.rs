//! Everything of the C library that needs unsafe code: the system calls `recvmmsg` and `sendmmsg`,
//! since nix shares one list of control messages among all datagrams of a call, and what the
//! allocator keeps. No other module of the workspace has unsafe code.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use nix::libc;

use crate::Socket;
pub use memory::release_memory;
use names::length_of;
pub(crate) use receive::{ReceivedTrain, Receiver};
pub(crate) use send::{Message, Piece, Sender, send_one};

mod control;
mod memory;
mod names;
mod receive;
mod send;

/// Maximum number of messages of one call.
const MESSAGES: usize = 64;

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
