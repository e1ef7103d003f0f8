//! Why a role rejected its configuration: `cm.rejected` and `sg.rejected` in the run folder, JSON. A
//! role writes it before it exits with [`EXIT_CODE`], and removes it when it accepts its configuration.

use serde::{Deserialize, Serialize};

use crate::socket::Role;

/// The exit code of a role whose configuration cannot be used. A restart does not help.
pub const EXIT_CODE: u8 = 64;

/// A configuration that a role could not use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// What is wrong with it, with the line where there is one.
    pub problems: Vec<String>,
}

/// The name of a role's file in the run folder.
#[must_use]
pub fn name(role: Role) -> &'static str {
    match role {
        Role::Cm => "cm.rejected",
        Role::Sg => "sg.rejected",
    }
}
