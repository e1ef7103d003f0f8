//! Creates values from an input; missing bytes are zero.

use std::net::{IpAddr, SocketAddr};

use arbitrary::Unstructured;

/// An input that is read from front to back.
pub(crate) struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn short(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// This many bytes, or the remaining ones.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let count = count.min(self.0.len());
        self.0.bytes(count).unwrap_or_default()
    }

    /// Up to 255 bytes, preceded by their number.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let count = self.byte().into();
        self.bytes(count)
    }

    /// A piece as text.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.piece()).into_owned()
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    /// One of few addresses, so that they occur repeatedly.
    pub(crate) fn ip(&mut self) -> IpAddr {
        let number = self.below(8);
        match number {
            0..4 => [192, 0, 2, number].into(),
            4..6 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()].into(),
            _ => [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x200 + u16::from(number)].into(),
        }
    }

    /// One of few addresses with one of few ports.
    pub(crate) fn socket(&mut self) -> SocketAddr {
        let ip = self.ip();
        SocketAddr::new(ip, 5000 + u16::from(self.below(4)))
    }
}
