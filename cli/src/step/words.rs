//! Words for people that several kinds of steps use.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use cmsg_config::socket::Role;

use crate::{
    progress::stage::{Group, Stage},
    shown::capital,
    shown::counted,
};

pub(super) fn named(role: Role) -> String {
    role.command().replace('-', " ")
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) fn written(path: &Path, is_there: bool) -> String {
    let how = if is_there { "changed" } else { "new" };
    format!("{how}: `{}`", path.display())
}

/// What undoing does to a file.
pub(super) fn unwritten(is_there: bool) -> &'static str {
    if is_there { "the previous file is restored" } else { "the file is removed" }
}

/// The stage of a file that is written or removed.
pub(super) fn file_stage(path: &Path) -> Stage {
    let name = file_name(path);
    let is_below = |folder: &str| path.components().any(|part| part.as_os_str() == folder);
    if is_below("certs") {
        Stage::new(Group::Certificates, "Installing certificates", "Certificates installed")
    } else if is_below("sysctl.d") {
        Stage::new(Group::Host, "Setting kernel parameters", "Kernel parameters set")
    } else if name.ends_with(".conf") || name.ends_with(".conf.disabled") {
        Stage::new(Group::Configuration, "Writing the configuration", "Configuration written")
    } else {
        Stage::new(Group::Configuration, "Saving the settings", "Settings saved")
    }
}

/// The stage of a role that starts or stops.
pub(super) fn role_stage(role: Role, running: &str, finished: &str) -> Stage {
    let name = named(role);
    Stage::new(
        Group::Deployment,
        format!("{running} the {name}"),
        format!("{} {finished}", capital(&name)),
    )
}

/// What a summary says of so many images that come.
pub(super) fn new_images(count: usize) -> String {
    counted(count, "Docker image")
}

/// Paths as a list for people.
pub(super) struct List<'a>(pub(super) &'a [PathBuf]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", path.display())?;
        }
        Ok(())
    }
}
