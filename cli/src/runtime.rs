//! Where the daemon runs: its own supervisor, or systemd.

pub(crate) mod host;
pub(crate) mod units;
