//! Rules of firewalld that an installation adds or removes.

use serde::{Deserialize, Serialize};

/// The service of firewalld that stands for all ports of ours.
pub(crate) const SERVICE: &str = "pcoip-cmsg";

/// One change. Where it is made already it does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Edit {
    /// Our service is for other ports: `443/tcp`. With none, there is no such service.
    Define { before: Vec<String>, after: Vec<String> },
    /// A rule is added.
    Add(Entry),
    /// A rule is removed.
    Remove(Entry),
}

/// One rule and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) scope: Scope,
    pub(crate) zone: String,
    pub(crate) rule: Rule,
}

/// firewalld has two sets of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scope {
    /// At once, until it loads its files again.
    Now,
    /// In its files, from when it loads them.
    Kept,
}

/// A rule of a zone, in the words in which firewalld tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// Our service is let in.
    Service,
    /// A port is let in: `443/tcp`.
    Port(String),
    /// A port is sent to another one: `port=443:proto=tcp:toport=8443:toaddr=`.
    Forward(String),
    Rich(String),
}

impl Edit {
    /// What takes it back.
    pub(crate) fn opposite(&self) -> Self {
        match self.clone() {
            Self::Define { before, after } => Self::Define { before: after, after: before },
            Self::Add(entry) => Self::Remove(entry),
            Self::Remove(entry) => Self::Add(entry),
        }
    }

    /// What is different afterwards.
    pub(crate) fn change(&self) -> String {
        match self {
            Self::Define { after, .. } if after.is_empty() => format!("remove service `{SERVICE}`"),
            Self::Define { after, .. } => {
                format!("define service `{SERVICE}` with {}", after.join(", "))
            }
            Self::Add(entry) => format!("add {}", entry.name()),
            Self::Remove(entry) => format!("remove {}", entry.name()),
        }
    }

    /// The command that makes it.
    pub(crate) fn by_hand(&self) -> String {
        match self {
            Self::Define { after, .. } if after.is_empty() => {
                format!("`firewall-cmd --permanent --delete-service={SERVICE}`")
            }
            Self::Define { after, .. } => {
                let ports: Vec<_> = after.iter().map(|port| format!("--add-port={port}")).collect();
                format!("`firewall-cmd --permanent --service={SERVICE} {}`", ports.join(" "))
            }
            Self::Add(entry) => entry.by_hand("add"),
            Self::Remove(entry) => entry.by_hand("remove"),
        }
    }
}

impl Entry {
    fn name(&self) -> String {
        let when = match self.scope {
            Scope::Now => "runtime",
            Scope::Kept => "permanent",
        };
        let rule = match &self.rule {
            Rule::Service => format!("service `{SERVICE}`"),
            Rule::Port(text) => format!("port {text}"),
            Rule::Forward(text) => format!("forward `{text}`"),
            Rule::Rich(text) => format!("`{text}`"),
        };
        format!("{rule} in zone `{}` ({when})", self.zone)
    }

    fn by_hand(&self, verb: &str) -> String {
        let scope = match self.scope {
            Scope::Now => "",
            Scope::Kept => "--permanent ",
        };
        let (kind, value) = self.rule.words();
        format!("`firewall-cmd {scope}--zone={} --{verb}-{kind}='{value}'`", self.zone)
    }
}

impl Rule {
    /// What `--add-` goes on with, and the value.
    pub(crate) fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Service => ("service", SERVICE),
            Self::Port(text) => ("port", text),
            Self::Forward(text) => ("forward-port", text),
            Self::Rich(text) => ("rich-rule", text),
        }
    }
}
