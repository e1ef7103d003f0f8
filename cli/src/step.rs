//! One step of a plan: what it changes, how it is performed and what it leaves to undo. Each kind is
//! one file, which implements [`kind::Kind`], and one line of the list below.

pub(crate) mod await_live;
pub(crate) mod copy_daemon;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod enable_engine;
mod error;
pub(crate) mod file;
pub(crate) mod firewall;
pub(crate) mod hand_over;
pub(crate) mod hold;
pub(crate) mod keep_adopted;
pub(crate) mod kernel;
mod kind;
pub(crate) mod leave_engine;
mod live;
pub(crate) mod load_images;
pub(crate) mod make_account;
pub(crate) mod make_certificate;
pub(crate) mod make_folders;
pub(crate) mod make_network;
pub(crate) mod make_swarm;
pub(crate) mod pull_images;
pub(crate) mod reload;
pub(crate) mod remove;
pub(crate) mod remove_account;
pub(crate) mod remove_adopted;
pub(crate) mod remove_empty_folders;
pub(crate) mod remove_services;
pub(crate) mod start;
pub(crate) mod start_role;
pub(crate) mod stop;
pub(crate) mod stop_role;
pub(crate) mod trace;
pub(crate) mod units;
mod words;
pub(crate) mod write;
pub(crate) mod write_stack;

use crate::{
    progress::{StepText, stage::Stage},
    system::System,
};
pub(crate) use error::StepError;
use kind::{Kind, kinds};
use trace::Trace;

kinds! {
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Step: dyn Kind<Trace> {
        MakeFolders(make_folders::MakeFolders),
        Write(write::Write),
        Remove(remove::Remove),
        MakeCertificate(make_certificate::MakeCertificate),
        CopyDaemon(copy_daemon::CopyDaemon),
        Stop(stop::Stop),
        Start(start::Start),
        StopRole(stop_role::StopRole),
        StartRole(start_role::StartRole),
        AwaitLive(await_live::AwaitLive),
        Reload(reload::Reload),
        Hold(hold::Hold),
        KeepAdopted(keep_adopted::KeepAdopted),
        RemoveAdopted(remove_adopted::RemoveAdopted),
        EnableEngine(enable_engine::EnableEngine),
        LoadImages(load_images::LoadImages),
        PullImages(pull_images::PullImages),
        MakeSwarm(make_swarm::MakeSwarm),
        MakeNetwork(make_network::MakeNetwork),
        WriteStack(write_stack::WriteStack),
        Deploy(deploy::Deploy),
        RemoveServices(remove_services::RemoveServices),
        LeaveEngine(leave_engine::LeaveEngine),
        MakeAccount(make_account::MakeAccount),
        HandOver(hand_over::HandOver),
        Units(units::Units),
        RemoveAccount(remove_account::RemoveAccount),
        Firewall(firewall::FirewallStep),
        Kernel(kernel::KernelStep),
        Delete(delete::Delete),
        RemoveEmptyFolders(remove_empty_folders::RemoveEmptyFolders),
    }
}

impl Step {
    /// What it does, in a few words.
    pub(crate) fn name(&self) -> String {
        self.kind().name()
    }

    /// What is different afterwards.
    pub(crate) fn changes(&self) -> String {
        self.kind().changes()
    }

    pub(crate) fn undoing(&self) -> &'static str {
        self.kind().undoing()
    }

    /// The stage that progress shows it in.
    pub(crate) fn stage(&self) -> Stage {
        self.kind().stage()
    }

    /// What it changes on the host beyond the installation's own files.
    pub(crate) fn on_host(&self) -> Option<String> {
        self.kind().on_host()
    }

    /// What is shown of it while it is performed.
    pub(crate) fn text(&self) -> StepText {
        StepText {
            stage: self.stage(),
            name: self.name(),
            changes: self.changes(),
            undoing: self.undoing().into(),
        }
    }

    /// Performs it. What it replaces or removes waits aside.
    ///
    /// # Errors
    ///
    /// Where the host refuses, or the operator.
    pub(crate) fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        self.kind().perform(system)
    }

    /// What it leaves until the plan is settled, in its order.
    pub(crate) fn traces(&self) -> Vec<Trace> {
        self.kind().traces()
    }
}

#[cfg(test)]
mod tests;
