//! The socket of a client's connection. What the kernel keeps for it is bounded, and is dropped with
//! the connection where that is cut off for its memory.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::place::Place;

/// What the kernel keeps of answers that a client has not read; it reckons with twice as much. By
/// itself it keeps up to `net.ipv4.tcp_wmem`, 4 MiB on most systems.
const SEND_BUFFER: usize = 256 * 1024;

/// Prepares a socket that was accepted.
pub(super) fn prepare(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(socket).set_send_buffer_size(SEND_BUFFER);
}

/// A client's socket.
pub(super) struct Stream {
    socket: TcpStream,
    place: Arc<Place>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, place: Arc<Place>) -> Self {
        Self { socket, place }
    }
}

impl Drop for Stream {
    /// Closed in any other way, the kernel would keep what is unsent for minutes.
    fn drop(&mut self) {
        if self.place.is_cut_off() {
            let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
