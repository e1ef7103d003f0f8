//! What systemd has to do with the roles.

use cmsg_config::{Paths, socket::Role};

use crate::{
    installation::{installed::UnitsFact, layout},
    runtime::units,
};

const ROLES: [Role; 2] = [Role::Cm, Role::Sg];

impl UnitsFact {
    /// Looks without asking it.
    pub(crate) fn look(paths: &Paths) -> Self {
        let is_enabled = |role: &Role| layout::unit_at_boot(paths, *role).is_symlink();
        Self {
            are_used: layout::is_machine(paths) && units::is_booted(),
            enabled: ROLES.into_iter().filter(is_enabled).collect(),
            running: Vec::new(),
        }
    }

    /// Asks it too.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub(crate) fn read(paths: &Paths) -> anyhow::Result<Self> {
        let mut fact = Self::look(paths);
        for role in ROLES.into_iter().filter(|role| units::keep(paths, *role)) {
            if units::is_running(role)? {
                fact.running.push(role);
            }
        }
        Ok(fact)
    }
}
