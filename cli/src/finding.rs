//! What a check found: an error refuses, a warning does not.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// The command is refused.
    Error,
    /// The operator should know.
    Warning,
}

/// One thing that a check found, with what cures it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The family and the kind: `certificate.expired`.
    pub(crate) id: &'static str,
    /// How bad it is.
    pub(crate) level: Level,
    /// What is.
    pub(crate) what: String,
    /// What to do.
    pub(crate) cure: String,
}

impl Finding {
    /// Refuses.
    pub(crate) fn error(
        id: &'static str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { id, level: Level::Error, what: what.into(), cure: cure.into() }
    }

    /// Tells.
    pub(crate) fn warning(
        id: &'static str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { id, level: Level::Warning, what: what.into(), cure: cure.into() }
    }

    /// Whether it refuses.
    pub(crate) fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    /// Whether the words on the command line, in the environment or in the answers file could not
    /// be read at all, which is another exit code.
    pub(crate) fn is_usage(&self) -> bool {
        self.id.starts_with("usage.")
    }
}
