//! The agent's sessions, by tag and SPI.

use std::collections::HashMap;

use crate::layout::Flow;
use crate::tag::Tag;

/// The number that an agent gives a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionId(u64);

/// Every session that was launched.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_tag: HashMap<Tag, SessionId>,
    by_spi: HashMap<u32, Channel>,
    launched: u64,
    /// The number of control connections of each session that has some.
    connected: HashMap<u64, usize>,
}

/// The agent's end of a data channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) session: SessionId,
    pub(super) to_client: u32,
    /// Number of responses, which is the sequence number of the last one.
    pub(super) answered: u32,
}

impl SessionId {
    /// Returns the number in decimal digits, as it stands on the wire.
    pub(super) fn decimal(self) -> String {
        (FIRST_ID + self.0).to_string()
    }
}

impl Sessions {
    /// Launches a session, and returns the tag for its client.
    pub(super) fn launch(&mut self) -> (SessionId, Tag) {
        self.launched += 1;
        let session = SessionId(self.launched);
        let tag = Tag::random();
        self.by_tag.insert(tag.clone(), session);
        (session, tag)
    }

    /// Returns the session with this tag.
    pub(super) fn by_tag(&self, tag: &Tag) -> Option<SessionId> {
        self.by_tag.get(tag).copied()
    }

    /// Opens a data channel. Older ones of the session remain, for datagrams in transit.
    pub(super) fn open(&mut self, session: SessionId, flow: Flow) {
        let Flow { to_agent, to_client } = flow;
        self.by_spi.insert(to_agent, Channel { session, to_client, answered: 0 });
    }

    /// The session has one more control connection.
    pub(super) fn connect(&mut self, session: SessionId) {
        *self.connected.entry(session.0).or_default() += 1;
    }

    /// One of the session's control connections has ended.
    pub(super) fn disconnect(&mut self, session: SessionId) {
        if let Some(count) = self.connected.get_mut(&session.0) {
            *count -= 1;
            if *count == 0 {
                self.connected.remove(&session.0);
            }
        }
    }

    /// Whether the session has a control connection.
    pub(super) fn is_connected(&self, session: SessionId) -> bool {
        self.connected.contains_key(&session.0)
    }

    /// Counts a response to a datagram, and returns the channel.
    pub(super) fn answer(&mut self, spi: u32) -> Option<Channel> {
        let channel = self.by_spi.get_mut(&spi)?;
        channel.answered = channel.answered.wrapping_add(1);
        Some(*channel)
    }
}

/// Session ids begin here.
const FIRST_ID: u64 = 0x2000_0000_0000_0000;
