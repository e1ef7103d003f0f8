//! The documents of a role's unix socket.

use cmsg_config::socket::{Connections, Status, read_answer};
use serde::{Serialize, de::DeserializeOwned};

/// Parses bytes as documents, and serializes them again.
pub fn run(data: &[u8]) {
    survives::<Status>(data, |_| {});
    survives::<Connections>(data, without_fractions);
}

/// Removes fractions, since their last digit may differ.
fn without_fractions(read: &mut Connections) {
    let exchanges = read.connections.iter_mut().flat_map(|connection| &mut connection.exchanges);
    exchanges.for_each(|exchange| exchange.ms = exchange.ms.trunc().clamp(0.0, 1e9));
}

fn survives<T>(data: &[u8], rounded: fn(&mut T))
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let Ok(mut read) = read_answer::<T>(data) else { return };
    rounded(&mut read);
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.extend(serde_json::to_vec(&read).expect("it is JSON"));
    assert_eq!(read_answer::<T>(&answer).expect("it was written anew"), read);
}
