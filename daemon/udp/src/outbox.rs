//! What is sent by one system call. Parts of received trains that have the same destination become
//! one train, unless the kernel would refuse it.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    os::fd::AsFd as _,
    time::Instant,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    Batch, Socket,
    singly::Singly,
    system::{Message, Piece, Sender},
};

/// Parts of the trains of a batch, and where to send them.
#[derive(Debug)]
pub struct Outbox {
    parts: Vec<Linked>,
    trains: Vec<Outgoing>,
    /// The latest train of each key that has this remainder, as an index.
    latest: Vec<usize>,
    pieces: Vec<Piece>,
    messages: Vec<Message>,
    singly: Singly,
    sender: Sender,
}

/// Consecutive datagrams of a received train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Index of the train in its batch.
    pub train: usize,
    /// Offset of the first datagram in bytes.
    pub start: usize,
    /// Length of all datagrams together, in bytes; not 0.
    pub length: usize,
    /// Length of each datagram but the last.
    pub segment: usize,
}

/// How to send a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Destination address.
    pub to: SocketAddr,
    /// Local source address, if the system would choose another one.
    pub from: Option<IpAddr>,
    /// The byte of the IP header with DSCP and ECN.
    pub tos: u8,
}

/// What became of datagrams.
#[derive(Debug)]
pub struct Report {
    /// The key that they were pushed with.
    pub key: usize,
    /// Number of datagrams.
    pub datagrams: usize,
    /// Their length together, in bytes.
    pub bytes: usize,
    /// Whether they were sent.
    pub sent: Sent,
}

/// Whether datagrams were sent.
#[derive(Debug)]
pub enum Sent {
    /// They were passed to the kernel.
    Done,
    /// The socket's buffer stayed full; they are dropped.
    Congested,
    /// They are dropped because of an error.
    Failed(io::Error),
}

#[derive(Debug)]
struct Outgoing {
    key: usize,
    target: Target,
    segment: usize,
    datagrams: usize,
    bytes: usize,
    /// Whether its last datagram is shorter, so that none can follow.
    is_closed: bool,
    first: usize,
    last: usize,
}

#[derive(Debug)]
struct Linked {
    part: Part,
    /// The next part of the same outgoing train.
    next: usize,
}

/// No index.
const NONE: usize = usize::MAX;

/// Maximum number of datagrams of a train (`UDP_MAX_SEGMENTS` before Linux 6.9).
const MAX_DATAGRAMS: usize = 64;
/// Maximum length of a train in bytes: with headers, it must fit into 65,535.
const MAX_BYTES: usize = 60_000;
/// Number of keys that are distinguished. Others with the same remainder start new trains.
const REMAINDERS: usize = 1024;

impl Default for Outbox {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            trains: Vec::new(),
            latest: vec![NONE; REMAINDERS],
            pieces: Vec::new(),
            messages: Vec::new(),
            singly: Singly::default(),
            sender: Sender::default(),
        }
    }
}

impl Outbox {
    /// Adds datagrams. Those with the same key keep their order, also if their targets differ.
    pub fn push(&mut self, key: usize, target: Target, part: Part) {
        let mut rest = part;
        while rest.length > 0 {
            rest.segment = rest.segment.min(rest.length);
            let latest = self.latest[key % REMAINDERS];
            let open = self.trains.get_mut(latest).filter(|train| train.key == key);
            let joined = open.map_or(0, |train| train.room_for(target, rest));
            let (length, at) = match joined {
                0 => (self.begin(key, target, rest), self.trains.len() - 1),
                joined => (joined, latest),
            };
            self.append(at, Part { length, ..rest });
            (rest.start, rest.length) = (rest.start + length, rest.length - length);
        }
    }

    /// Begins a train for these datagrams. Returns the length of those that it has room for.
    fn begin(&mut self, key: usize, target: Target, part: Part) -> usize {
        let Part { segment, .. } = part;
        self.latest[key % REMAINDERS] = self.trains.len();
        self.trains.push(Outgoing {
            key,
            target,
            segment,
            datagrams: 0,
            bytes: 0,
            is_closed: false,
            first: NONE,
            last: NONE,
        });
        let most = (MAX_BYTES / segment).clamp(1, MAX_DATAGRAMS);
        part.length.min(most * segment)
    }

    fn append(&mut self, at: usize, part: Part) {
        let (new, train) = (self.parts.len(), &mut self.trains[at]);
        self.parts.push(Linked { part, next: NONE });
        match self.parts.get_mut(train.last) {
            Some(last) => last.next = new,
            None => train.first = new,
        }
        train.last = new;
        train.datagrams += part.length.div_ceil(train.segment);
        train.bytes += part.length;
        train.is_closed = !train.bytes.is_multiple_of(train.segment);
    }

    /// Sends everything, and reports what became of it. A train that the kernel refuses is sent one
    /// by one, and so are all others to its destination for ten minutes.
    pub fn send(
        &mut self,
        batch: &Batch,
        socket: &Socket,
        now: Instant,
        mut report: impl FnMut(Report),
    ) {
        self.lay_out(now);
        let mut attempt = Attempt { batch, socket, has_waited: false };
        let mut done = 0;
        while done < self.messages.len() {
            match attempt.send(&mut self.sender, &self.pieces, &self.messages[done..]) {
                Ok(sent) => {
                    for message in &self.messages[done..done + sent] {
                        report(self.reported(message, Sent::Done));
                    }
                    done += sent;
                }
                Err(error) => {
                    let message = self.messages[done];
                    if message.datagrams > 1 && is_refused(&error) {
                        self.singly.insert(message.target.to, now);
                        self.send_singly(&message, &mut attempt, &mut report);
                    } else {
                        report(self.reported(&message, Sent::of(error)));
                    }
                    done += 1;
                }
            }
        }
        self.clear();
    }

    /// Lays out the system calls' messages.
    fn lay_out(&mut self, now: Instant) {
        for (index, train) in self.trains.iter().enumerate() {
            let first = self.pieces.len();
            let mut next = train.first;
            while let Some(Linked { part, next: following }) = self.parts.get(next) {
                let Part { train, start, length, .. } = *part;
                self.pieces.push(Piece { train, start, length });
                next = *following;
            }
            let message = Message {
                outgoing: index,
                target: train.target,
                segment: train.segment,
                datagrams: train.datagrams,
                bytes: train.bytes,
                first,
                pieces: self.pieces.len() - first,
            };
            if message.datagrams > 1 && self.singly.contains(train.target.to, now) {
                let single = message.singly(&mut self.pieces);
                self.messages.extend(single);
            } else {
                self.messages.push(message);
            }
        }
    }

    fn send_singly(
        &mut self,
        message: &Message,
        attempt: &mut Attempt<'_>,
        report: &mut impl FnMut(Report),
    ) {
        for single in message.singly(&mut self.pieces) {
            let sent = match attempt.send(&mut self.sender, &self.pieces, &[single]) {
                Ok(_) => Sent::Done,
                Err(error) => Sent::of(error),
            };
            report(self.reported(&single, sent));
        }
    }

    fn reported(&self, message: &Message, sent: Sent) -> Report {
        let Message { outgoing, datagrams, bytes, .. } = *message;
        Report { key: self.trains[outgoing].key, datagrams, bytes, sent }
    }

    fn clear(&mut self) {
        for train in self.trains.drain(..) {
            self.latest[train.key % REMAINDERS] = NONE;
        }
        self.parts.clear();
        self.pieces.clear();
        self.messages.clear();
    }
}

impl Outgoing {
    /// The length of those of these datagrams that it has room for.
    fn room_for(&self, target: Target, part: Part) -> usize {
        let is_like = self.target == target && !self.is_closed;
        let is_last = part.length == part.segment && part.segment < self.segment;
        if !is_like || part.segment != self.segment && !is_last {
            return 0;
        }
        let by_bytes = MAX_BYTES.saturating_sub(self.bytes) / self.segment;
        let room = by_bytes.min(MAX_DATAGRAMS - self.datagrams.min(MAX_DATAGRAMS));
        part.length.min(room * self.segment)
    }
}

impl Message {
    /// Its datagrams as messages of their own.
    fn singly(self, pieces: &mut Vec<Piece>) -> Vec<Self> {
        let mut single = Vec::with_capacity(self.datagrams);
        for at in self.first..self.first + self.pieces {
            let Piece { train, start, length } = pieces[at];
            for offset in (0..length).step_by(self.segment) {
                let bytes = self.segment.min(length - offset);
                let first = pieces.len();
                pieces.push(Piece { train, start: start + offset, length: bytes });
                single.push(Self { datagrams: 1, bytes, first, pieces: 1, ..self });
            }
        }
        single
    }
}

impl Sent {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock => Self::Congested,
            _ => Self::Failed(error),
        }
    }
}

/// Sends the messages of one batch.
struct Attempt<'a> {
    batch: &'a Batch,
    socket: &'a Socket,
    has_waited: bool,
}

impl Attempt<'_> {
    /// How long to wait for room in the socket's buffer, once a batch, in milliseconds.
    const WAIT: u8 = 1;

    /// Returns how many messages were sent, at least one.
    fn send(
        &mut self,
        sender: &mut Sender,
        pieces: &[Piece],
        messages: &[Message],
    ) -> io::Result<usize> {
        loop {
            match sender.send(self.socket, self.batch, pieces, messages) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && !self.has_waited => {
                    self.has_waited = true;
                    wait_for_room(self.socket, Self::WAIT);
                }
                sent => return sent,
            }
        }
    }
}

/// Waits until the socket takes datagrams again, at most so many milliseconds.
fn wait_for_room(socket: &Socket, most: u8) {
    let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    let _ = poll(&mut waiting, PollTimeout::from(most));
}

/// Whether the kernel refused a train as such: it is larger than the MTU of its path, or the
/// interface cannot divide it.
fn is_refused(error: &io::Error) -> bool {
    let refused = [Errno::EMSGSIZE, Errno::EINVAL, Errno::EIO];
    error.raw_os_error().is_some_and(|code| refused.iter().any(|errno| *errno as i32 == code))
}

#[cfg(test)]
mod tests;
