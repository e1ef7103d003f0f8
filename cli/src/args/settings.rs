//! Every setting of an installation: name, shape, default and meaning. Flags, environment, answers
//! file and saved answers are read by this table, so there is one place to change.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

/// Declares [`Setting`] from the rows of the table: `Variant = Row::one(…),` each.
macro_rules! settings {
    ($($setting:ident = $row:expr,)*) => {
        /// A setting. Code names the variant; text from flags, environment and files is looked up
        /// with [`Setting::find`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Setting {
            $($setting,)*
        }

        impl Setting {
            /// All of them, in the order of the table.
            pub(crate) const ALL: &[Self] = &[$(Self::$setting,)*];

            /// Its row of the table.
            pub(crate) const fn row(self) -> &'static Row {
                match self {
                    $(Self::$setting => const { &$row },)*
                }
            }
        }
    };
}

mod table;

pub(crate) use table::Setting;

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

/// What the table says of a setting.
#[derive(Debug)]
pub(crate) struct Row {
    /// The flag without its dashes.
    name: &'static str,
    /// How its values are written.
    kind: Kind,
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
    help: &'static str,
}

/// The settings that one source gives, as it writes them.
pub(crate) type Layer = BTreeMap<Setting, Vec<String>>;

/// The settings that name files which are copied and read by no role.
pub(crate) const FILES: [Setting; 6] = [
    Setting::ComposeFile,
    Setting::SsoSigningCsrCa,
    Setting::SsoSigningCsrKey,
    Setting::SsoSigningCrl,
    Setting::TrustedLicenseCert,
    Setting::TrustedLicenseCertKey,
];

/// What the variables of all settings begin with.
pub(crate) const PREFIX: &str = "PCOIP_CMSG_";

/// All settings that are passwords.
pub(crate) fn passwords() -> impl Iterator<Item = Setting> {
    Setting::ALL.iter().copied().filter(|setting| setting.kind() == Kind::Secret)
}

impl Setting {
    /// The setting with this name, if any.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|setting| setting.as_str() == name)
    }

    /// The flag without its dashes.
    pub(crate) const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// How its values are written.
    pub(crate) const fn kind(self) -> Kind {
        self.row().kind
    }

    /// The variable that gives it in the environment.
    pub(crate) fn variable(self) -> String {
        format!("{PREFIX}{}", self.as_str().to_ascii_uppercase().replace('-', "_"))
    }

    /// The flag with a value, as a hint writes it.
    pub(crate) fn usage(self) -> String {
        let shape = self.row().shape;
        match self.kind() {
            Kind::Switch => format!("--{self}={shape}"),
            _ => format!("--{self} {shape}"),
        }
    }

    /// What it does, as the help says it.
    pub(crate) fn told(self) -> String {
        let row = self.row();
        let mut text = row.help.to_owned();
        if row.has_no_effect_yet {
            text += "; has no effect yet";
        }
        text
    }
}

/// The flag without its dashes.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By name, so that the order of findings does not depend on the order of the rows.
impl Ord for Setting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Setting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Row {
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
        assert_eq!(Setting::BrokerUrl.variable(), "PCOIP_CMSG_BROKER_URL");
        assert_eq!(Setting::EnableIpv6.variable(), "PCOIP_CMSG_ENABLE_IPV6");
    }

    #[test]
    fn every_setting_has_a_name_of_its_own() {
        for setting in Setting::ALL {
            assert_eq!(Setting::find(setting.as_str()), Some(*setting));
        }
    }

    #[test]
    fn settings_are_ordered_by_name_and_not_by_row() {
        assert!(Setting::AcceptPolicies < Setting::Runtime);
        assert!(Setting::SslCert < Setting::SslKey);
    }

    #[test]
    fn a_default_that_the_help_shows_is_the_one_that_the_daemon_takes() {
        let key = cmsg_config::keys::Key::named(cmsg_config::keys::CONNECTION_MANAGER, "AgentPort");

        assert_eq!(Setting::AgentPort.row().default, key.default);
    }
}
