//! The client's end of the data channel: one socket for the whole session.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::error::Error;
use super::window::Window;
use super::{Record, SessionOptions};
use crate::datagram::{Datagram, DatagramSize, Format};
use crate::layout::Flow;
use crate::traffic::{Direction, Traffic};

pub(super) struct Channel {
    socket: UdpSocket,
    format: Format,
    size: DatagramSize,
    traffic: Arc<Traffic>,
    /// With which SPI the client sends.
    to_agent: u32,
    /// The SPIs with which the agent may send, including those of earlier flows, for datagrams in
    /// transit.
    to_client: Vec<u32>,
    sequence: u32,
    next_index: u32,
    buffer: Vec<u8>,
}

impl Channel {
    /// Opens a socket for a target, with a flow that both ends agree on.
    pub(super) async fn open(
        target: SocketAddr,
        options: &SessionOptions,
        flow: Flow,
        traffic: Arc<Traffic>,
    ) -> Result<Self, Error> {
        let any: IpAddr = match target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket =
            UdpSocket::bind((options.source.unwrap_or(any), 0)).await.map_err(Error::Socket)?;
        socket.connect(target).await.map_err(Error::Socket)?;
        Ok(Self {
            socket,
            format: Format { transport_header: options.transport_header },
            size: options.datagram_size,
            traffic,
            to_agent: flow.to_agent,
            to_client: vec![flow.to_client],
            sequence: 0,
            next_index: 0,
            buffer: vec![0; BUFFER],
        })
    }

    /// Sends to another gateway from now on.
    pub(super) async fn move_to(&self, target: SocketAddr) -> Result<(), Error> {
        self.socket.connect(target).await.map_err(Error::Socket)
    }

    /// Continues with another flow.
    pub(super) fn switch(&mut self, flow: Flow) {
        self.to_agent = flow.to_agent;
        self.to_client.push(flow.to_client);
        self.sequence = 0;
    }

    /// Sends this many datagrams, and waits for the response to each.
    pub(super) async fn exchange(&mut self, count: u32, record: &mut Record) -> Result<(), Error> {
        let first = self.next_index;
        self.next_index = first.wrapping_add(count);
        let mut window = Window::new(first..self.next_index);
        let earlier = record.retransmitted;
        while !window.is_done() {
            while let Some(index) = window.due(Instant::now())? {
                self.send(index).await;
                record.retransmitted = earlier + window.retransmitted;
            }
            if let Ok(index) = timeout(POLL, self.receive()).await {
                window.answered(index?);
            }
        }
        Ok(())
    }

    /// Sends one more datagram, without waiting for its response.
    pub(super) async fn send_next(&mut self) {
        let index = self.next_index;
        self.next_index = index.wrapping_add(1);
        self.send(index).await;
    }

    /// Waits for the next response, checks it, and returns its index.
    pub(super) async fn receive(&mut self) -> Result<u32, Error> {
        let length = loop {
            // The error is about an earlier datagram that was not delivered.
            if let Ok(length) = self.socket.recv(&mut self.buffer).await {
                break length;
            }
        };
        self.traffic.count_datagram(Direction::ToClient, length);
        let datagram = self.format.parse(self.buffer.get(..length).unwrap_or_default())?;
        if !self.to_client.contains(&datagram.spi) {
            return Err(Error::Spi(datagram.spi));
        }
        if DatagramSize::new(length) != Ok(self.size) {
            return Err(Error::Size);
        }
        Ok(datagram.index)
    }

    async fn send(&mut self, index: u32) {
        self.sequence = self.sequence.wrapping_add(1);
        let datagram = Datagram { spi: self.to_agent, sequence: self.sequence, index };
        let bytes = self.format.compose(datagram, self.size);
        // A datagram that cannot be sent counts as lost.
        if self.socket.send(&bytes).await.is_ok() {
            self.traffic.count_datagram(Direction::ToAgent, bytes.len());
        }
    }
}

const BUFFER: usize = 65_536;
/// How long to wait for a response before checking for retransmissions.
const POLL: Duration = Duration::from_millis(50);
