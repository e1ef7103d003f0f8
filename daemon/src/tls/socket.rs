//! A TLS connection without buffers of its own. Records are decrypted and encrypted in buffers of
//! the thread, so an idle connection only has its keys. It keeps what the thread's buffers cannot:
//! the first part of a record whose rest has not arrived, and records that the peer does not read.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    ClientConfig, ServerConfig,
    client::UnbufferedClientConnection,
    pki_types::ServerName,
    server::UnbufferedServerConnection,
    unbuffered::{
        ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
    },
};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::TcpStream,
};
use zeroize::{Zeroize as _, Zeroizing};

pub(crate) use session::Session;

mod session;

/// A connection from a client.
pub(crate) type ServerSocket = TlsSocket<UnbufferedServerConnection>;
/// A connection to a server.
pub(crate) type ClientSocket = TlsSocket<UnbufferedClientConnection>;

pub(crate) struct TlsSocket<S> {
    stream: TcpStream,
    session: Box<S>,
    /// The first part of a record, or of a handshake message.
    incoming: Vec<u8>,
    /// Plaintext that the peer sent together with the end of its handshake.
    early: Zeroizing<Vec<u8>>,
    /// Records that the system has not taken yet, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// Whether the peer will not send anything more.
    is_closed: bool,
    /// Whether the peer was notified that nothing more will be sent.
    is_ended: bool,
}

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// There may be more.
    Some,
    /// The peer will not send anything more. It may have closed TCP without an alert, as many do.
    Closed,
}

/// Maximum size of a record in bytes, with the expansion that TLS 1.2 allows and its header.
const RECORD: usize = 16 * 1024 + 2048 + 5;

/// Size of a read in bytes: two full records of TLS 1.3.
const READ: usize = 2 * (16 * 1024 + 17 + 5);

/// Minimum size of a read in bytes.
const LEAST: usize = 4096;

/// Maximum size of a handshake message in bytes, as rustls itself allows.
const HANDSHAKE: usize = 0xffff;

/// The buffers of a thread. In `received`, bytes kept from earlier reads end at `HANDSHAKE`, where
/// those of the next read begin.
struct Buffers {
    received: Box<[u8]>,
    plain: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        received: vec![0; HANDSHAKE + READ].into(),
        plain: Vec::with_capacity(READ + RECORD),
    });
    /// Records to be sent.
    static SEALED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ + RECORD]);
}

impl ServerSocket {
    /// Performs the handshake with a client.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or with [`rustls::Error`] inside.
    pub(crate) async fn accept(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = UnbufferedServerConnection::new(config).map_err(invalid)?;
        Self::handshake(stream, session).await
    }
}

impl ClientSocket {
    /// Performs the handshake with the server of this name.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or with [`rustls::Error`] inside.
    pub(crate) async fn connect(
        stream: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let session = UnbufferedClientConnection::new(config, name).map_err(invalid)?;
        Self::handshake(stream, session).await
    }
}

impl<S: Session> TlsSocket<S> {
    async fn handshake(stream: TcpStream, session: S) -> io::Result<Self> {
        let mut socket = Self {
            stream,
            session: Box::new(session),
            incoming: Vec::new(),
            early: Zeroizing::default(),
            outgoing: Vec::new(),
            sent: 0,
            is_closed: false,
            is_ended: false,
        };
        let mut early = Zeroizing::default();
        socket.open(&mut [], &mut early)?;
        loop {
            poll_fn(|context| socket.poll_flush(context)).await?;
            if !socket.session.common().is_handshaking() {
                socket.early = early;
                return Ok(socket);
            }
            if socket.is_closed {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"));
            }
            socket.read(&mut early).await?;
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Appends to the bytes what has arrived.
    pub(crate) async fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<Received> {
        poll_fn(|context| self.poll_receive(context, |_, plain| bytes.extend_from_slice(plain)))
            .await
    }

    /// Sends all of it.
    pub(crate) async fn write_all(&mut self, plain: &[u8]) -> io::Result<()> {
        for plain in plain.chunks(READ) {
            poll_fn(|context| Poll::Ready(self.send(context, plain))).await?;
            poll_fn(|context| self.poll_flush(context)).await?;
        }
        Ok(())
    }

    /// Reads once from the system, and passes the plaintext of all complete records, at most two
    /// full ones, to `take` at once.
    pub(crate) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        mut take: impl FnMut(&mut Context<'_>, &[u8]),
    ) -> Poll<io::Result<Received>> {
        if !self.early.is_empty() {
            take(context, &std::mem::take(&mut self.early));
            return Poll::Ready(Ok(Received::Some));
        }
        if self.is_closed {
            return Poll::Ready(Ok(Received::Closed));
        }
        BUFFERS.with_borrow_mut(|Buffers { received, plain }| {
            let kept = self.incoming.len();
            let room = READ.saturating_sub(kept).max(LEAST);
            let mut buffer = ReadBuf::new(&mut received[HANDSHAKE..HANDSHAKE + room]);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            let read = buffer.filled().len();
            if read == 0 {
                self.is_closed = true;
                return Poll::Ready(Ok(Received::Closed));
            }
            let bytes = &mut received[HANDSHAKE - kept..HANDSHAKE + read];
            bytes[..kept].copy_from_slice(&self.incoming);
            let opened = self.open(bytes, plain).and_then(|used| self.keep(&bytes[used..]));
            // Records are decrypted in place.
            bytes.zeroize();
            let is_over = self.is_closed && plain.is_empty();
            if !plain.is_empty() {
                take(context, plain);
                plain[..].zeroize();
                plain.clear();
            }
            if let Err(error) = opened {
                // The alert tells the peer why the connection ends.
                let _ = self.poll_flush(context);
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Ok(if is_over { Received::Closed } else { Received::Some }))
        })
    }

    /// Encrypts, and passes to the system what it takes. The rest is kept, so [`Self::poll_flush`]
    /// must complete before the next call.
    pub(crate) fn send(&mut self, context: &mut Context<'_>, plain: &[u8]) -> io::Result<()> {
        self.send_records(context, Content::Plain(plain))
    }

    /// Completes when the system has taken all records.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            let left = &self.outgoing[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(context, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        (self.outgoing, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that nothing more will be sent. It may still send.
    pub(crate) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_ended, true) {
            self.send_records(context, Content::Close)?;
        }
        ready!(self.poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    /// Encrypts and writes records, and keeps what the system does not take.
    fn send_records(&mut self, context: &mut Context<'_>, what: Content<'_>) -> io::Result<()> {
        SEALED.with_borrow_mut(|sealed| {
            let length = self.seal(sealed, what)?;
            self.transmit(context, &sealed[..length])
        })
    }

    fn transmit(&mut self, context: &mut Context<'_>, records: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while self.outgoing.is_empty() && written < records.len() {
            match Pin::new(&mut self.stream).poll_write(context, &records[written..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(more) => written += more,
                Poll::Pending => break,
            }
        }
        self.outgoing.extend_from_slice(&records[written..]);
        Ok(())
    }

    /// Decrypts all complete records. Returns the number of bytes used.
    fn open(&mut self, incoming: &mut [u8], plain: &mut Vec<u8>) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.session.process(&mut incoming[used..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        plain.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(message)) => encode(message, &mut self.outgoing)?,
                Ok(ConnectionState::TransmitTlsData(message)) => message.done(),
                Ok(ConnectionState::PeerClosed) => self.is_closed = true,
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                    return Ok(used + discard);
                }
                Ok(ConnectionState::Closed) => return Ok(incoming.len()),
                Ok(_) => return Err(invalid(rustls::Error::General(UNEXPECTED.to_owned()))),
                Err(error) => {
                    // The next message is the alert.
                    if let Ok(ConnectionState::EncodeTlsData(alert)) =
                        self.session.process(&mut incoming[used + discard..]).state
                    {
                        encode(alert, &mut self.outgoing)?;
                    }
                    return Err(invalid(error));
                }
            }
            used += discard;
        }
    }

    /// Encrypts into the buffer. Returns the number of bytes that are to be sent.
    fn seal(&mut self, sealed: &mut Vec<u8>, what: Content<'_>) -> io::Result<usize> {
        loop {
            // These bytes are no complete record: `open` has decrypted those.
            match self.session.process(&mut self.incoming).state.map_err(invalid)? {
                ConnectionState::WriteTraffic(traffic) => match what.encrypt(traffic, sealed) {
                    Err(EncryptError::InsufficientSize(room)) => {
                        sealed.resize(room.required_size, 0);
                    }
                    encrypted => return encrypted.map_err(io::Error::other),
                },
                ConnectionState::EncodeTlsData(message) => encode(message, &mut self.outgoing)?,
                ConnectionState::TransmitTlsData(message) => message.done(),
                ConnectionState::PeerClosed => self.is_closed = true,
                ConnectionState::Closed => return Err(io::ErrorKind::BrokenPipe.into()),
                _ => return Err(invalid(rustls::Error::General(UNEXPECTED.to_owned()))),
            }
        }
    }

    /// Keeps the first part of a record or of a handshake message.
    fn keep(&mut self, rest: &[u8]) -> io::Result<()> {
        let limit = if self.session.common().is_handshaking() { HANDSHAKE } else { RECORD };
        if rest.len() > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "message buffer full"));
        }
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
        Ok(())
    }
}

/// The content of records to be sent.
#[derive(Clone, Copy)]
enum Content<'a> {
    Plain(&'a [u8]),
    /// The alert that says that nothing more will be sent.
    Close,
}

impl Content<'_> {
    fn encrypt<D>(
        self,
        mut traffic: WriteTraffic<'_, D>,
        room: &mut [u8],
    ) -> Result<usize, EncryptError> {
        match self {
            Self::Plain(plain) => traffic.encrypt(plain, room),
            Self::Close => traffic.queue_close_notify(room),
        }
    }
}

/// Appends a message of the protocol.
fn encode<D>(mut message: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> io::Result<()> {
    let start = outgoing.len();
    if let Err(EncodeError::InsufficientSize(room)) = message.encode(&mut []) {
        outgoing.resize(start + room.required_size, 0);
        message.encode(&mut outgoing[start..]).map_err(io::Error::other)?;
    }
    Ok(())
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A state of the library that this configuration rules out, such as early data.
const UNEXPECTED: &str = "unexpected state of the connection";

#[cfg(test)]
mod tests;
