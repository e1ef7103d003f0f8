//! The messages on TCP 4172 and their byte layouts. The real layout is not certain, so there are
//! three, and the gateway must relay all of them.

mod chunks;
mod scrambled;

use std::fmt;

use serde::Serialize;
use thiserror::Error;

use crate::tag::Tag;
use chunks::Order;

/// A byte layout of control messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Chunks with little-endian integers; each side announces the SPI with which it sends.
    #[default]
    Little,
    /// Chunks with big-endian integers; each side announces the SPI that it wants to receive.
    Big,
    /// An unknown layout; the agent announces both SPIs.
    Scrambled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Invite(Tag, Terms),
    InviteOk(Terms),
    NotAcceptable,
    Bye,
    ByeOk,
    Ping,
    Pong,
}

/// What one side offers for the data channel.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) key: [u8; 32],
    pub(crate) salt: [u8; 4],
    pub(crate) spis: Vec<u32>,
}

/// The SPIs that stand in the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) to_agent: u32,
    pub(crate) to_client: u32,
}

/// What is wrong with control bytes.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    #[error("control message is longer than {MAX_MESSAGE} bytes")]
    TooLong,
    #[error("control message is cut off within a field")]
    Field,
    #[error("control message lacks a field")]
    Missing,
    #[error("control message has the unknown kind {0}")]
    Kind(u32),
    #[error("control message has a faulty session tag")]
    Tag,
}

impl Layout {
    pub(crate) fn encode(self, message: &Message) -> Vec<u8> {
        match self {
            Self::Little => chunks::encode(message, Order::Little),
            Self::Big => chunks::encode(message, Order::Big),
            Self::Scrambled => scrambled::encode(message),
        }
    }

    /// Parses the first message, and returns its length; `None` if more bytes are needed.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<Option<(Message, usize)>, Malformed> {
        match self {
            Self::Little => chunks::decode(bytes, Order::Little),
            Self::Big => chunks::decode(bytes, Order::Big),
            Self::Scrambled => scrambled::decode(bytes),
        }
    }

    /// Returns how many SPIs an Invite announces.
    pub(crate) fn spis_in_invite(self) -> usize {
        match self {
            Self::Little | Self::Big => 1,
            Self::Scrambled => 0,
        }
    }

    /// Returns how many SPIs the answer to an Invite announces.
    pub(crate) fn spis_in_answer(self) -> usize {
        match self {
            Self::Little | Self::Big => 1,
            Self::Scrambled => 2,
        }
    }

    /// Returns the SPIs of the datagrams, from what both sides have announced.
    pub(crate) fn flow(self, invite: &Terms, answer: &Terms) -> Option<Flow> {
        match (self, invite.spis.as_slice(), answer.spis.as_slice()) {
            (Self::Little, &[to_agent], &[to_client]) => Some(Flow { to_agent, to_client }),
            (Self::Big, &[to_client], &[to_agent]) => Some(Flow { to_agent, to_client }),
            (Self::Scrambled, &[], &[to_agent, to_client]) => Some(Flow { to_agent, to_client }),
            _ => None,
        }
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Terms").field("spis", &self.spis).finish_non_exhaustive()
    }
}

/// Longer than any message of the simulators.
const MAX_MESSAGE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUTS: [Layout; 3] = [Layout::Little, Layout::Big, Layout::Scrambled];

    fn terms(spis: &[u32]) -> Terms {
        Terms { key: [0x5a; 32], salt: [1, 2, 3, 4], spis: spis.to_vec() }
    }

    fn messages(layout: Layout) -> Vec<Message> {
        let spis = [0x0102_0304, 0xa0b0_c0d0];
        vec![
            Message::Invite(Tag::random(), terms(&spis[..layout.spis_in_invite()])),
            Message::InviteOk(terms(&spis[..layout.spis_in_answer()])),
            Message::NotAcceptable,
            Message::Ping,
            Message::Pong,
            Message::Bye,
            Message::ByeOk,
        ]
    }

    fn contains(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn a_message_survives_every_layout() {
        for layout in LAYOUTS {
            for message in messages(layout) {
                let mut bytes = layout.encode(&message);
                let length = bytes.len();
                bytes.extend_from_slice(b"next");

                assert_eq!(layout.decode(&bytes), Ok(Some((message, length))), "{layout:?}");
            }
        }
    }

    #[test]
    fn a_part_of_a_message_is_not_a_message() {
        for layout in LAYOUTS {
            for message in messages(layout) {
                let bytes = layout.encode(&message);
                for length in 0..bytes.len() {
                    assert_eq!(layout.decode(&bytes[..length]), Ok(None), "{layout:?} {message:?}");
                }
            }
        }
    }

    #[test]
    fn the_tag_stands_whole_in_the_first_bytes() {
        for layout in LAYOUTS {
            let tag = Tag::random();
            let spis = vec![7; layout.spis_in_invite()];
            let bytes = layout.encode(&Message::Invite(tag.clone(), terms(&spis)));

            assert!(contains(&bytes, tag.as_str().as_bytes()), "{layout:?}");
        }
    }

    #[test]
    fn an_spi_stands_in_the_byte_order_of_its_layout() {
        let table = [
            (Layout::Little, vec![0x0102_0304], [4, 3, 2, 1]),
            (Layout::Big, vec![0x0102_0304], [1, 2, 3, 4]),
            (Layout::Scrambled, vec![0x0102_0304, 9], [1, 2, 3, 4]),
            (Layout::Scrambled, vec![9, 0x0102_0304], [1, 2, 3, 4]),
        ];

        for (layout, spis, expected) in table {
            let offer = Terms { salt: [0; 4], ..terms(&spis) };
            assert!(contains(&layout.encode(&Message::InviteOk(offer)), &expected), "{layout:?}");
        }
    }

    #[test]
    fn each_layout_has_its_own_reading_of_an_announced_spi() {
        let table = [
            (Layout::Little, vec![1], vec![2], Some(Flow { to_agent: 1, to_client: 2 })),
            (Layout::Big, vec![1], vec![2], Some(Flow { to_agent: 2, to_client: 1 })),
            (Layout::Scrambled, vec![], vec![1, 2], Some(Flow { to_agent: 1, to_client: 2 })),
            (Layout::Little, vec![], vec![1, 2], None),
            (Layout::Scrambled, vec![1], vec![2], None),
        ];

        for (layout, invite, answer, flow) in table {
            assert_eq!(layout.flow(&terms(&invite), &terms(&answer)), flow, "{layout:?}");
        }
    }

    #[test]
    fn an_endless_message_is_refused_at_once() {
        assert_eq!(Layout::Little.decode(&[0xff; 8]), Err(Malformed::TooLong));
        assert_eq!(Layout::Big.decode(&[0xff; 8]), Err(Malformed::TooLong));
        assert_eq!(
            Layout::Scrambled.decode(&[0xc5, 0x31, 0xff, 0xff, 0xff]),
            Err(Malformed::TooLong)
        );
    }
}
