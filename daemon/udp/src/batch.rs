//! What one system call receives.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use crate::{
    Socket,
    system::{ReceivedTrain, Receiver},
};

/// Buffers for trains, and the trains that the last call received.
#[derive(Debug)]
pub struct Batch {
    receiver: Receiver,
    trains: Vec<ReceivedTrain>,
}

/// Consecutive datagrams with the same source, local address and type of service. All have the same
/// length, except that the last one may be shorter.
#[derive(Debug, Clone, Copy)]
pub struct Train<'a> {
    /// Index in its batch.
    pub index: usize,
    /// The datagrams, one after the other.
    pub bytes: &'a [u8],
    /// Length in bytes of each datagram but the last.
    pub segment: usize,
    /// Source address, with IPv4-mapped addresses as IPv4.
    pub from: SocketAddr,
    /// The local address that the datagrams came to, on a socket with a wildcard address.
    pub at: Option<IpAddr>,
    /// The byte of the IP header with DSCP (RFC 2474) and ECN (RFC 3168).
    pub tos: u8,
}

impl Batch {
    /// Buffers for `places` trains, 68 KiB each.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { receiver: Receiver::new(places), trains: Vec::with_capacity(places) }
    }

    /// Receives as many trains as there are, up to the number of places, in place of the former
    /// ones. Returns how many.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; otherwise the error of the system call.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.trains.clear();
        self.receiver.receive(socket, &mut self.trains)?;
        Ok(self.trains.len())
    }

    /// Whether there may be more trains than were received.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.trains.len() == self.receiver.places()
    }

    /// The received trains.
    pub fn trains(&self) -> impl Iterator<Item = Train<'_>> {
        self.trains.iter().enumerate().map(|(index, train)| Train {
            index,
            bytes: &self.receiver.buffer(index)[..train.length],
            segment: train.segment,
            from: train.from,
            at: train.at,
            tos: train.tos,
        })
    }

    /// The bytes of a train.
    pub(crate) fn bytes(&self, index: usize) -> &[u8] {
        &self.receiver.buffer(index)[..self.trains[index].length]
    }
}

impl<'a> Train<'a> {
    /// The datagrams; none if the train is one empty datagram.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.segment.max(1))
    }
}
