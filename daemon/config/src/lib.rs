//! The interface between installer and daemon: `ConnectionManager.conf`, `SecurityGateway.conf`,
//! the directories of an installation, and the unix socket on which each role reports its status.
#![warn(missing_docs)]

pub mod cause;
pub mod connection_manager;
pub mod distrust;
pub mod failover;
pub mod file;
mod host_address;
pub mod kept;
pub mod keys;
pub mod logons;
pub mod memory;
pub mod names;
pub mod paths;
pub mod pem;
pub mod reader;
pub mod rejected;
pub mod security_gateway;
pub mod socket;
pub mod text;
pub mod values;

pub use connection_manager::ConnectionManager;
pub use failover::Failover;
pub use file::ConfFile;
pub use host_address::{HostAddress, Several};
pub use paths::Paths;
pub use reader::{Invalid, Loaded, Problem, Warning};
pub use security_gateway::SecurityGateway;
