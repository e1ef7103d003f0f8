//! Where the daemon runs: its own supervisor, or systemd.

pub(crate) mod crashes;
pub(crate) mod host;
pub(crate) mod units;
