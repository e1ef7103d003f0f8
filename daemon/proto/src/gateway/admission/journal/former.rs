//! Version 1 of the format: the whole state as one JSON document. It is read after an update.

use serde::Deserialize;

use super::{Entry, Journal, Unreadable};
use crate::{SessionId, gateway::admission::ended::Written};

/// The part that is the same in every version.
#[derive(Deserialize)]
struct Head {
    version: u64,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Form {
    sessions: Vec<Entry>,
    ended: Vec<(SessionId, Written)>,
}

const VERSION: u64 = 1;

pub(super) fn parse(bytes: &[u8]) -> Result<Journal, Unreadable> {
    let Head { version } = serde_json::from_slice(bytes).map_err(Unreadable::Damaged)?;
    if version != VERSION {
        return Err(Unreadable::Foreign(version, super::VERSION));
    }
    let Form { sessions, ended } = serde_json::from_slice(bytes).map_err(Unreadable::Damaged)?;
    Ok(Journal { sessions, ended })
}

#[cfg(test)]
impl Journal {
    /// A file of version 1.
    pub(crate) fn former(&self) -> String {
        let Self { sessions, ended } = self.clone();
        let form = serde_json::to_string(&Form { sessions, ended }).unwrap();
        form.replacen('{', &format!("{{\"version\":{VERSION},"), 1)
    }
}
