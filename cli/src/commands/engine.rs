//! An engine that is installed and does not run: it is started before anything is looked at, where
//! the administrator agrees. Where nobody does, the checks refuse.

use std::time::{Duration, Instant};

use super::Ended;
use crate::{
    host::engine,
    prompt::{self, Terminal},
    runtime::units,
    screen::Screen,
    system::{Real, System as _},
};

/// systemd waits for it; what it has left behind may take it longer.
const START: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(100);
const QUESTION: &str = "Docker is not running. Start it now and at every boot (--yes)?";
const CURE: &str = "check `journalctl -u docker`, fix the problem and run the command again";

/// Starts it, where that is needed, possible and agreed to.
pub(super) fn start(
    is_agreed: bool,
    asks: Option<&Screen>,
    system: &mut Real,
) -> Result<(), Ended> {
    if !engine::can_start() {
        return Ok(());
    }
    let is_agreed = match asks {
        _ if is_agreed => true,
        Some(screen) => prompt::confirm(&mut Terminal::new(screen, system), QUESTION)?,
        None => false,
    };
    if !is_agreed {
        return Ok(());
    }
    let failed = |error| Ended::Failed(error, Some(CURE.to_owned()));
    system.progress().during("Starting Docker", units::start_engine).map_err(failed)?;
    let begun = Instant::now();
    while let Err(error) = engine::connect() {
        if begun.elapsed() > START {
            return Err(failed(error));
        }
        if system.pause(EVERY) {
            return Err(Ended::Interrupted);
        }
    }
    Ok(())
}
