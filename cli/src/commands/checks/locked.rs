//! The second stage: the right to change the installation, which nobody else has at the same time.

use super::{
    answered::Answered,
    located::{Located, must_be_there},
};
use crate::{
    apply::lock::Lock,
    commands::{self, Ended, engine, recover},
    finding::Finding,
    system::Real,
};

/// An installation that nobody else changes, if that was asked for and is possible.
pub(super) struct Locked<'a> {
    pub(super) located: Located<'a>,
    pub(super) lock: Option<Lock>,
    /// The finding about a killed command.
    pub(super) interrupted: Option<Finding>,
}

impl<'a> Located<'a> {
    /// Takes the lock, and undoes what a killed command left.
    ///
    /// # Errors
    ///
    /// Where another installer has it, or something cannot be undone.
    pub(super) fn lock(mut self, system: &mut Real) -> Result<Locked<'a>, Ended> {
        let looking = self.request.looking;
        if !(looking.locks && self.can_change) {
            let interrupted = self.left.take();
            return Ok(Locked { located: self, lock: None, interrupted });
        }
        let paths = self.place.paths();
        let lock = commands::lock(&paths)?;
        let interrupted = recover::recover(&paths, system)?;
        if interrupted.is_some() {
            // Files that were looked at may have been taken back.
            self.export = self.request.export();
            must_be_there(looking, &self.sources)?;
        }
        // What is taken over is asked of the engine.
        if looking.takes_daemon && self.is_swarm {
            engine::start(self.request.global.yes, looking.asks, system)?;
        }
        Ok(Locked { located: self, lock: Some(lock), interrupted })
    }
}

impl<'a> Locked<'a> {
    pub(super) fn answer(self, system: &mut Real) -> Result<Answered<'a>, Ended> {
        Answered::settle(self, system)
    }
}
