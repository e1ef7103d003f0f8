//! `bans`: the users who are banned from an address after failed log-ons, and how to lift a ban.

use std::time::Duration;

use anyhow::anyhow;
use cmsg_config::{
    Paths,
    socket::{self, Lift, Role},
};
use serde_json::json;

use super::{
    Ended,
    drain::{down, place},
};
use crate::{
    answers::sources::Sources,
    args::{Bans, BansCommand, Global, LiftBans, PlaceFlags},
    exit::Exit,
    report,
    screen::Screen,
    shown::{counted, one_line},
};

/// Longest wait for the answer of the Connection Manager.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) fn run(bans: &Bans, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    match &bans.command {
        None => list(&find(&[&bans.flags], global)?, screen),
        Some(BansCommand::Lift(lift)) => {
            self::lift(lift, &find(&[&bans.flags, &lift.flags], global)?, screen)
        }
    }
}

/// The installation, which must have a Connection Manager.
fn find(flags: &[&PlaceFlags], global: &Global) -> Result<Paths, Ended> {
    let flags = flags.iter().flat_map(|flags| flags.0.clone()).collect();
    let sources = Sources::read(&flags, global.answers.as_deref())?;
    let (found, installed) = super::find_installed(&sources)?;
    if !installed.roles(&found.paths).contains(&Role::Cm) {
        let error = anyhow!("this installation has no connection manager");
        let hint = "run the command on a host with a connection manager".to_owned();
        return Err(Ended::Failed(error, Some(hint)));
    }
    Ok(found.paths)
}

fn list(paths: &Paths, screen: &Screen) -> Result<Exit, Ended> {
    let bans = socket::bans(&paths.run(), ANSWER).map_err(|error| down(Role::Cm, &error, paths))?;
    if screen.is_json {
        screen.document(&json!({ "schema": 1, "bans": bans }));
    } else if bans.is_empty() {
        screen.note("no user is banned");
    } else {
        screen.block(&report::bans::lines(&bans).join("\n"));
    }
    Ok(Exit::Done)
}

fn lift(lift: &LiftBans, paths: &Paths, screen: &Screen) -> Result<Exit, Ended> {
    let bans = match (&lift.source, &lift.user) {
        (Some(source), Some(user)) => Lift::One { source: source.clone(), user: user.clone() },
        _ => Lift::All,
    };
    let lifted = socket::lift(&paths.run(), &bans, ANSWER);
    let lifted = lifted.map_err(|error| down(Role::Cm, &error, paths))?;
    if let (Lift::One { source, user }, 0) = (&bans, lifted) {
        let error = anyhow!("`{}` is not banned from {source}", one_line(user));
        let hint = format!("list the bans with `pcoip-cmsg-setup bans{}`", place(paths));
        return Err(Ended::Failed(error, Some(hint)));
    }
    if screen.is_json {
        screen.document(&json!({ "schema": 1, "lifted": lifted }));
    } else {
        screen.note(&format!("lifted {}", counted(lifted, "ban")));
    }
    Ok(Exit::Done)
}
