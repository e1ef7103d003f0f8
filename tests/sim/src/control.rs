//! A control connection as a sequence of messages, for either end.

use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::layout::{Layout, Malformed, Message, Terms};
use crate::random;
use crate::traffic::{Direction, Traffic};

/// One end of a control connection.
#[derive(Debug)]
pub(crate) struct Control<S> {
    stream: S,
    layout: Layout,
    /// Direction of this end's messages.
    outgoing: Direction,
    traffic: Arc<Traffic>,
    unread: Vec<u8>,
}

/// Why a control connection fails.
#[derive(Debug, Error)]
pub(crate) enum ControlError {
    #[error("control connection failed")]
    Io(#[from] io::Error),
    #[error("control connection ended within a message")]
    Truncated,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Control<S> {
    /// Takes over an open connection.
    pub(crate) fn new(
        stream: S,
        layout: Layout,
        outgoing: Direction,
        traffic: Arc<Traffic>,
    ) -> Self {
        Self { stream, layout, outgoing, traffic, unread: Vec::new() }
    }

    /// Returns the layout of both ends.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    pub(crate) async fn send(&mut self, message: &Message) -> Result<(), ControlError> {
        let bytes = self.layout.encode(message);
        self.traffic.count_control(self.outgoing, bytes.len());
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Waits for the next message; `None` if the peer closed the connection between messages.
    ///
    /// Cancel-safe: received bytes are not lost.
    pub(crate) async fn receive(&mut self) -> Result<Option<Message>, ControlError> {
        loop {
            if let Some((message, length)) = self.layout.decode(&self.unread)? {
                self.unread.drain(..length);
                return Ok(Some(message));
            }
            let read = self.stream.read_buf(&mut self.unread).await?;
            self.traffic.count_control(self.outgoing.opposite(), read);
            match (read, self.unread.is_empty()) {
                (0, true) => return Ok(None),
                (0, false) => return Err(ControlError::Truncated),
                _ => {}
            }
        }
    }

    /// Closes this end's half of the connection.
    pub(crate) async fn close(&mut self) {
        // The peer may have closed the connection already.
        let _ = self.stream.shutdown().await;
    }
}

impl Terms {
    /// Makes keys and SPIs that were never used before.
    pub(crate) fn fresh(spis: usize) -> Self {
        let spis = (0..spis).map(|_| u32::from_be_bytes(random::array()).max(FIRST_SPI)).collect();
        Self { key: random::array(), salt: random::array(), spis }
    }
}

/// Smaller SPIs are reserved.
const FIRST_SPI: u32 = 256;
