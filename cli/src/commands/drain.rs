//! `drain` and `resume`: no new sessions, so that a host can be taken out of service when its last
//! session has ended; and new ones again.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use cmsg_config::{
    Paths, cause,
    socket::{self, DRAINING, Role, Status, Usage},
};
use serde_json::{Map, Value, json};

use super::Ended;
use crate::{
    answers::sources::Sources,
    args::{Drain, Global, PlaceFlags},
    exit::Exit,
    installation::layout,
    interrupt::Interrupt,
    progress::Progress,
    screen::Screen,
};

use wording::{Told, sessions, waited};

mod wording;

/// Longest wait for a role's answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How often sessions are counted; they end by themselves and tell nobody.
const COUNT: Duration = Duration::from_millis(500);

/// Longest wait until each role knows that the others are not draining any more.
const RESUMED: Duration = Duration::from_secs(3);

/// The sessions of a role.
type Counts = Vec<(Role, Usage)>;

/// Takes no new sessions, and waits for the rest as long as that was asked for.
pub(super) fn drain(drain: &Drain, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let (paths, roles) = find(&drain.flags, global)?;
    let mut interrupt = Interrupt::watch()?;
    tell(&paths, &roles, &DRAIN)?;
    let resume = format!("`pcoip-cmsg-setup resume{}`", place(&paths));
    screen.note(&format!("draining: new sessions are refused until {resume}"));
    let before = count(&paths, &roles)?;
    let Some(seconds) = drain.wait else {
        show(&before, Some(0), screen);
        if in_use(&before) > 0 {
            let again = format!("`pcoip-cmsg-setup drain{} --wait SECONDS`", place(&paths));
            screen.note(&format!("wait for these sessions with {again}"));
        }
        return Ok(Exit::Done);
    };
    let bound = Duration::from_secs(seconds);
    let begun = Instant::now();
    let count = || count(&paths, &roles);
    let (last, is_interrupted) = wait(&before, bound, count, (&mut interrupt, screen))?;
    let left = in_use(&last);
    let ended = in_use(&before).saturating_sub(left);
    show(&last, Some(ended), screen);
    if is_interrupted {
        screen.note(&format!("stopped waiting: {}; the host is still draining", sessions(left)));
        return Ok(Exit::Interrupted);
    }
    let took = waited(begun.elapsed());
    if left > 0 {
        let error = anyhow!("{} in use after {took} ({ended} ended)", wording::are(left));
        let again = format!("`pcoip-cmsg-setup drain{} --wait SECONDS`", place(&paths));
        let hint = format!("wait longer with {again}, or restart the host, which ends them");
        screen.failure(&error, Some(&hint));
        return Ok(Exit::Failed);
    }
    screen.note(&format!("drained after {took}: {} ended, none is in use", sessions(ended)));
    if let Some(line) = wording::resumable(resumable(&last)) {
        screen.note(&line);
    }
    screen.note(&format!("next: do the maintenance, then run {resume}"));
    Ok(Exit::Done)
}

/// Counts until no session is in use, the time is up or the operator interrupts; the last counts,
/// and whether that was an interrupt.
fn wait(
    before: &Counts,
    bound: Duration,
    mut count: impl FnMut() -> Result<Counts, Ended>,
    (interrupt, screen): (&mut Interrupt, &Screen),
) -> Result<(Counts, bool), Ended> {
    let progress = Progress::new(screen);
    let begun = Instant::now();
    let mut told = Told::default();
    let mut last = before.clone();
    loop {
        let (waited, in_use) = (begun.elapsed(), in_use(&last));
        let left = bound.saturating_sub(waited);
        if in_use == 0 || left.is_zero() {
            progress.end_waiting();
            return Ok((last, false));
        }
        let line = wording::waiting(in_use, left);
        if !progress.waiting(&line) && told.is_due(in_use, waited) {
            screen.note(&line);
        }
        if interrupt.wait(COUNT.min(left)) {
            progress.end_waiting();
            return Ok((last, true));
        }
        last = count().inspect_err(|_| progress.end_waiting())?;
    }
}

/// Takes new sessions again.
pub(super) fn resume(flags: &PlaceFlags, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let (paths, roles) = find(flags, global)?;
    let mut interrupt = Interrupt::watch()?;
    tell(&paths, &roles, &RESUME)?;
    let begun = Instant::now();
    // The Connection Manager asks its gateway once a second.
    while begun.elapsed() < RESUMED && is_draining(&paths, &roles) {
        if interrupt.wait(COUNT) {
            return Ok(Exit::Interrupted);
        }
    }
    screen.note("new sessions are accepted");
    show(&count(&paths, &roles)?, None, screen);
    Ok(Exit::Done)
}

fn find(flags: &PlaceFlags, global: &Global) -> Result<(Paths, Vec<Role>), Ended> {
    let sources = Sources::read(&flags.0, global.answers.as_deref())?;
    let (found, installed) = super::find_installed(&sources)?;
    let roles = installed.roles(&found.paths);
    Ok((found.paths, roles))
}

/// The flag that names the installation, where it is under another root.
pub(super) fn place(paths: &Paths) -> String {
    match layout::is_machine(paths) {
        true => String::new(),
        false => format!(" --root {}", paths.root().display()),
    }
}

/// A command to all roles.
struct Request {
    path: &'static str,
    /// What a role does that has accepted it: `is draining`.
    done: &'static str,
}

const DRAIN: Request = Request { path: "/drain", done: "is draining" };
const RESUME: Request = Request { path: "/resume", done: "accepts new sessions again" };

/// Sends it to every role, also if one of them does not answer. The Connection Manager first: what it
/// lets in, its gateway should take.
fn tell(paths: &Paths, roles: &[Role], request: &Request) -> Result<(), Ended> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for role in roles {
        match socket::tell(&paths.run(), *role, request.path, ANSWER) {
            Ok(()) => done.push(format!("the {} {}", name(*role), request.done)),
            Err(error) => failed.push(why(*role, &error)),
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let error = anyhow!("{}", [failed, done].concat().join("; "));
    let cure = format!(
        "run `pcoip-cmsg-setup status{}` to see why, then run the command again",
        place(paths)
    );
    Err(Ended::Failed(error, Some(cure)))
}

/// Whether a role still says that it is draining, or that its gateway is.
fn is_draining(paths: &Paths, roles: &[Role]) -> bool {
    let status = |role: &Role| socket::get::<Status>(&paths.run(), *role, "/status", ANSWER).ok();
    roles.iter().filter_map(status).any(|status| {
        let gateways = status.unserved.iter().flat_map(|unserved| &unserved.gateways);
        let mut reasons =
            gateways.filter_map(|it| it.reason.as_deref()).chain(status.reason.as_deref());
        reasons.any(|reason| reason.contains(DRAINING))
    })
}

fn count(paths: &Paths, roles: &[Role]) -> Result<Counts, Ended> {
    let count = |role: &Role| {
        let status = socket::get::<Status>(&paths.run(), *role, "/status", ANSWER);
        let status = status.map_err(|error| down(*role, &error, paths))?;
        // What a daemon does not count may be in use.
        let all = Usage { in_use: status.sessions, resumable: 0 };
        Ok((*role, status.usage.unwrap_or(all)))
    };
    roles.iter().map(count).collect()
}

/// Why a command failed at a role.
pub(super) fn down(role: Role, error: &io::Error, paths: &Paths) -> Ended {
    let cure = format!("run `pcoip-cmsg-setup status{}` to see why", place(paths));
    Ended::Failed(anyhow!("{}", why(role, error)), Some(cure))
}

/// Why a role did not apply the request.
fn why(role: Role, error: &io::Error) -> String {
    let name = name(role);
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("the {name} is not running")
        }
        io::ErrorKind::Other => format!("the {name} refuses: {}", cause::of_socket(error)),
        _ => format!("the {name} does not answer: {}", cause::of_socket(error)),
    }
}

fn in_use(counts: &Counts) -> usize {
    counts.iter().map(|(_, usage)| usage.in_use).sum()
}

fn resumable(counts: &Counts) -> usize {
    counts.iter().map(|(_, usage)| usage.resumable).sum()
}

/// `ended` is how many sessions ended during a drain; none where it is over.
fn show(counts: &Counts, ended: Option<usize>, screen: &Screen) {
    if screen.is_json {
        let role = |(role, usage): &(Role, Usage)| {
            let Usage { in_use, resumable } = usage;
            let sessions = in_use + resumable;
            let counted = json!({ "sessions": sessions, "in_use": in_use, "resumable": resumable });
            (key(*role).to_owned(), counted)
        };
        let roles: Map<String, Value> = counts.iter().map(role).collect();
        let mut document = json!({ "schema": 1, "draining": ended.is_some(), "roles": roles });
        if let Some(ended) = ended {
            document["ended"] = ended.into();
        }
        screen.document(&document);
        return;
    }
    for (role, Usage { in_use, resumable }) in counts {
        let name = name(*role);
        screen.data(&format!("{name}: {} in use, {resumable} resumable", sessions(*in_use)));
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
