//! What the installer has changed on the machine around the installation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::firewall::Entry;

/// What the installer has changed on the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    #[serde(default)]
    pub(crate) firewall: FirewallChanges,
    /// Of the kernel's settings.
    #[serde(default)]
    pub(crate) kernel: KernelChanges,
}

/// What the installer has changed, beyond the service, whose name tells whose it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FirewallChanges {
    /// Ports that it has opened for the present, by zone.
    #[serde(default)]
    pub(crate) opened: BTreeMap<String, Vec<String>>,
    /// The vendor's rules that it has removed.
    #[serde(default)]
    pub(crate) removed: Vec<Entry>,
}

/// What the installer has changed of the present settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KernelChanges {
    /// The port that it has added to the reserved ones.
    #[serde(default)]
    pub(crate) port: Option<u16>,
    /// The limits that it has raised, with their values before.
    #[serde(default)]
    pub(crate) raised: BTreeMap<KernelKey, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KernelKey {
    /// Ports that are lent to nobody.
    ReservedPorts,
    /// Bytes that a socket may ask for to hold what comes in.
    ReceiveBuffer,
    /// Bytes that a socket may ask for to hold what goes out.
    SendBuffer,
}
