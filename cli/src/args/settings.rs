//! Every setting of an installation: name, shape, default and meaning. Flags, environment, answers
//! file and saved answers are read by this table, so there is one place to change.

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
    /// The heading it stands under in the help.
    pub(crate) heading: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
}

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
        format!("PCOIP_CMSG_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The flag with a value, as a hint writes it.
    pub(crate) fn usage(&self) -> String {
        match self.kind {
            Kind::Switch => format!("--{}={}", self.name, self.shape),
            _ => format!("--{} {}", self.name, self.shape),
        }
    }

    const fn switch(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Switch,
            shape: "true|false",
            default,
            is_kept: true,
            heading: "",
            help,
        }
    }

    const fn one(name: &'static str, shape: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::One, shape, default: "", is_kept: true, heading: "", help }
    }

    const fn path(name: &'static str, shape: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Path, shape, default: "", is_kept: true, heading: "", help }
    }

    const fn list(name: &'static str, shape: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::List, shape, default: "", is_kept: true, heading: "", help }
    }

    const fn by_default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn not_kept(self) -> Self {
        Self { is_kept: false, ..self }
    }

    const fn under(self, heading: &'static str) -> Self {
        Self { heading, ..self }
    }
}

const PLACE: &str = "Where";
const ROLES: &str = "Roles";
const SESSIONS: &str = "Sessions";
const NETWORK: &str = "Network";
const CERTIFICATES: &str = "Certificates and keys";
const CHECKS: &str = "Checks";

/// All settings in the order of the help and of the answers file.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting::one(
        "runtime",
        "swarm|host",
        "What runs the daemon: Docker Swarm, or the host itself with its own supervisor",
    )
    .by_default("swarm")
    .under(PLACE),
    Setting::path(
        "root",
        "DIR",
        "Put everything under this folder; needs no root rights and no fixed port",
    )
    .not_kept()
    .under(PLACE),
    Setting::path(
        "daemon",
        "PATH",
        "The daemon to install with `--runtime=host` [default: pcoip-cmsgd beside this program]",
    )
    .not_kept()
    .under(PLACE),
    Setting::switch("enable-connection-manager", "true", "Install the Connection Manager")
        .under(ROLES),
    Setting::switch("enable-security-gateway", "true", "Install the Security Gateway").under(ROLES),
    Setting::one("broker-url", "URL", "The connection broker: https://HOST[:PORT]").under(SESSIONS),
    Setting::list(
        "external-pcoip-ip",
        "IP",
        "Public address of this host's Security Gateway; twice for IPv4 and IPv6",
    )
    .under(SESSIONS),
    Setting::list(
        "external-sg-ip",
        "IP",
        "Public address of another Security Gateway, tried in order; repeatable",
    )
    .under(SESSIONS),
    Setting::list(
        "external-sg-control",
        "IP=HOST:PORT",
        "Where that gateway takes announcements, if not at its public address on 443; repeatable",
    )
    .under(SESSIONS),
    Setting::list(
        "external-sg-pin",
        "IP=sha256:HEX",
        "Certificate or key of that gateway that is trusted as it is; repeatable",
    )
    .under(SESSIONS),
    Setting::list(
        "license-server-url",
        "URL",
        "License server handed to agents, tried in order; repeatable",
    )
    .under(SESSIONS),
    Setting::one("agent-port", "PORT", "Port where agents are called")
        .by_default("60443")
        .under(SESSIONS),
    Setting::list(
        "host-address",
        "ADDRESS",
        "Name and address by which clients reach this host; twice for a FQDN and an IP",
    )
    .under(NETWORK),
    Setting::list(
        "listen",
        "KEY=ADDR:PORT",
        "Where to listen: broker (HTTPS, also of a gateway alone), pcoip, udp-source or http \
         (http=off); port 0 takes a free one; under `--root` the default is 127.0.0.1 and 0; \
         repeatable",
    )
    .under(NETWORK),
    Setting::switch("enable-ipv6", "false", "Take IPv6 connections").under(NETWORK),
    Setting::switch(
        "self-signed",
        "false",
        "Make a self-signed certificate, valid for 397 days; `--ssl-cert` and `--ssl-key` are \
         ignored",
    )
    .under(CERTIFICATES),
    Setting::path("ssl-cert", "FILE", "PEM certificate for both roles, followed by its chain")
        .under(CERTIFICATES),
    Setting::path("ssl-key", "FILE", "PEM key of that certificate").under(CERTIFICATES),
    Setting::path(
        "ca-cert",
        "FILE",
        "PEM certificates of the authority that issued it and that upstream peers are verified with",
    )
    .under(CERTIFICATES),
    Setting::path(
        "jwt-signing-key",
        "FILE",
        "PEM key that signs announcements to gateways; made if not given",
    )
    .under(CERTIFICATES),
    Setting::path(
        "jwt-verifying-cert",
        "FILE",
        "PEM certificates of the Connection Managers whose announcements the gateway takes",
    )
    .under(CERTIFICATES),
    Setting::switch("ignore-disk-req", "false", "Install with less than 10 GB of free disk space")
        .under(CHECKS),
    Setting::switch(
        "accept-policies",
        "false",
        "Accept the licence (Apache-2.0) and the privacy statement (nothing is collected or sent)",
    )
    .under(CHECKS),
];

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
