//! What the installer notes for itself: its version, the folders that were not there before it
//! came, so that a removal leaves everything as it was, and the values that it wrote into the
//! configurations, to tell them from the administrator's.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use cmsg_config::{ConfFile, Paths, socket::Role};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::content::Content;
use crate::installation::{
    Runtime, brokers::Brokers, installed::Installed, layout, surroundings::Surroundings,
};

/// The note in `installation.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The form of this document.
    schema: u32,
    pub(crate) version: String,
    /// What runs the roles.
    #[serde(default)]
    pub(crate) runtime: Runtime,
    /// The folders that it made.
    pub(crate) folders: Vec<PathBuf>,
    /// Whether it made the account.
    #[serde(default)]
    pub(crate) account: bool,
    /// What it wrote into the configurations.
    #[serde(default)]
    pub(crate) written: Written,
    /// What it changed on the machine around them.
    #[serde(default)]
    pub(crate) surroundings: Surroundings,
    /// The changes of behaviour that its administrator knows of.
    #[serde(default)]
    pub(crate) announced: BTreeSet<String>,
    /// The warnings about the host that were there at the last change.
    #[serde(default)]
    pub(crate) known: BTreeSet<String>,
    /// The brokers that it verified or pinned.
    #[serde(default)]
    pub(crate) brokers: Brokers,
    /// The last command that changed it; an installation by an earlier version has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_change: Option<LastChange>,
}

/// A command that changed the installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastChange {
    /// `install`, `configure`, `update` or `rollback`.
    pub(crate) command: String,
    /// When its plan was made, RFC 3339.
    pub(crate) at: String,
}

impl LastChange {
    /// A change at that time.
    pub(crate) fn new(command: &str, now: OffsetDateTime) -> Self {
        let second = now.replace_nanosecond(0).unwrap_or(now);
        Self { command: command.to_owned(), at: second.format(&Rfc3339).unwrap_or_default() }
    }
}

/// Agents are relayed to where the Connection Manager reached them.
pub(crate) const ALLOWED_AGENTS: &str = "allowed-agents";

/// `X-Forwarded-For` is ignored unless a trusted proxy sends it.
pub(crate) const TRUSTED_PROXIES: &str = "trusted-proxies";

/// The values that the installer wrote into the configuration of each role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    cm: Values,
    sg: Values,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Values(BTreeMap<String, Vec<String>>);

impl Record {
    /// The note of an installation; an empty one where there is none that can be read.
    pub(crate) fn of(installed: &Installed, paths: &Paths) -> Self {
        let empty = || Self {
            schema: 1,
            version: String::new(),
            // A host has a daemon, and a swarm a stack file.
            runtime: match installed.has_daemon
                && !installed.files.contains_key(&layout::stack(paths))
            {
                true => Runtime::Host,
                false => Runtime::default(),
            },
            folders: Vec::new(),
            account: false,
            written: Written::default(),
            surroundings: Surroundings::default(),
            announced: BTreeSet::new(),
            known: BTreeSet::new(),
            brokers: Brokers::default(),
            last_change: None,
        };
        installed
            .content(&layout::record(paths))
            .and_then(|content| serde_json::from_slice(content.bytes()).ok())
            .unwrap_or_else(empty)
    }

    /// Whether a file contains a note.
    pub(crate) fn is_one(content: &Content) -> bool {
        serde_json::from_slice::<Self>(content.bytes()).is_ok()
    }

    /// The note after this version made more folders and wrote the configurations.
    pub(crate) fn and(mut self, runtime: Runtime, folders: &[PathBuf], written: Written) -> Self {
        self.runtime = runtime;
        self.announced.extend([ALLOWED_AGENTS, TRUSTED_PROXIES].map(str::to_owned));
        env!("CARGO_PKG_VERSION").clone_into(&mut self.version);
        for folder in folders {
            if !self.folders.contains(folder) {
                self.folders.push(folder.clone());
            }
        }
        self.written = written;
        self
    }

    /// Notes the warnings about the host. One that is gone is no reason to write the note anew.
    pub(crate) fn learn(&mut self, known: &BTreeSet<String>, has_changes: bool) {
        if has_changes || !known.is_subset(&self.known) {
            self.known.clone_from(known);
        }
    }

    /// Notes the command as the last change, if it changes anything.
    pub(crate) fn note_change(&mut self, has_changes: bool, command: &str, now: OffsetDateTime) {
        if has_changes {
            self.last_change = Some(LastChange::new(command, now));
        }
    }

    pub(crate) fn render(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("strings and paths of UTF-8 are JSON");
        text + "\n"
    }
}

impl Written {
    /// What it wrote for a role.
    pub(crate) fn of(&self, role: Role) -> &Values {
        match role {
            Role::Cm => &self.cm,
            Role::Sg => &self.sg,
        }
    }

    /// Notes what is written for a role.
    pub(crate) fn set(&mut self, role: Role, values: Values) {
        match role {
            Role::Cm => self.cm = values,
            Role::Sg => self.sg = values,
        }
    }
}

impl Values {
    /// The values of a key.
    pub(crate) fn of(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether a key has the values in a file that the installer wrote there.
    pub(crate) fn holds(&self, key: &str, file: &ConfFile) -> bool {
        file.values(key).map(|entry| entry.value).eq(self.of(key))
    }

    /// Whether the installer noted what it wrote for a key; maybe nothing.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The keys that it noted.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Notes the values of a key.
    pub(crate) fn set(&mut self, key: &str, values: &[String]) {
        self.0.insert(key.to_owned(), values.into());
    }
}
