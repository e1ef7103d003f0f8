//! The documents as programs read them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `install`, `configure`, `uninstall`, and every command that fails before it starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) schema: u32,
    pub(crate) outcome: Outcome,
    pub(crate) findings: Vec<Finding>,
    pub(crate) plan: Vec<Step>,
    pub(crate) settings: BTreeMap<String, Setting>,
    pub(crate) restarts: Vec<Role>,
    pub(crate) roles: BTreeMap<Role, RoleView>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Validation {
    pub(crate) schema: u32,
    pub(crate) findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    pub(crate) schema: u32,
    pub(crate) version: String,
    pub(crate) installer_version: String,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) last_change: Option<LastChange>,
    pub(crate) external_addresses: Vec<String>,
    pub(crate) runtime: Runtime,
    pub(crate) roles: BTreeMap<Role, RoleView>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) settings: BTreeMap<String, Setting>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LastChange {
    pub(crate) command: String,
    pub(crate) at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Done,
    Planned,
    Refused,
    Failed,
    RolledBack,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    pub(crate) id: String,
    pub(crate) level: Level,
    pub(crate) what: String,
    pub(crate) cure: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Error,
    Warning,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) step: String,
    changes: String,
    undo: String,
    pub(crate) done: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) from: From,
    /// Only for settings that `configure` changes.
    #[serde(default)]
    pub(crate) was: Option<Value>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Switch(bool),
    One(String),
    List(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    Flag,
    Environment,
    Answers,
    Saved,
    Edited,
    Prompt,
    Default,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Cm,
    Sg,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Runtime {
    Swarm,
    Host,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleView {
    pub(crate) state: String,
    pub(crate) live: bool,
    pub(crate) ready: bool,
    // Without this, a missing key would be accepted as null.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) reason: Option<String>,
    pub(crate) listens: Vec<String>,
    pub(crate) sessions: u64,
    pub(crate) in_use: Option<u64>,
    pub(crate) resumable: Option<u64>,
    #[serde(default)]
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) started: Option<u64>,
    /// Only from a running Connection Manager.
    #[serde(default)]
    pub(crate) broker: Option<Broker>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is read has the right shape")]
pub(crate) struct Broker {
    url: String,
    is_verified: bool,
    is_pinned: Option<bool>,
    answers: bool,
    reason: Option<String>,
    since: Option<String>,
    refused: Option<Refused>,
    clock_skew: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is read has the right shape")]
pub(crate) struct Refused {
    problem: String,
    certificate: String,
    key: Option<String>,
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    pub(crate) path: String,
    pub(crate) subject: String,
    pub(crate) expires: String,
    pub(crate) self_signed: bool,
    pub(crate) days_left: i64,
}

impl Finding {
    /// Whether it has a text for administrators.
    pub(crate) fn is_told(&self) -> bool {
        !self.what.is_empty() && !self.cure.is_empty()
    }
}

/// The findings that do not depend on the machine.
pub(crate) fn sure(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| !finding.id.starts_with("host."))
}

impl Step {
    /// Whether it has a text for administrators.
    pub(crate) fn is_told(&self) -> bool {
        !self.step.is_empty() && !self.changes.is_empty() && !self.undo.is_empty()
    }
}
