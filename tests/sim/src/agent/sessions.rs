//! The agent's sessions, by tag and SPI.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::Requires;
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
    ended: HashSet<u64>,
}

/// The agent's end of a data channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) session: SessionId,
    pub(super) to_client: u32,
    /// Number of responses, which is the sequence number of the last one.
    pub(super) answered: u32,
    /// The source address of the first datagram.
    source: Option<SocketAddr>,
}

/// No session has this SPI.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("SPI `{0:08x}` was never agreed on")]
pub(super) struct UnknownSpi(u32);

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
        self.by_spi.insert(to_agent, Channel { session, to_client, answered: 0, source: None });
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

    /// The session has ended. Its tag and SPIs remain known.
    pub(super) fn end(&mut self, session: SessionId) {
        self.ended.insert(session.0);
    }

    pub(super) fn has_ended(&self, session: SessionId) -> bool {
        self.ended.contains(&session.0)
    }

    /// Counts a response to a datagram, and returns the channel; `None` if the session does not
    /// have what is required.
    pub(super) fn answer(
        &mut self,
        requires: Requires,
        spi: u32,
        from: SocketAddr,
    ) -> Result<Option<Channel>, UnknownSpi> {
        let channel = self.by_spi.get_mut(&spi).ok_or(UnknownSpi(spi))?;
        let session = channel.session.0;
        let source = *channel.source.get_or_insert(from);
        let is_answered = match requires {
            Requires::Nothing => true,
            Requires::Control => self.connected.contains_key(&session),
            Requires::Source => source == from,
            Requires::Unbroken => !self.ended.contains(&session),
        };
        if !is_answered {
            return Ok(None);
        }
        channel.answered = channel.answered.wrapping_add(1);
        Ok(Some(*channel))
    }
}

/// Session ids begin here.
const FIRST_ID: u64 = 0x2000_0000_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: Flow = Flow { to_agent: 1, to_client: 2 };

    /// Which of three datagrams of a session are answered: the first, one from another source
    /// address, and one after the end of the control connection.
    fn answered(requires: Requires) -> [bool; 3] {
        let [from, other] = ["192.0.2.1:55000", "192.0.2.2:55000"].map(|it| it.parse().unwrap());
        let mut sessions = Sessions::default();
        let (session, _) = sessions.launch();
        sessions.open(session, FLOW);
        sessions.connect(session);
        let answer =
            |sessions: &mut Sessions, from| sessions.answer(requires, 1, from).unwrap().is_some();

        let connected = [from, other].map(|from| answer(&mut sessions, from));
        sessions.disconnect(session);
        sessions.end(session);
        [connected[0], connected[1], answer(&mut sessions, from)]
    }

    #[test]
    fn datagrams_are_answered_if_the_session_has_what_is_required() {
        assert_eq!(answered(Requires::Nothing), [true, true, true]);
        assert_eq!(answered(Requires::Control), [true, true, false]);
        assert_eq!(answered(Requires::Source), [true, false, true]);
        assert_eq!(answered(Requires::Unbroken), [true, true, false]);
    }

    #[test]
    fn the_spi_of_another_agent_is_unknown() {
        let from = "192.0.2.1:55000".parse().unwrap();

        let answer = Sessions::default().answer(Requires::Nothing, 7, from);

        assert_eq!(answer.unwrap_err(), UnknownSpi(7));
    }
}
