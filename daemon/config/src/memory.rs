//! How much memory a role may take, for the units of systemd and the stack file. `docs/memory.md`
//! says how the numbers were chosen.

use crate::{
    ConfFile,
    keys::{CONNECTION_MANAGER, Key, SECURITY_GATEWAY},
    socket::Role,
    values::ConnectionLimit,
};

const KEY: &str = "MaxConnections";
/// For each of `MaxConnections`, in KiB.
const EACH: u64 = 256;

/// What the process may take at most, in MiB: at least twice what it needs with `MaxConnections` in
/// use, since the end of a role is the end of thousands of requests and connections.
#[must_use]
pub fn limit(role: Role, connections: ConnectionLimit) -> u64 {
    let base = match role {
        // Requests that are read, and answers of brokers.
        Role::Cm => 1024,
        // Connections that have not yet shown their tag.
        Role::Sg => 512,
    };
    let connections = u64::try_from(connections.as_usize()).unwrap_or(u64::MAX);
    base + connections.saturating_mul(EACH).div_ceil(1024)
}

/// The same for a configuration. Where its `MaxConnections` cannot be read the role does not start,
/// and the default counts.
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
