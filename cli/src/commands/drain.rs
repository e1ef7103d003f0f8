//! `drain` and `resume`: no new sessions, so that a host can be taken out of service when its last
//! session has ended; and new ones again.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use cmsg_config::{
    Paths,
    socket::{self, Role, Status},
};
use serde_json::{Map, Value, json};

use super::Ended;
use crate::{
    answers::sources::Sources,
    args::{Drain, Global, PlaceFlags},
    exit::Exit,
    installation::layout,
    interrupt::Interrupt,
    screen::Screen,
};

/// Longest wait for a role's answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How often sessions are counted; they end by themselves and tell nobody.
const COUNT: Duration = Duration::from_millis(500);

/// Takes no new sessions, and waits for the rest as long as that was asked for.
pub(super) fn drain(drain: &Drain, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let (paths, roles) = find(&drain.flags, global)?;
    let mut interrupt = Interrupt::watch()?;
    tell(&paths, &roles, "/drain")?;
    let place = match layout::is_machine(&paths) {
        true => String::new(),
        false => format!(" --root {}", paths.root().display()),
    };
    screen.note(&format!(
        "no new sessions are taken; `pcoip-cmsg-setup resume{place}` takes them again"
    ));
    let begun = Instant::now();
    let wait = Duration::from_secs(drain.wait.unwrap_or_default());
    let mut sessions = count(&paths, &roles)?;
    while total(&sessions) > 0 && begun.elapsed() < wait {
        if interrupt.wait(COUNT) {
            show(&sessions, true, screen);
            return Ok(Exit::Interrupted);
        }
        sessions = count(&paths, &roles)?;
    }
    show(&sessions, true, screen);
    // Who waited for the end and did not see it must not go on as if.
    let is_over = drain.wait.is_none() || total(&sessions) == 0;
    Ok(if is_over { Exit::Done } else { Exit::Failed })
}

/// Takes new sessions again.
pub(super) fn resume(flags: &PlaceFlags, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let (paths, roles) = find(flags, global)?;
    tell(&paths, &roles, "/resume")?;
    screen.note("new sessions are taken");
    show(&count(&paths, &roles)?, false, screen);
    Ok(Exit::Done)
}

fn find(flags: &PlaceFlags, global: &Global) -> Result<(Paths, Vec<Role>), Ended> {
    let sources = Sources::read(&flags.0, global.answers.as_deref())?;
    let (found, installed) = super::find_installed(&sources)?;
    let roles = installed.roles(&found.paths);
    Ok((found.paths, roles))
}

/// The Connection Manager first: what it lets in, its gateway should take.
fn tell(paths: &Paths, roles: &[Role], what: &str) -> Result<(), Ended> {
    for role in roles {
        let told = socket::tell(&paths.run(), *role, what, ANSWER);
        told.with_context(|| format!("failed to tell the {}", name(*role))).map_err(down)?;
    }
    Ok(())
}

fn count(paths: &Paths, roles: &[Role]) -> Result<Vec<(Role, usize)>, Ended> {
    let count = |role: &Role| {
        let status = socket::get::<Status>(&paths.run(), *role, "/status", ANSWER);
        let status = status.with_context(|| format!("failed to ask the {}", name(*role)));
        Ok((*role, status.map_err(down)?.sessions))
    };
    roles.iter().map(count).collect()
}

fn down(error: anyhow::Error) -> Ended {
    Ended::Failed(error, Some("look with `pcoip-cmsg-setup status` whether it runs".to_owned()))
}

fn total(sessions: &[(Role, usize)]) -> usize {
    sessions.iter().map(|(_, count)| count).sum()
}

fn show(sessions: &[(Role, usize)], is_draining: bool, screen: &Screen) {
    if screen.is_json {
        let roles: Map<String, Value> = sessions
            .iter()
            .map(|(role, count)| (key(*role).to_owned(), json!({ "sessions": count })))
            .collect();
        screen.document(&json!({ "schema": 1, "draining": is_draining, "roles": roles }));
        return;
    }
    for (role, count) in sessions {
        let sessions = if *count == 1 { "session" } else { "sessions" };
        screen.data(&format!("{}: {count} {sessions}", name(*role)));
    }
}

fn name(role: Role) -> String {
    role.command().replace('-', " ")
}

fn key(role: Role) -> &'static str {
    match role {
        Role::Cm => "cm",
        Role::Sg => "sg",
    }
}
