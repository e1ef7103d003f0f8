//! The journals of a gateway: of its own sessions, and of those that it may take over.

use cmsg_proto::{
    failover::{self, Saved},
    gateway::{Journal, Record},
    journal::{Loaded, Unreadable},
};

use crate::journal::State;

/// The sessions that this gateway serves.
impl State for Journal {
    type Record = Record;

    const MAX_BYTES: usize = Self::MAX_BYTES;

    fn entries(&self) -> usize {
        self.entries()
    }

    fn render(self) -> Vec<u8> {
        self.render()
    }

    fn parse(bytes: &[u8]) -> Result<Loaded<Self>, Unreadable> {
        Self::parse(bytes)
    }

    fn write(record: &Record, file: &mut Vec<u8>) {
        record.write(file);
    }
}

/// All granted sessions.
impl State for Saved {
    type Record = failover::Record;

    const MAX_BYTES: usize = Self::MAX_BYTES;

    fn entries(&self) -> usize {
        self.entries()
    }

    fn render(self) -> Vec<u8> {
        self.render()
    }

    fn parse(bytes: &[u8]) -> Result<Loaded<Self>, Unreadable> {
        Self::parse(bytes)
    }

    fn write(record: &failover::Record, file: &mut Vec<u8>) {
        record.write(file);
    }
}
