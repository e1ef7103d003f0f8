//! The operator's own compose file: whether our services would run as it says.

use std::path::Path;

use cmsg_config::text::Undecodable;
use cmsg_engine::stack::compose::{self, Expected, Lack, Problem};

use crate::{
    finding::Finding,
    host::Facts,
    installation::{
        Runtime,
        account::{AccountFact, Ids},
    },
    wanted::Wanted,
};

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let Some(deploying) = facts.deploying.as_ref() else { return Vec::new() };
    let given = wanted.docker.compose_file.as_ref().and_then(|it| facts.given.get(&it.setting));
    let Some(Ok(content)) = given else { return Vec::new() };
    if wanted.place.runtime != Runtime::Swarm {
        return Vec::new();
    }
    let account = match facts.account {
        AccountFact::There(Ids { user, group }) => Some((user, group)),
        _ => None,
    };
    let expected = Expected {
        roles: &wanted.roles(),
        paths: &wanted.place.paths(),
        account,
        environment: &deploying.environment,
    };
    let text = match content.decode() {
        Ok(text) => text,
        Err(why) => return vec![undecodable(wanted, why)],
    };
    compose::check(&text, &expected).iter().map(finding).collect()
}

fn undecodable(wanted: &Wanted, why: Undecodable) -> Finding {
    let path = wanted.docker.compose_file.as_ref().map(|given| given.path.as_path());
    let path = path.unwrap_or(Path::new("the compose file"));
    let what = format!("compose file `{}`: {why}", path.display());
    Finding::error("compose.unreadable", what, why.fix(path))
}

fn finding(problem: &Problem) -> Finding {
    let (id, cure) = words(&problem.what);
    let make = if problem.is_error() { Finding::error } else { Finding::warning };
    make(id, problem.to_string(), cure)
}

fn words(lack: &Lack) -> (&'static str, &'static str) {
    match lack {
        Lack::Unreadable(_) => {
            ("compose.unreadable", "specify a compose file with `--compose-file`")
        }
        Lack::NoVersion | Lack::Version(_) | Lack::NewVersion(_) => {
            ("compose.version", "begin the file with `version: \"3.8\"`")
        }
        Lack::Variable(_) => ("compose.variable", "set it in the environment of this command"),
        Lack::NetworkName => (
            "compose.network",
            "use the installer's network: `{external: true, name: pcoipcm_network}`",
        ),
        Lack::NoService => ("compose.service", "add the service, or disable its role"),
        Lack::UnwantedService => ("compose.service", "remove the service, or enable its role"),
        Lack::NoImage | Lack::OtherRolesImage(_) | Lack::ForeignImage(_) => (
            "compose.image",
            "write `image: ${PCOIP_CM_IMAGE}` for `cm` and `image: ${PCOIP_SG_IMAGE}` for `sg`",
        ),
        Lack::OtherCommand(_) => ("compose.command", "write that `command`"),
        Lack::NotPublished(..) | Lack::ThroughIngress(..) => {
            ("compose.port", "attach the service to the network `{external: true, name: host}`")
        }
        Lack::NoMount(_) | Lack::OtherSource { .. } | Lack::ReadOnly(_) => (
            "compose.volume",
            "mount the directory at the same path in `volumes`, writable except for `certs`",
        ),
        Lack::OtherUser(_) => ("compose.user", "omit `user`: the installer sets it"),
        Lack::NoCapability => ("compose.capability", "add `cap_add: [NET_BIND_SERVICE]`"),
        Lack::ShellHealthcheck => {
            ("compose.healthcheck", "write `test: [CMD, …]` with a program of the image")
        }
        Lack::Replicas(_) => ("compose.replicas", "remove `replicas`"),
        Lack::StartFirst => ("compose.order", "write `order: stop-first`"),
        Lack::NoAuthorities => (
            "compose.authorities",
            "set `SSL_CERT_FILE: /opt/teradici/pcoipcm_data/certs/host-authorities.crt` in \
             `environment`",
        ),
        Lack::Ignored(_) => ("compose.ignored", "remove it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        args::settings::Setting,
        host::engine::Deploying,
        plan::tests::{facts, wanted},
    };

    const SWARM: &str = "accept-policies: true\nself-signed: true\nbroker-url: https://b\n\
                         enable-connection-manager: false\njwt-verifying-cert: /j\n\
                         external-pcoip-ip: 192.0.2.1\ncompose-file: /mine.yaml\n";
    /// The one of the page, which lacks nothing.
    const PAGE: &str = include_str!("../../../docs/compose-file.md");

    fn found(change: impl FnOnce(String) -> String) -> Vec<(&'static str, bool, String)> {
        found_in(|file| change(file).into_bytes())
    }

    fn found_in(change: impl FnOnce(String) -> Vec<u8>) -> Vec<(&'static str, bool, String)> {
        let (wanted, _) = wanted(SWARM);
        let mut facts = facts(&wanted);
        facts.account = AccountFact::There(Ids { user: 977, group: 976 });
        facts.deploying = Some(Deploying {
            has_command: true,
            images: Err(String::new()),
            environment: [("MODE".to_owned(), "host".to_owned())].into(),
            is_left_at_boot: false,
        });
        let (_, example) = PAGE.split_once("## Example\n").unwrap();
        facts.given.insert(Setting::ComposeFile, Ok(change(example.to_owned()).into()));
        check(&wanted, &facts).into_iter().map(|f| (f.id, f.is_error(), f.what)).collect()
    }

    #[test]
    fn a_compose_file_is_read_in_the_encodings_of_windows_or_refused() {
        let utf16 = |file: String| {
            let units: Vec<u16> = format!("\u{feff}{file}").encode_utf16().collect();
            units.into_iter().flat_map(u16::to_be_bytes).collect::<Vec<_>>()
        };
        let what = "compose file `/mine.yaml`: line 1 is not UTF-8".to_owned();

        assert_eq!(found_in(utf16), []);
        assert_eq!(found_in(|_| b"# f\xfcr\n".into()), [("compose.unreadable", true, what)]);
    }

    #[test]
    fn what_a_compose_file_lacks_is_an_error_and_what_is_odd_a_warning() {
        assert_eq!(found(|file| file), []);
        let table = [
            (
                "\"3.8\"",
                "\"2\"",
                ("compose.version", true, "the compose file has version `2`, not 3"),
            ),
            ("  sg:", "  gw:", ("compose.service", true, "the service `sg` is missing")),
            (
                "read_only: true",
                "restart: always",
                (
                    "compose.ignored",
                    false,
                    "the service `sg` has `restart`, which `docker stack deploy` ignores",
                ),
            ),
            (
                "name: host}",
                "name: \"${NET:?}\"}",
                (
                    "compose.variable",
                    true,
                    "the compose file uses the variable `NET`, which has no value",
                ),
            ),
        ];
        for (from, to, (id, is_error, what)) in table {
            let found = found(|file| file.replace(from, to));

            assert_eq!(found.first(), Some(&(id, is_error, what.to_owned())), "{found:?}");
        }
        assert_eq!(found(|file| file.replace("name: host}", "name: \"${MODE:?}\"}")), []);
    }
}
