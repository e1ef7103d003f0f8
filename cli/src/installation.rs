//! What an installation consists of, as data: files and folders, what the installer noted of them, and
//! who may do what with each.

pub(crate) mod account;
pub(crate) mod adopted;
pub(crate) mod brokers;
pub(crate) mod contents;
pub(crate) mod firewall;
pub(crate) mod installed;
pub(crate) mod layout;
pub(crate) mod previous;
pub(crate) mod record;
mod runtime;
pub(crate) mod surroundings;

pub(crate) use runtime::Runtime;
