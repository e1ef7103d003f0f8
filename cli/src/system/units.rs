//! The effects on systemd's units.

use cmsg_config::{Paths, socket::Role};

use super::Real;
use crate::runtime::units;

/// What steps do to systemd.
pub(crate) trait Units {
    /// Has it read its units anew.
    fn reload_units(&mut self, paths: &Paths) -> anyhow::Result<()>;

    /// Has it start a role at boot.
    fn enable_unit(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()>;

    /// Has it not start a role at boot; a unit that is not there is not started.
    fn disable_unit(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()>;
}

impl Units for Real {
    fn reload_units(&mut self, _paths: &Paths) -> anyhow::Result<()> {
        units::reload()
    }

    fn enable_unit(&mut self, _paths: &Paths, role: Role) -> anyhow::Result<()> {
        units::enable(role)
    }

    fn disable_unit(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        units::disable(paths, role)
    }
}
