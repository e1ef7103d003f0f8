//! `update` and `rollback`: this version with the saved answers, and the state before the last change.

use super::{
    Ended,
    install::{Kind, Way, change},
};
use crate::{
    args::{Global, InstallFlags, PlaceFlags, Rollback, Setup, Update, settings::Setting},
    exit::Exit,
    screen::Screen,
};

/// Brings the installation to this version. It goes back by itself where that does not come to life,
/// or is not ready where the one before was.
pub(super) fn update(update: &Update, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let way = Way { is_dry_run: update.dry_run, kind: Kind::Update };
    let mut setup = setup(&update.flags);
    if let Some(bundle) = &update.darksite_bundle_path {
        setup.flags.0.insert(Setting::DarksiteBundlePath, vec![bundle.clone()]);
    }
    change(&setup, global, screen, way)
}

/// Brings back what was before the last change. Done twice, it brings back that change.
pub(super) fn rollback(
    rollback: &Rollback,
    global: &Global,
    screen: &Screen,
) -> Result<Exit, Ended> {
    let way = Way { is_dry_run: rollback.dry_run, kind: Kind::Rollback };
    change(&setup(&rollback.flags), global, screen, way)
}

fn setup(flags: &PlaceFlags) -> Setup {
    Setup { flags: InstallFlags(flags.0.clone()), defaults: false, save_answers: None }
}
