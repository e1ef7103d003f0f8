//! The memory limit of a role, for the systemd units and the stack file. `docs/memory.md` explains
//! the numbers.

use crate::{
    ConfFile,
    keys::{CONNECTION_MANAGER, Key, SECURITY_GATEWAY},
    socket::Role,
    values::ConnectionLimit,
};

const KEY: &str = "MaxConnections";
/// Memory of one connection in KiB, multiplied by `MaxConnections`.
const EACH: u64 = 256;

/// Memory limit of the process in MiB. More than the role needs with `MaxConnections` in use, since
/// the kernel kills a role that exceeds it, with thousands of connections.
#[must_use]
pub fn limit(role: Role, connections: ConnectionLimit) -> u64 {
    let connections = u64::try_from(connections.as_usize()).unwrap_or(u64::MAX);
    base(role) + connections.saturating_mul(EACH).div_ceil(1024)
}

/// The inverse of [`limit`]: the most connections for which a role has enough memory.
#[must_use]
pub fn connections(role: Role, mebibytes: u64) -> usize {
    let connections = mebibytes.saturating_sub(base(role)).saturating_mul(1024) / EACH;
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// Memory of a role without connections, in MiB.
fn base(role: Role) -> u64 {
    match role {
        // Requests being read, and responses of brokers.
        Role::Cm => 1024,
        // Connections that have not sent their tag yet.
        Role::Sg => 512,
    }
}

/// [`limit`] for a configuration file. If its `MaxConnections` is invalid, the role does not start,
/// and the default is used.
#[must_use]
pub fn limit_of(role: Role, file: &ConfFile) -> u64 {
    let keys = match role {
        Role::Cm => CONNECTION_MANAGER,
        Role::Sg => SECURITY_GATEWAY,
    };
    let given = file.values(KEY).next().and_then(|entry| entry.value.parse().ok());
    let connections = given.or_else(|| Key::named(keys, KEY).default.parse().ok());
    connections.map_or(u64::MAX, |connections| limit(role, connections))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_grows_with_the_connections() {
        let table = [
            (Role::Sg, "", 512 + 1250),
            (Role::Sg, "MaxConnections = 1\n", 513),
            (Role::Sg, "MaxConnections = 100000\n", 512 + 25_000),
            (Role::Sg, "MaxConnections = many\n", 512 + 1250),
            (Role::Cm, "", 1024 + 2500),
            (Role::Cm, "MaxConnections = 400\n", 1124),
        ];
        for (role, text, limit) in table {
            assert_eq!(limit_of(role, &ConfFile::parse(text)), limit, "{role:?} {text}");
        }
    }

    #[test]
    fn a_limit_is_enough_for_the_connections_it_was_computed_for() {
        for role in [Role::Cm, Role::Sg] {
            for wanted in [1, 2, 5000, 5001, 100_000] {
                let limit = limit(role, wanted.to_string().parse().unwrap());
                let most = connections(role, limit);
                assert!((wanted..wanted + 4).contains(&most), "{role:?} {wanted} {most}");
            }
        }
        assert_eq!([0, 512, 513].map(|limit| connections(Role::Sg, limit)), [0, 0, 4]);
    }
}
