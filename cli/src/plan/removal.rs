//! Plans the removal of an installation.

use std::path::{Path, PathBuf};

use cmsg_config::Paths;
use cmsg_engine::{EngineFacts, ServiceFact};

use super::{Plan, surroundings, swarm, units, write};
use crate::{
    host::machine::Machine,
    installation::{contents::Contents, installed::Installed, layout, record::Record},
    step::{
        Step, delete::Delete, remove_account::RemoveAccount,
        remove_empty_folders::RemoveEmptyFolders, remove_services::RemoveServices, stop::Stop,
        stop_role::StopRole, write_stack::stack_files,
    },
};

/// Plans the removal. Configuration, certificates, keys and logs stay unless they are purged; of
/// folders that were there before us, or where somebody else has put something, only our files go.
pub(crate) fn uninstall(
    paths: &Paths,
    installed: &Installed,
    machine: &Machine,
    engine: Option<&EngineFacts>,
    purges: bool,
) -> Plan {
    let mut record = Record::of(installed, paths);
    let restored = surroundings::restore(machine, paths, &mut record);
    let mut steps = Vec::new();
    if installed.supervisor_runs {
        steps.push(Step::Stop(Stop { paths: paths.clone(), roles: installed.roles(paths) }));
    }
    let running = installed.units.running.iter();
    steps
        .extend(running.map(|role| Step::StopRole(StopRole { paths: paths.clone(), role: *role })));
    steps.extend(units::remove(paths, installed));
    if !purges && !restored.is_empty() {
        // The next removal takes back nothing twice.
        steps.extend(write(installed, layout::record(paths), record.render().into()));
    }
    steps.extend(restored);
    let Record { folders: made, account, .. } = record;
    if engine.is_some_and(|engine| engine.services.iter().any(ServiceFact::is_of_installation)) {
        let has_compose_file = installed.files.contains_key(&layout::compose_file(paths));
        steps.push(Step::RemoveServices(RemoveServices {
            paths: paths.clone(),
            files: stack_files(paths, has_compose_file),
            roles: installed.roles(paths),
        }));
    }
    let mut gone = delete(paths, &made, &installed.contents, purges);
    if engine.is_some() && !purges {
        gone.extend([layout::stack(paths), layout::compose_file(paths)]);
        gone.push(layout::host_authorities(paths));
    }
    steps.push(Step::Delete(Delete(gone)));
    let mut folders = made.clone();
    folders.retain(|folder| purges || is_working_folder(paths, folder));
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
    if !folders.is_empty() {
        steps.push(Step::RemoveEmptyFolders(RemoveEmptyFolders(folders)));
    }
    steps.extend(engine.and_then(|engine| swarm::leave(engine, installed, paths)));
    // Files that are kept are the account's, or lie in folders of it.
    if purges && account && !installed.contents.has_foreign_in_any(&made) {
        steps.push(Step::RemoveAccount(RemoveAccount));
    }
    Plan { steps, restarts: Vec::new() }
}

/// What goes: whole folders where we made them and have them for ourselves, else our files in them.
fn delete(paths: &Paths, made: &[PathBuf], contents: &Contents, purges: bool) -> Vec<PathBuf> {
    let whole = |folder: PathBuf, mut files: Vec<PathBuf>| {
        if !made.contains(&folder) {
            return files;
        }
        if !contents.has_foreign_in(&folder) {
            return vec![folder];
        }
        let others = contents.own_in(&folder).filter(|file| !files.contains(file));
        files.extend(others.collect::<Vec<_>>());
        files
    };
    let mut gone = whole(paths.run(), layout::run_files(paths));
    gone.extend([paths.daemon(), layout::previous_daemon(paths)]);
    if !purges {
        gone.push(layout::previous(paths));
        return gone;
    }
    for folder in [paths.data(), paths.certs()] {
        let files = layout::files(paths).into_iter().filter(|file| file.starts_with(&folder));
        gone.extend(whole(folder.clone(), files.collect()));
    }
    let logs = [paths.connection_manager_logs(), paths.security_gateway_logs()];
    for folder in [paths.state()].into_iter().chain(logs) {
        gone.extend(whole(folder, Vec::new()));
    }
    gone.push(layout::supervise_log(paths));
    let adopted = layout::adopted(paths);
    if ![&adopted, &paths.data()].iter().any(|it| gone.contains(*it)) {
        gone.push(adopted);
    }
    gone.retain(|path| !contents.foreign.contains(path));
    gone
}

fn is_working_folder(paths: &Paths, folder: &Path) -> bool {
    folder == paths.run() || folder == layout::bin(paths)
}
