//! The socket of a client's connection. Its kernel buffers are bounded, and are dropped when the
//! connection is closed to free memory.

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

use super::connection_permit::ConnectionPermit;

/// Size of the socket buffers in bytes; the kernel doubles it. By default, the buffers grow up to
/// `net.ipv4.tcp_rmem` and `tcp_wmem`, several MiB on most systems, and anyone can open
/// connections.
const BUFFER: usize = 64 * 1024;

/// The send buffer for long responses. These are fewer, so they get the throughput of an unbounded
/// buffer.
const LONG_BUFFER: usize = 256 * 1024;

/// Sets the options of an accepted socket.
pub(super) fn prepare(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(socket).set_send_buffer_size(BUFFER);
    let _ = SockRef::from(socket).set_recv_buffer_size(BUFFER);
}

pub(super) struct Stream {
    socket: TcpStream,
    place: Arc<ConnectionPermit>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, place: Arc<ConnectionPermit>) -> Self {
        Self { socket, place }
    }

    /// Enlarges the send buffer if a long response follows.
    fn widen(&self) {
        if self.place.take_long_answer() {
            let _ = SockRef::from(&self.socket).set_send_buffer_size(LONG_BUFFER);
        }
    }
}

impl Drop for Stream {
    /// Without this, the kernel would keep unsent data for minutes.
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
        self.widen();
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.widen();
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

#[cfg(test)]
mod tests {
    use cmsg_proto::shares::{Order, Worth};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpSocket,
    };

    use super::*;
    use crate::{limiter::Limiter, listen};

    /// A client that has not read anything yet, and its socket.
    async fn connected() -> (TcpStream, TcpStream) {
        let listener = listen::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let client = client.connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn unread_data_in_the_kernel_is_bounded() {
        let (_client, socket) = connected().await;
        prepare(&socket);

        let mut kept = 0;
        let writing = async {
            socket.writable().await.unwrap();
            while let Ok(written) = socket.try_write(&[7; 16 * 1024]) {
                kept += written;
            }
        };
        writing.await;

        assert!((BUFFER / 2..4 * BUFFER).contains(&kept), "{kept}");
    }

    #[tokio::test]
    async fn unsent_data_is_dropped_with_a_closed_connection() {
        for is_cut_off in [false, true] {
            let (mut client, socket) = connected().await;
            let permit = Limiter::new(1, Order::SourceFirst);
            let permit = permit.enter("192.0.2.1".parse().unwrap(), Worth::Idle).unwrap();
            let place = Arc::new(ConnectionPermit::new(permit));
            let mut stream = Stream::new(socket, Arc::clone(&place));
            stream.write_all(b"answer").await.unwrap();
            if is_cut_off {
                place.cut_off().cancel();
                place.evicted().await;
            }
            drop(stream);

            let mut read = Vec::new();
            let end = client.read_to_end(&mut read).await.map_err(|error| error.kind());
            let expected = if is_cut_off { Err(io::ErrorKind::ConnectionReset) } else { Ok(6) };
            assert_eq!(end, expected);
        }
    }
}
