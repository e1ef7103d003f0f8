//! `configure`: as `install` for the flags that are given, on top of the saved answers.

use super::{
    Ended,
    install::{Kind, Way, change},
};
use crate::{
    args::{Configure, Global, InstallFlags, Setup},
    exit::Exit,
    screen::Screen,
};

/// Runs it. The daemon stays unless another one is named: to bring it is the business of `install`.
pub(super) fn run(configure: &Configure, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let setup = Setup {
        flags: InstallFlags(configure.flags.0.clone()),
        defaults: false,
        save_answers: configure.save_answers.clone(),
    };
    change(&setup, global, screen, Way { is_dry_run: configure.dry_run, kind: Kind::Configure })
}
