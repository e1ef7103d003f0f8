//! Plans the removal of an installation.

use std::path::{Path, PathBuf};

use cmsg_config::Paths;

use super::{Plan, Record, layout, surroundings, units, write};
use crate::{
    host::{installed::Installed, machine::Machine},
    step::Step,
};

/// Plans the removal. Configuration, certificates, keys and logs stay unless they are purged; of
/// folders that were there before us, only our files go.
pub(crate) fn uninstall(
    paths: &Paths,
    installed: &Installed,
    machine: &Machine,
    purges: bool,
) -> Plan {
    let mut record = Record::of(installed, paths);
    let restored = surroundings::restore(machine, paths, &mut record);
    let mut steps = Vec::new();
    if installed.supervisor_runs {
        steps.push(Step::Stop { paths: paths.clone(), roles: installed.roles(paths) });
    }
    let running = installed.units.running.iter();
    steps.extend(running.map(|role| Step::StopRole { paths: paths.clone(), role: *role }));
    steps.extend(units::remove(paths, installed));
    if !purges && !restored.is_empty() {
        // The next removal takes back nothing twice.
        steps.extend(write(installed, layout::record(paths), record.render().into()));
    }
    steps.extend(restored);
    let Record { folders: made, account, .. } = record;
    steps.push(Step::Delete(delete(paths, &made, purges)));
    let mut folders: Vec<PathBuf> = if purges {
        made
    } else {
        made.into_iter().filter(|folder| is_working_folder(paths, folder)).collect()
    };
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
    if !folders.is_empty() {
        steps.push(Step::RemoveEmptyFolders(folders));
    }
    // Files that are kept are the account's.
    if purges && account {
        steps.push(Step::RemoveAccount);
    }
    Plan { steps, restarts: Vec::new() }
}

/// What goes: whole folders where we made them, else our files in them.
fn delete(paths: &Paths, made: &[PathBuf], purges: bool) -> Vec<PathBuf> {
    let whole = |folder: PathBuf, files: Vec<PathBuf>| {
        if made.contains(&folder) { vec![folder] } else { files }
    };
    let mut gone = whole(paths.run(), layout::run_files(paths));
    gone.push(paths.daemon());
    if !purges {
        return gone;
    }
    for folder in [paths.data(), paths.certs()] {
        let files = layout::files(paths).into_iter().filter(|file| file.starts_with(&folder));
        gone.extend(whole(folder.clone(), files.collect()));
    }
    for folder in [paths.connection_manager_logs(), paths.security_gateway_logs()] {
        gone.extend(whole(folder, Vec::new()));
    }
    gone.push(layout::supervise_log(paths));
    gone
}

fn is_working_folder(paths: &Paths, folder: &Path) -> bool {
    folder == paths.run() || folder == layout::bin(paths)
}
