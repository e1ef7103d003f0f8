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
    let base = match role {
        // Requests being read, and responses of brokers.
        Role::Cm => 1024,
        // Connections that have not sent their tag yet.
        Role::Sg => 512,
    };
    let connections = u64::try_from(connections.as_usize()).unwrap_or(u64::MAX);
    base + connections.saturating_mul(EACH).div_ceil(1024)
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
}
