//! What a step leaves on the host until its plan is settled: enough to take it back or to finish it,
//! also for another process. It holds no content, so that a journal of it holds no secret.

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::kind::{Undo, kinds};
use crate::system::System;

kinds! {
    /// One thing that a step leaves. A journal has its name in kebab case.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    enum Trace: dyn Undo {
        Replaced(super::file::Replaced),
        New(super::file::New),
        Folders(super::make_folders::Folders),
        Firewall(super::firewall::FirewallStep),
        Kernel(super::kernel::KernelStep),
        NewAccount = super::make_account::NewAccount,
        HandedOver(super::hand_over::HandedOver),
        Units(super::units::UnitsTrace),
        AccountGoes = super::remove_account::AccountGoes,
        Emptied(super::remove_empty_folders::Emptied),
        Stopped(super::stop::RolesRan),
        StoppedRole(super::stop_role::StoppedRole),
        StartedRole(super::start_role::StartedRole),
        Reloaded(super::reload::Reloaded),
        Engine(EngineTrace),
        Started(super::start::Started),
    }
}

kinds! {
    /// What is left at the Docker engine.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    enum EngineTrace in Trace::Engine: dyn Undo {
        Enabled = super::enable_engine::Enabled,
        NewImages(super::load_images::NewImages),
        NewSwarm = super::make_swarm::NewSwarm,
        NewNetwork = super::make_network::NewNetwork,
        WasNetwork(super::make_network::WasNetwork),
        NewServices = super::deploy::NewServices,
        Deployed(super::remove_services::Deployed),
        ImagesGo(super::leave_engine::ImagesGo),
        NetworkGoes = super::leave_engine::NetworkGoes,
        SwarmGoes = super::leave_engine::SwarmGoes,
    }
}

impl Undo for EngineTrace {
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        self.kind().undo(paths, system)
    }

    fn undoing_by_hand(&self) -> String {
        self.kind().undoing_by_hand()
    }

    fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        self.kind().finish(system)
    }

    fn finishing_by_hand(&self) -> String {
        self.kind().finishing_by_hand()
    }
}

impl Trace {
    /// Restores the former state.
    ///
    /// # Errors
    ///
    /// Where the host refuses.
    pub(crate) fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        self.kind().undo(paths, system)
    }

    /// How an operator undoes it without the installer.
    pub(crate) fn undoing_by_hand(&self) -> String {
        self.kind().undoing_by_hand()
    }

    /// Removes what was kept for undoing, or what only goes when everything else is done.
    ///
    /// # Errors
    ///
    /// Where the host refuses.
    pub(crate) fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        self.kind().finish(system)
    }

    /// How an operator finishes it without the installer.
    pub(crate) fn finishing_by_hand(&self) -> String {
        self.kind().finishing_by_hand()
    }
}

#[cfg(test)]
mod tests;
