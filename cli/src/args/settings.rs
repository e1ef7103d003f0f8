//! Every setting of an installation: name, shape, default and meaning. Flags, environment, answers
//! file and saved answers are read by this table, so there is one place to change.

mod table;

use std::collections::BTreeMap;

pub(crate) use table::SETTINGS;

/// How a setting's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`; bare on the command line means true.
    Switch,
    /// One value.
    One,
    /// The name of a file or folder.
    Path,
    /// Any number of values.
    List,
    /// A value that nobody may see: `answers::secrets` handles it.
    Secret,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The flag without its dashes.
    pub(crate) name: &'static str,
    /// How its values are written.
    pub(crate) kind: Kind,
    /// What a value looks like.
    pub(crate) shape: &'static str,
    /// The value that holds where none is given; empty for none.
    pub(crate) default: &'static str,
    /// Whether it is kept for the next installation. What says where the installation is cannot be
    /// kept inside it, and the daemon is taken from where it lies each time.
    pub(crate) is_kept: bool,
    /// Whether it is checked and kept, and nothing more.
    pub(crate) has_no_effect_yet: bool,
    /// The heading it stands under in the help.
    pub(crate) heading: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
}

/// The settings that one source gives, as it writes them.
pub(crate) type Layer = BTreeMap<&'static str, Vec<String>>;

/// All settings that are passwords.
pub(crate) fn passwords() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.kind == Kind::Secret)
}

/// The settings that name files which are copied and read by no role.
pub(crate) const FILES: [&str; 6] = [
    "compose-file",
    "sso-signing-csr-ca",
    "sso-signing-csr-key",
    "sso-signing-crl",
    "trusted-license-cert",
    "trusted-license-cert-key",
];

/// What the variables of all settings begin with.
pub(crate) const PREFIX: &str = "PCOIP_CMSG_";

impl Setting {
    /// The setting of that name. The table is ours, so a name that is missing is a mistake of ours.
    pub(crate) fn named(name: &str) -> &'static Self {
        Self::find(name).expect("every setting that is read is in the table")
    }

    /// The setting of that name, where there is one.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// The variable that gives it in the environment.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The flag with a value, as a hint writes it.
    pub(crate) fn usage(&self) -> String {
        match self.kind {
            Kind::Switch => format!("--{}={}", self.name, self.shape),
            _ => format!("--{} {}", self.name, self.shape),
        }
    }

    /// What it does, as the help says it.
    pub(crate) fn told(&self) -> String {
        let mut text = self.help.to_owned();
        if self.has_no_effect_yet {
            text += "; has no effect yet";
        }
        text
    }

    const fn switch(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Switch, "true|false", help).by_default(default)
    }

    const fn one(name: &'static str, shape: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::One, shape, help)
    }

    const fn path(name: &'static str, shape: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Path, shape, help)
    }

    const fn list(name: &'static str, shape: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::List, shape, help)
    }

    const fn secret(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Secret, "@FILE|-", help)
    }

    const fn new(name: &'static str, kind: Kind, shape: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind,
            shape,
            default: "",
            is_kept: true,
            has_no_effect_yet: false,
            heading: "",
            help,
        }
    }

    const fn by_default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn not_kept(self) -> Self {
        Self { is_kept: false, ..self }
    }

    const fn later(self, heading: &'static str) -> Self {
        Self { has_no_effect_yet: true, heading, ..self }
    }

    const fn under(self, heading: &'static str) -> Self {
        Self { heading, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_names_follow_from_the_flags() {
        assert_eq!(Setting::named("broker-url").variable(), "PCOIP_CMSG_BROKER_URL");
        assert_eq!(Setting::named("enable-ipv6").variable(), "PCOIP_CMSG_ENABLE_IPV6");
    }

    #[test]
    fn every_setting_has_a_name_of_its_own() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            assert!(!SETTINGS[..index].iter().any(|s| s.name == setting.name), "{}", setting.name);
        }
    }

    #[test]
    fn a_default_that_the_help_shows_is_the_one_that_the_daemon_takes() {
        let key = cmsg_config::keys::Key::named(cmsg_config::keys::CONNECTION_MANAGER, "AgentPort");

        assert_eq!(Setting::named("agent-port").default, key.default);
    }
}
