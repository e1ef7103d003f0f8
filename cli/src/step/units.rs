//! Changes systemd's units: their files, what systemd knows of them and what it starts at boot.

use std::path::PathBuf;

use cmsg_config::{Paths, socket::Role};
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    file::{self, FileTrace, put_aside},
    kind::{Kind, NOTHING, Undo},
    words::{List, named},
};
use crate::{
    content::Content,
    installation::{account, layout},
    progress::stage::{Group, Stage},
    system::System,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Units {
    pub(crate) paths: Paths,
    pub(crate) files: Vec<UnitFile>,
    /// What does not start at boot any more.
    pub(crate) disables: Vec<Role>,
    /// What does from now on.
    pub(crate) enables: Vec<Role>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitFile {
    /// Which role it runs.
    pub(crate) role: Role,
    /// What it contains; nothing where it goes.
    pub(crate) content: Option<Content>,
    /// Whether one is there.
    pub(crate) replaces: bool,
}

/// What a change leaves besides its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UnitsTrace {
    /// These started at boot, and systemd knew the files that were there.
    Before(Vec<Role>),
    /// These start at boot.
    Enabled(Vec<Role>),
}

impl Units {
    /// Whether the unit of a role changes.
    pub(crate) fn changes_unit_of(&self, role: Role) -> bool {
        self.files.iter().any(|file| file.role == role)
    }
}

impl<T: FileTrace + From<UnitsTrace>> Kind<T> for Units {
    fn name(&self) -> String {
        "update the systemd units".to_owned()
    }

    fn changes(&self) -> String {
        let such = |is_such: fn(&UnitFile) -> bool| -> Vec<PathBuf> {
            let files = self.files.iter().filter(|file| is_such(file));
            files.map(|file| layout::unit(&self.paths, file.role)).collect()
        };
        let files = [
            ("new", such(|file| !file.replaces)),
            ("changed", such(|file| file.replaces && file.content.is_some())),
            ("removed", such(|file| file.content.is_none())),
        ];
        let files = files.into_iter().filter(|(_, paths)| !paths.is_empty());
        let files = files.map(|(how, paths)| format!("{how}: {}", List(&paths)));
        let roles =
            [("starts at boot", &self.enables), ("no longer starts at boot", &self.disables)];
        let roles = roles.into_iter().filter(|(_, roles)| !roles.is_empty());
        let roles = roles.map(|(how, roles)| {
            let names: Vec<_> = roles.iter().map(|role| named(*role)).collect();
            format!("{how}: {}", names.join(", "))
        });
        files.chain(roles).collect::<Vec<_>>().join("; ")
    }

    fn undoing(&self) -> &'static str {
        "the previous units are restored"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Updating the systemd units", "systemd units updated")
    }

    fn on_host(&self) -> Option<String> {
        Some("systemd units".to_owned())
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        let Self { paths, files, disables, enables } = self;
        disables.iter().try_for_each(|role| system.disable_unit(paths, *role))?;
        for file in files {
            let path = layout::unit(paths, file.role);
            put_aside(&path, file.replaces, system)?;
            if let Some(content) = &file.content {
                system.write(&path, content)?;
                system.hand_over(&path, account::UNIT)?;
            }
        }
        system.reload_units(paths)?;
        Ok(enables.iter().try_for_each(|role| system.enable_unit(paths, *role))?)
    }

    /// To be undone last first: what starts at boot has a file before and after.
    fn traces(&self) -> Vec<T> {
        let file = |it: &UnitFile| file::trace(&layout::unit(&self.paths, it.role), it.replaces);
        let before = UnitsTrace::Before(self.disables.clone()).into();
        let enabled = UnitsTrace::Enabled(self.enables.clone()).into();
        [before].into_iter().chain(self.files.iter().map(file)).chain([enabled]).collect()
    }
}

impl Undo for UnitsTrace {
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::Before(roles) => {
                system.reload_units(paths)?;
                roles.iter().try_for_each(|role| system.enable_unit(paths, *role))
            }
            Self::Enabled(roles) => {
                roles.iter().try_for_each(|role| system.disable_unit(paths, *role))
            }
        }
    }

    fn undoing_by_hand(&self) -> String {
        let all = |what: &str, roles: &[Role]| {
            let names = roles.iter().map(|role| format!(" {}", layout::unit_name(*role)));
            format!("run `systemctl {what}{}`", names.collect::<String>())
        };
        match self {
            Self::Before(roles) if roles.is_empty() => all("daemon-reload", &[]),
            Self::Before(roles) => {
                format!("{} and {}", all("daemon-reload", &[]), all("enable", roles))
            }
            Self::Enabled(roles) if roles.is_empty() => NOTHING.to_owned(),
            Self::Enabled(roles) => all("disable", roles),
        }
    }
}
