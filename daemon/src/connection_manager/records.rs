//! The content of `GET /connections`: sessions with their addresses and the duration of each
//! exchange. Ended sessions are kept for a while, up to a maximum number.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use cmsg_config::socket::{Connection, Exchange};

/// Maximum number of ended sessions.
const MAX_ENDED: usize = 1000;

/// Maximum number of exchanges of a session.
const MAX_EXCHANGES: usize = 64;

/// By number of the session.
#[derive(Debug, Default)]
pub(super) struct Records {
    live: BTreeMap<u64, Connection>,
    ended: VecDeque<Connection>,
}

impl Records {
    /// Adds a session that was opened, or used for the first time since a restart.
    pub(super) fn open(&mut self, number: u64, connection: impl FnOnce() -> Connection) {
        self.live.entry(number).or_insert_with(connection);
    }

    /// Adds a completed exchange of a session.
    pub(super) fn note(&mut self, number: u64, name: &str, took: Duration) {
        self.change(number, |connection| {
            if connection.exchanges.len() < MAX_EXCHANGES {
                let ms = took.as_secs_f64() * 1000.0;
                connection.exchanges.push(Exchange { name: name.to_owned(), ms });
            }
        });
    }

    pub(super) fn change(&mut self, number: u64, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.live.get_mut(&number) {
            change(connection);
        }
    }

    /// Moves a session to the ended ones.
    pub(super) fn end(&mut self, number: u64) {
        let Some(connection) = self.live.remove(&number) else { return };
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(Connection { state: "ended".to_owned(), ..connection });
    }

    /// All sessions, ended ones first.
    pub(super) fn all(&self) -> Vec<Connection> {
        self.ended.iter().chain(self.live.values()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: u64) -> Connection {
        Connection { id: id.to_string(), state: "greeted".to_owned(), ..Connection::default() }
    }

    #[test]
    fn an_ended_session_keeps_its_exchanges() {
        let mut records = Records::default();
        records.open(1, || named(1));
        records.note(1, "hello", Duration::from_micros(1500));
        records.end(1);
        records.end(1);
        records.note(1, "bye", Duration::ZERO);

        let exchanges = vec![Exchange { name: "hello".to_owned(), ms: 1.5 }];
        assert_eq!(
            records.all(),
            [Connection { state: "ended".to_owned(), exchanges, ..named(1) }]
        );
    }

    #[test]
    fn the_number_of_records_is_bounded() {
        let mut records = Records::default();
        for number in 0..1200 {
            records.open(number, || named(number));
            (0..100).for_each(|_| records.note(number, "x", Duration::ZERO));
            records.end(number);
        }

        let all = records.all();
        assert_eq!((all.len(), all[0].id.as_str()), (MAX_ENDED, "200"));
        assert_eq!(all[0].exchanges.len(), MAX_EXCHANGES);
    }
}
