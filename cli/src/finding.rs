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
    pub(crate) what: String,
    pub(crate) cure: String,
}

impl Finding {
    pub(crate) fn error(
        id: &'static str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { id, level: Level::Error, what: what.into(), cure: cure.into() }
    }

    pub(crate) fn warning(
        id: &'static str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { id, level: Level::Warning, what: what.into(), cure: cure.into() }
    }

    /// What a warning about the host is known by, as long as it says the same; none for others.
    pub(crate) fn of_host(&self) -> Option<String> {
        /// Those that say how much there is of something, which changes.
        const MEASURED: [&str; 7] = [
            "host.clock-speed",
            "host.disk",
            "host.file-limit",
            "host.memory",
            "host.processors",
            "host.swap",
            "host.tracked-connections",
        ];
        let is_host = ["host.", "docker.", "swarm."].iter().any(|it| self.id.starts_with(it));
        // What the plan itself changes is not there afterwards.
        let is_fixed = self.cure.starts_with("nothing to do: `install`");
        if !is_host || self.is_error() || is_fixed {
            return None;
        }
        let what = if MEASURED.contains(&self.id) { "" } else { &self.what };
        Some(format!("{}: {what}", self.id))
    }

    /// Has the commands in its hint begin with the program, and find the installation by `words`, so
    /// that they can be pasted.
    pub(crate) fn in_full(self, words: &str) -> Self {
        const PROGRAM: &str = "pcoip-cmsg-setup";
        let mut cure = self.cure;
        for command in ["install", "configure", "rollback", "status", "uninstall", "validate"] {
            let whole = format!("`{PROGRAM} {command}{words}");
            for (short, end) in
                [(format!("`{command} --"), " --"), (format!("run `{command}`"), "`")]
            {
                let begin = if end == "`" { "run " } else { "" };
                cure = cure.replace(&short, &format!("{begin}{whole}{end}"));
            }
            cure = cure.replace(&format!("`{PROGRAM} {command}`"), &format!("{whole}`"));
        }
        Self { cure, ..self }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    /// Whether the words on the command line, in the environment or in the answers file could not
    /// be read at all, which is another exit code.
    pub(crate) fn is_usage(&self) -> bool {
        self.id.starts_with("usage.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_a_hint_finds_the_installation() {
        let table = [
            (
                "allow them with `configure --allowed-agents IP/BITS`",
                "allow them with `pcoip-cmsg-setup configure --root /r --allowed-agents IP/BITS`",
            ),
            ("run `rollback` again", "run `pcoip-cmsg-setup rollback --root /r` again"),
            (
                "`pcoip-cmsg-setup validate` says it",
                "`pcoip-cmsg-setup validate --root /r` says it",
            ),
            ("nothing to do: `install` removes it", "nothing to do: `install` removes it"),
        ];
        for (cure, whole) in table {
            let finding = Finding::warning("host.disk", "what", cure).in_full(" --root /r");

            assert_eq!(finding.cure, whole);
        }
    }
}
