//! Checks an administrator's own compose file for what our services need, before it is deployed.
//! Errors that the `docker` command reports itself are not checked.

mod mounts;
mod ports;
mod problem;
mod service;
mod variables;

use std::{collections::BTreeMap, fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, anyhow, bail};
use cmsg_config::{Paths, socket::Role, text};
use serde_yaml::{Mapping, Value};

use super::{NETWORK, service as name_of};
use crate::{STACK, image_name};

pub use ports::Protocol;
pub use problem::{Lack, Problem};

/// Maximum size of a compose file in bytes.
const LARGEST: u64 = 256 * 1024;
/// Maximum number of nested brackets: parsing takes quadratic time in their depth.
const MOST_BRACKETS: usize = 1000;
/// Newest minor version of compose files that Docker 20.10 supports.
const NEWEST_MINOR: u32 = 9;

/// What the compose file must provide.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The roles to be run.
    pub roles: &'a [Role],
    /// Directories on the host and in the containers.
    pub paths: &'a Paths,
    /// User id and group id of the files, if known.
    pub account: Option<(u32, u32)>,
    /// Environment of the `docker` command, for the variables of the file.
    pub environment: &'a BTreeMap<String, String>,
}

/// The variable for the image of a role, which is set for the deployment.
pub fn image_variable(role: Role) -> &'static str {
    match role {
        Role::Cm => "PCOIP_CM_IMAGE",
        Role::Sg => "PCOIP_SG_IMAGE",
    }
}

/// Reads a file of limited size.
///
/// # Errors
///
/// If it cannot be read, is not text, or is too large.
pub fn load(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("reading the compose file `{}`", path.display());
    let file = File::open(path).with_context(reading)?;
    if !file.metadata().with_context(reading)?.is_file() {
        bail!("the compose file `{}` is not a regular file", path.display());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).with_context(reading)?;
    if bytes.len() as u64 > LARGEST {
        bail!("the compose file `{}` is larger than {} KiB", path.display(), LARGEST / 1024);
    }
    let text = text::decode(&bytes).map_err(|why| anyhow!("{why}; {}", why.fix(path)));
    Ok(text.with_context(reading)?.into_owned())
}

/// Everything that the file lacks, or that has no effect in it.
pub fn check(text: &str, expected: &Expected<'_>) -> Vec<Problem> {
    let mut found = Problems::default();
    match parse(text) {
        Ok(mut file) => {
            variables::replace(&mut file, &|name| value(name, expected), &mut |name| {
                found.file(Lack::Variable(name));
            });
            file_of(&file, expected, &mut found);
        }
        Err(why) => found.file(Lack::Unreadable(why)),
    }
    found.problems
}

/// The parts of the file that its overlay depends on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outline {
    /// Version, which must be the same in both files.
    pub(super) version: String,
    pub(super) services: Vec<Theirs>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Theirs {
    pub(super) name: String,
    /// Whether it defines its user.
    pub(super) has_user: bool,
    volumes: Option<Value>,
}

impl Theirs {
    /// Whether it mounts a directory of the host, and may write to it.
    pub(super) fn has_folder(&self, folder: &Path) -> bool {
        mounts::lack(self.volumes.as_ref(), folder, true).is_none()
    }
}

pub(super) fn outline(text: &str) -> Result<Outline, String> {
    let file = parse(text)?;
    let version = file.get("version").and_then(scalar).ok_or("it has no `version`")?;
    let services = file.get("services").and_then(Value::as_mapping);
    let service = |(name, service): (&Value, &Value)| {
        Some(Theirs {
            name: scalar(name)?,
            has_user: service::user_of(service).is_some(),
            volumes: service.get("volumes").cloned(),
        })
    };
    Ok(Outline { version, services: services.into_iter().flatten().filter_map(service).collect() })
}

/// The problems found so far.
#[derive(Default)]
struct Problems {
    problems: Vec<Problem>,
}

impl Problems {
    fn file(&mut self, what: Lack) {
        self.problems.push(Problem { service: None, what });
    }

    fn service(&mut self, name: &str, what: Lack) {
        self.problems.push(Problem { service: Some(name.to_owned()), what });
    }
}

fn parse(text: &str) -> Result<Value, String> {
    if text.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} KiB", LARGEST / 1024));
    }
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > MOST_BRACKETS {
        return Err(format!("it has more than {MOST_BRACKETS} opening brackets"));
    }
    let said = |error: serde_yaml::Error| crate::words::plain(&error.to_string(), 200);
    let mut file: Value = serde_yaml::from_str(text).map_err(said)?;
    file.apply_merge().map_err(said)?;
    if file.is_mapping() {
        Ok(file)
    } else {
        Err("it is not a list of `name: value` pairs".to_owned())
    }
}

/// The value of a variable; those of images are set for the deployment.
fn value(name: &str, expected: &Expected<'_>) -> Option<String> {
    for role in [Role::Cm, Role::Sg] {
        if name == image_variable(role) {
            return Some(format!("{STACK}/{}", image_name(role)));
        }
    }
    expected.environment.get(name).cloned()
}

fn file_of(file: &Value, expected: &Expected<'_>, found: &mut Problems) {
    if let Some(lack) = version(file.get("version")) {
        found.file(lack);
    }
    takes_our_network(file, found);
    for role in [Role::Cm, Role::Sg] {
        let name = name_of(role);
        let service = file.get("services").and_then(|services| services.get(name));
        match service.filter(|service| service.is_mapping()) {
            Some(service) if expected.roles.contains(&role) => {
                service::check(&service::Asked { role, service, file, expected }, found);
            }
            Some(_) => found.service(name, Lack::UnwantedService),
            None if expected.roles.contains(&role) => found.service(name, Lack::NoService),
            None => {}
        }
    }
}

fn version(version: Option<&Value>) -> Option<Lack> {
    let Some(text) = version.and_then(scalar) else { return Some(Lack::NoVersion) };
    let (major, minor) = text.split_once('.').unwrap_or((&text, "0"));
    match (major, minor.parse::<u32>()) {
        ("3", Ok(minor)) if minor > NEWEST_MINOR => Some(Lack::NewVersion(text)),
        ("3", Ok(_)) => None,
        _ => Some(Lack::Version(crate::words::plain(&text, 20))),
    }
}

/// A network in the file has the name of the stack as a prefix.
fn takes_our_network(file: &Value, found: &mut Problems) {
    let networks = file.get("networks").and_then(Value::as_mapping);
    for (key, network) in networks.into_iter().flatten() {
        let name = network.get("name").and_then(scalar);
        let name = name.or_else(|| Some(format!("{STACK}_{}", scalar(key)?)));
        let is_external = network
            .get("external")
            .is_some_and(|external| external.is_mapping() || external.as_bool() == Some(true));
        if name.as_deref() == Some(NETWORK) && !is_external {
            found.file(Lack::NetworkName);
        }
    }
}

/// A string or number, as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// The strings of a list, or the keys of a mapping.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Sequence(list)) => list.iter().filter_map(scalar).collect(),
        Some(Value::Mapping(map)) => Mapping::keys(map).filter_map(scalar).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
