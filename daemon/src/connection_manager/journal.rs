//! The journal of the sessions with the connection broker.

use cmsg_proto::{
    broker::session::{Journal, Record},
    journal::{Loaded, Unreadable},
};

use crate::journal::State;

impl State for Journal {
    type Record = Record;

    const MAX_BYTES: usize = Self::MAX_BYTES;

    fn entries(&self) -> usize {
        self.count()
    }

    fn combine(records: &mut Vec<Record>) {
        Record::combine(records);
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
