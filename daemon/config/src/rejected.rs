//! Why a role rejected its configuration: the JSON files `cm.rejected` and `sg.rejected` in the run
//! directory. A role writes its file before it exits with [`EXIT_CODE`], and removes it when it
//! accepts its configuration.

use serde::{Deserialize, Serialize};

use crate::socket::Role;

/// Exit code of a role whose configuration is invalid. Restarting the role does not help.
pub const EXIT_CODE: u8 = 64;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// All problems, each with its line number if it has one.
    pub problems: Vec<String>,
}

/// File name in the run directory.
#[must_use]
pub fn name(role: Role) -> &'static str {
    match role {
        Role::Cm => "cm.rejected",
        Role::Sg => "sg.rejected",
    }
}
