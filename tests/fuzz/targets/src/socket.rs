//! What a role answers on its unix socket.

use cmsg_config::socket::{Connections, Status, read_answer};
use serde::{Serialize, de::DeserializeOwned};

/// Reads bytes as answers, and writes anew what could be read.
pub fn run(data: &[u8]) {
    survives::<Status>(data);
    survives::<Connections>(data);
}

fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(read) = read_answer::<T>(data) else { return };
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.extend(serde_json::to_vec(&read).expect("it is JSON"));
    assert_eq!(read_answer::<T>(&answer).expect("it was written anew"), read);
}
