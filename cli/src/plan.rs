//! From what is wanted and what is there to ordered steps. Nothing is performed and nothing is
//! read here.

pub(crate) mod account;
mod adopt;
mod certificates;
pub(crate) mod configuration;
mod later;
pub(crate) mod previous;
mod removal;
pub(crate) mod surroundings;
pub(crate) mod swarm;
mod turnover;
pub(crate) mod units;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use cmsg_config::{Paths, socket::Role};

use crate::{
    answers::{Answers, file},
    content::Content,
    host::{Facts, daemon::DaemonFact, export::Export, ports::Listener},
    installation::{
        Runtime,
        installed::{Installed, InstalledFile},
        layout::{self, aside},
        previous::Previous,
        record::Record,
    },
    step::{
        Step, await_live::AwaitLive, copy_daemon::CopyDaemon, delete::Delete,
        make_folders::MakeFolders, remove::Remove, write::Write,
    },
    system::Awaited,
    wanted::{Wanted, listen::ListenKey},
};
use configuration::{Configuration, known_brokers};
pub(crate) use removal::uninstall;
use turnover::Turnover;

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// The roles whose sessions end on the way.
    pub(crate) restarts: Vec<Role>,
}

/// Plans an installation. What is as wanted already gets no step, and a role restarts only when
/// something changes that it reads.
pub(crate) fn install(wanted: &Wanted, facts: &Facts, answers: &Answers) -> Plan {
    let paths = wanted.place.paths();
    let installed = &facts.installed;

    let configuration = Configuration::draft(wanted, facts);
    let Files { read_by_roles, others } = Files::plan(wanted, facts, answers, &configuration);
    let units = units::install(wanted, facts, &configuration);
    let read = [&read_by_roles[..], units.as_slice()].concat();
    let turnover = match wanted.place.runtime {
        Runtime::Host => Turnover::around(&read, wanted, facts),
        Runtime::Swarm => swarm::around(&read_by_roles, wanted, facts, &configuration),
    };
    let Turnover { stops: mut steps, starts, restarts, deployments, has_other_images } =
        adopt::turn(turnover, facts);
    if !installed.missing_folders.is_empty() {
        let folders = installed.missing_folders.clone();
        steps.push(Step::MakeFolders(MakeFolders { paths: paths.clone(), folders }));
    }
    steps.extend(adopt::keep(facts, &paths));
    let make_account = account::make(facts);
    let mut record = Record::of(installed, &paths);
    record.account |= make_account.is_some();
    let mut record =
        record.and(wanted.place.runtime, &installed.missing_folders, configuration.written);
    record.brokers = known_brokers(wanted, facts, configuration.cm.as_ref());
    if let Some(before) = &facts.back_to {
        before.previous.version.clone_into(&mut record.version);
    }
    let prepared = surroundings::prepare(facts, &paths, &mut record);
    let changes = [&steps[..], &others, &read_by_roles, &starts].concat();
    record.learn(&facts.known, !changes.is_empty());
    let around = [&prepared[..], make_account.as_slice(), units.as_slice()].concat();
    record.note_change(!changes.is_empty() || !around.is_empty(), facts.command, facts.now);
    steps.extend(make_account);
    steps.extend(write(installed, layout::record(&paths), record.render().into()));
    if let Some(previous) = Previous::of(&changes, installed, &paths, has_other_images) {
        let path = layout::previous(&paths);
        steps.extend(match previous.render() {
            Some(content) => write(installed, path, content),
            // One from before would bring back another state than the last.
            None => remove(installed, path),
        });
    }
    steps.extend(others);
    steps.extend(read_by_roles);
    steps.extend(prepared);
    steps.extend(account::hand_over(&steps, &paths, facts));
    let former = &installed.former_state;
    steps.extend((!former.is_empty()).then(|| Step::Delete(Delete(former.clone()))));
    steps.extend(units);
    steps.extend(starts);
    steps.push(await_live(wanted, facts, &deployments));
    Plan { steps, restarts }
}

fn await_live(wanted: &Wanted, facts: &Facts, deployments: &[(Role, String)]) -> Step {
    let listens = facts.listeners.iter().map(listen).collect();
    let roles = wanted.roles().into_iter().map(|role| awaited(role, facts, deployments)).collect();
    Step::AwaitLive(AwaitLive { paths: wanted.place.paths(), roles, listens })
}

/// A role as it is to be in the end.
fn awaited(role: Role, facts: &Facts, deployments: &[(Role, String)]) -> Awaited {
    let mut live = facts.installed.live.iter();
    Awaited {
        role,
        deployment: deployments.iter().find(|of| of.0 == role).map(|of| of.1.clone()),
        // What was ready before an update has to be ready after it.
        was_ready: facts.command == "update"
            && live.any(|status| status.role == role && status.ready),
    }
}

/// What changes of the files.
struct Files {
    /// Of those that the roles read, their program among them.
    read_by_roles: Vec<Step>,
    others: Vec<Step>,
}

impl Files {
    fn plan(
        wanted: &Wanted,
        facts: &Facts,
        answers: &Answers,
        configuration: &Configuration,
    ) -> Self {
        let paths = wanted.place.paths();
        let installed = &facts.installed;
        let mut others = Vec::new();
        let saved = file::render(answers);
        others.extend(write(installed, layout::answers(&paths), saved.into()));
        if let Some(Export { path, found: Ok(old) }) = &facts.export {
            others.extend(write_over(old.as_ref(), path.clone(), file::export(answers).into()));
        }
        others.extend(later::steps(wanted, facts));
        let mut read_by_roles = certificates::steps(wanted, facts);
        read_by_roles.extend(configuration_steps(&paths, installed, configuration));
        if let Some(bundle) = &facts.authorities {
            let path = layout::host_authorities(&paths);
            read_by_roles.extend(write(installed, path, bundle.clone()));
        }
        if let Some(before) = &facts.back_to {
            let all = [&others[..], &read_by_roles].concat();
            let decided: Vec<_> =
                wanted.roles().into_iter().map(|role| layout::conf(&paths, role)).collect();
            let back = before.previous.bring_back((&all, &decided), installed, &paths);
            read_by_roles.extend(back);
        }
        read_by_roles.extend(daemon(facts, &paths));
        Self { read_by_roles, others }
    }
}

/// The steps that change the daemon, and keep the one before.
fn daemon(facts: &Facts, paths: &Paths) -> Vec<Step> {
    let DaemonFact::Copy(from) = &facts.daemon else { return Vec::new() };
    let (to, previous) = (paths.daemon(), layout::previous_daemon(paths));
    let Installed { has_daemon, has_previous_daemon, .. } = facts.installed;
    let copy = |from: &Path, to: &Path, replaces| {
        Step::CopyDaemon(CopyDaemon { from: from.to_owned(), to: to.to_owned(), replaces })
    };
    // The first step has put it aside.
    let source = if *from == previous { aside(&previous) } else { from.clone() };
    let keep = has_daemon.then(|| copy(&to, &previous, has_previous_daemon));
    keep.into_iter().chain([copy(&source, &to, has_daemon)]).collect()
}

/// A role that is not wanted keeps its configuration under another name, for the day it is wanted
/// again: the file belongs to the administrator as well.
fn configuration_steps(
    paths: &Paths,
    installed: &Installed,
    configuration: &Configuration,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (role, draft) in [(Role::Cm, &configuration.cm), (Role::Sg, &configuration.sg)] {
        let conf = layout::conf(paths, role);
        let disabled = layout::disabled_conf(paths, role);
        match draft {
            Some(draft) => {
                steps.extend(write(installed, conf, draft.render().into()));
                steps.extend(remove(installed, disabled));
            }
            None => {
                if let Some(content) = installed.content(&conf) {
                    steps.extend(write(installed, disabled, content.clone()));
                }
                steps.extend(remove(installed, conf));
            }
        }
    }
    steps
}

/// The step that makes a file so, unless it is.
fn write(installed: &Installed, path: PathBuf, content: Content) -> Option<Step> {
    write_over(installed.files.get(&path), path, content)
}

fn write_over(old: Option<&InstalledFile>, path: PathBuf, content: Content) -> Option<Step> {
    if old.is_some_and(|old| old.content == content && old.is_private) {
        return None;
    }
    Some(Step::Write(Write { path, content, replaces: old.is_some() }))
}

/// The step that removes a file, if it is there.
fn remove(installed: &Installed, path: PathBuf) -> Option<Step> {
    installed.files.contains_key(&path).then_some(Step::Remove(Remove(path)))
}

/// As `--listen` takes it. A port that just happened to be free is another one the next time.
fn listen((key, listener): (&ListenKey, &Listener)) -> String {
    match listener.address {
        Some(address) if listener.is_any => {
            let any = SocketAddr::new(address.ip(), 0);
            format!("{key}={any} (a free port)")
        }
        Some(address) => format!("{key}={address}"),
        None => format!("{key}=off"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
