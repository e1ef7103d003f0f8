//! Distinguishes an invalid configuration from a temporary failure. A role with an invalid
//! configuration reports the invalid lines on standard error, and in its run directory for the
//! installer.

use std::{
    fmt, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use cmsg_config::{
    ConfFile, Invalid, cause,
    file::LoadError,
    keys::{self, Key},
    rejected::{self, Rejected},
    socket::Role,
};
use tempfile::NamedTempFile;
use tracing::warn;

use crate::reload::{BadFile, is_lasting};

/// A configuration with which a role can never start.
#[derive(Debug, thiserror::Error)]
#[error("in configuration `{}`", file.display())]
pub struct BadConfiguration {
    file: PathBuf,
    #[source]
    problems: Problems,
}

/// All problems of the configuration, one line each.
#[derive(Debug, thiserror::Error)]
struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Adds [`BadConfiguration`] to the error of a role if that is the cause, and writes it to the run
/// directory for the installer.
///
/// # Errors
///
/// The error of the role.
pub fn judged(ended: anyhow::Result<()>, role: Role, conf: &Path) -> anyhow::Result<()> {
    let Err(error) = ended else { return Ok(()) };
    let file = ConfFile::load(conf).ok();
    let run = run_folder(file.as_ref(), conf);
    let Some(problems) = problems(&error, role, file.as_ref()) else {
        clear(&run, role);
        return Err(error);
    };
    let rejected = Rejected { problems };
    if let Err(error) = write(&rejected, &run, role) {
        let directory = run.display();
        warn!(%directory, %error, "Failed to write why the configuration is invalid");
    }
    let problems = Problems(rejected.problems);
    Err(BadConfiguration { file: conf.to_owned(), problems }.into())
}

/// Removes the file that a role with an invalid configuration left.
pub fn clear(run: &Path, role: Role) {
    let path = run.join(rejected::name(role));
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!(file = %path.display(), %error, "Failed to remove an outdated file");
        }
        _ => {}
    }
}

/// The problems of the configuration, if they caused the error of the role.
fn problems(error: &anyhow::Error, role: Role, file: Option<&ConfFile>) -> Option<Vec<String>> {
    if let Some(Invalid { problems }) = error.downcast_ref() {
        return Some(problems.iter().map(ToString::to_string).collect());
    }
    if let Some(bad) = error.downcast_ref::<BadFile>() {
        let places = places(bad.path(), role, file);
        return Some(
            places.iter().map(|place| format!("{place}{}", cause::chain(error.as_ref()))).collect(),
        );
    }
    match error.downcast_ref()? {
        LoadError::Read { source, .. } => is_lasting(source).then(|| vec![cause::of_io(source)]),
        LoadError::Undecodable { path, why } => Some(vec![format!("{why}; {}", why.fix(path))]),
        LoadError::TooLarge { .. } => Some(vec![error.to_string()]),
    }
}

/// The lines of the configuration that contain this path, as a prefix for the problem.
fn places(path: &Path, role: Role, file: Option<&ConfFile>) -> Vec<String> {
    let entries = file.into_iter().flat_map(ConfFile::entries);
    let named = entries.filter(|entry| Path::new(entry.value) == path);
    let places: Vec<_> =
        named.map(|entry| format!("line {}: `{}`: ", entry.line, entry.key)).collect();
    if !places.is_empty() {
        return places;
    }
    let table = match role {
        Role::Cm => keys::CONNECTION_MANAGER,
        Role::Sg => keys::SECURITY_GATEWAY,
    };
    let default = |key: &&Key| Path::new(key.default) == path;
    vec![table.iter().find(default).map_or_else(String::new, |key| format!("`{}`: ", key.name))]
}

/// The run directory in the configuration file, if the file can be parsed far enough; otherwise the
/// one beside its directory, where the installer creates it.
fn run_folder(file: Option<&ConfFile>, conf: &Path) -> PathBuf {
    let named = file.and_then(|file| file.values("RunDirectory").next());
    let named = named.map(|entry| PathBuf::from(entry.value)).filter(|path| path.is_absolute());
    named.unwrap_or_else(|| conf.parent().unwrap_or(conf).with_file_name("run"))
}

fn write(rejected: &Rejected, run: &Path, role: Role) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(run)?;
    file.write_all(&serde_json::to_vec(rejected)?)?;
    file.as_file().sync_all()?;
    file.persist(run.join(rejected::name(role)))?;
    Ok(())
}
