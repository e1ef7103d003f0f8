//! The stages of a plan: what progress shows of the steps. Steps that follow each other in the same
//! stage are shown as one.

use std::fmt;

/// What a stage is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// The machine: directories, account, kernel, firewall.
    Host,
    Certificates,
    /// Settings and configuration files.
    Configuration,
    /// The programs, and what runs them.
    Deployment,
    /// Whether the services work.
    Health,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "Host",
            Self::Certificates => "Certificates",
            Self::Configuration => "Configuration",
            Self::Deployment => "Deployment",
            Self::Health => "Health",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    /// What it is about.
    pub(crate) group: Group,
    /// While it runs: `Loading images`. Empty for a step that is not shown.
    pub(crate) running: String,
    pub(crate) finished: String,
}

impl Stage {
    /// A stage that is shown.
    pub(crate) fn new(
        group: Group,
        running: impl Into<String>,
        finished: impl Into<String>,
    ) -> Self {
        Self { group, running: running.into(), finished: finished.into() }
    }

    /// A step that takes no time and changes nothing yet.
    pub(crate) fn hidden(group: Group) -> Self {
        Self::new(group, "", "")
    }

    /// Whether it is shown.
    pub(crate) fn is_shown(&self) -> bool {
        !self.running.is_empty()
    }
}
