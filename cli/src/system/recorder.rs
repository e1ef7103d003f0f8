//! Notes effects for tests, on a host that is only remembered.

mod engine;
pub(crate) mod firewall;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::bail;
use cmsg_config::{
    Paths,
    socket::{Role, Status},
};

use super::{System, units::Units};
use crate::{
    content::Content,
    installation::{
        account::{Access, Ownership},
        layout,
        surroundings::KernelKey,
    },
    pki::generate::{Pair, Request},
    system::Awaited,
};
pub(crate) use engine::EngineState;
use firewall::Remembered;

/// What is on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Files with what they contain; a program contains the name of the one it was copied from.
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) folders: BTreeSet<PathBuf>,
    /// Whether the account is there.
    pub(crate) has_account: bool,
    /// Whether the supervisor runs.
    pub(crate) runs: bool,
    pub(crate) firewall: Remembered,
    /// Settings of the kernel.
    pub(crate) kernel: BTreeMap<KernelKey, String>,
    /// What systemd knows and does.
    pub(crate) systemd: Systemd,
    /// What is at the Docker engine.
    pub(crate) engine: EngineState,
}

/// What systemd knows and does. A role without a unit is the supervisor's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Systemd {
    /// The units as it has read them.
    pub(crate) known: BTreeMap<PathBuf, String>,
    /// The roles that it starts at boot.
    pub(crate) enabled: BTreeSet<&'static str>,
    /// The roles that it runs.
    pub(crate) running: BTreeSet<&'static str>,
}

impl Systemd {
    /// Has it read these files and those of others.
    pub(crate) fn read(&mut self, files: &BTreeMap<PathBuf, String>) {
        let is_unit = |path: &Path| path.extension().is_some_and(|ending| ending == "service");
        let units = files.iter().filter(|(path, _)| is_unit(path));
        self.known = units.map(|(path, text)| (path.clone(), text.clone())).collect();
    }

    /// It does with a unit only what it has been told of.
    fn refuse_unknown(&self, path: &Path, files: &BTreeMap<PathBuf, String>) -> anyhow::Result<()> {
        if self.known.get(path) != files.get(path) {
            bail!("`{}` is not as systemd knows it", path.display());
        }
        Ok(())
    }
}

/// A host that takes notes. Paths are noted without its root, `/r`; what waits aside ends in `~`,
/// what is unfinished in `+`.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// What was done, in order.
    pub(crate) calls: Vec<String>,
    /// What is on it.
    pub(crate) state: State,
    /// The effect that fails.
    pub(crate) fails: Option<&'static str>,
    /// So many effects succeed, and the one after them fails.
    pub(crate) fails_after: Option<usize>,
    /// After so many effects the operator interrupts.
    pub(crate) interrupted_after: Option<usize>,
    /// The roles do not answer.
    pub(crate) is_dead: bool,
    /// How the supervisor has ended.
    pub(crate) ended: Option<&'static str>,
    /// When tasks of the services failed before anything was waited for.
    pub(crate) failed_before: Vec<String>,
    /// Whenever so many pauses are over, the Connection Manager fails.
    pub(crate) fails_every: Option<usize>,
    /// So often something was waited for.
    pub(crate) pauses: usize,
}

impl Recorder {
    pub(super) fn note(&mut self, call: String) -> anyhow::Result<()> {
        let fails = self.fails == Some(call.as_str()) || self.fails_after == Some(self.calls.len());
        self.calls.push(call);
        if fails { bail!("no space left") } else { Ok(()) }
    }

    /// What was done, but for the journal.
    pub(crate) fn effects(&self) -> Vec<String> {
        let is_effect = |call: &&String| !call.contains(".pcoip-cmsg-setup.journal");
        self.calls.iter().filter(is_effect).cloned().collect()
    }

    fn remove(&mut self, path: &Path) {
        self.state.files.retain(|file, _| !file.starts_with(path));
        self.state.folders.retain(|folder| !folder.starts_with(path));
    }
}

fn short(path: &Path) -> String {
    let path = path.strip_prefix("/r").unwrap_or(path);
    let path = path.strip_prefix("opt/teradici/pcoipcm_data").unwrap_or(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for (suffix, mark) in [(".pcoip-cmsg-setup-old", "~"), (".pcoip-cmsg-setup-new", "+")] {
        if let Some(name) = name.strip_suffix(suffix) {
            return path.with_file_name(format!("{}{mark}", &name[1..])).display().to_string();
        }
    }
    path.display().to_string()
}

impl System for Recorder {
    fn make_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        self.note(format!("mkdir {}", path.display()))?;
        self.state.folders.insert(path.to_owned());
        Ok(())
    }

    fn remove_empty_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        self.note(format!("rmdir {}", path.display()))?;
        let mut all = self.state.files.keys().chain(&self.state.folders);
        if !all.any(|other| other != path && other.starts_with(path)) {
            self.state.folders.remove(path);
        }
        Ok(())
    }

    fn write(&mut self, path: &Path, content: &Content) -> anyhow::Result<()> {
        self.note(format!("write {}", short(path)))?;
        self.state.files.insert(path.to_owned(), content.text());
        Ok(())
    }

    fn copy_executable(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        self.note(format!("copy {} {}", short(from), short(to)))?;
        self.state.files.insert(to.to_owned(), from.display().to_string());
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> anyhow::Result<bool> {
        self.note(format!("rename {} {}", short(from), short(to)))?;
        let moved = |path: &PathBuf| Some(to.join(path.strip_prefix(from).ok()?));
        let moved = |path: &PathBuf| moved(path).map(|to| to.components().collect::<PathBuf>());
        let files: Vec<_> = self
            .state
            .files
            .iter()
            .filter_map(|(path, f)| Some((moved(path)?, f.clone())))
            .collect();
        let folders: Vec<_> = self.state.folders.iter().filter_map(moved).collect();
        let is_there = !files.is_empty() || !folders.is_empty();
        if is_there {
            self.remove(from);
            self.state.files.extend(files);
            self.state.folders.extend(folders);
        }
        Ok(is_there)
    }

    fn delete(&mut self, path: &Path) -> anyhow::Result<()> {
        self.note(format!("delete {}", short(path)))?;
        self.remove(path);
        Ok(())
    }

    fn make_account(&mut self) -> anyhow::Result<()> {
        self.note("useradd".to_owned())?;
        self.state.has_account = true;
        Ok(())
    }

    fn remove_account(&mut self) -> anyhow::Result<()> {
        self.note("userdel".to_owned())?;
        self.state.has_account = false;
        Ok(())
    }

    fn hand_over(&mut self, path: &Path, access: Access) -> anyhow::Result<()> {
        let Access { owner, mode } = access;
        self.note(format!("give {} {owner:?} {mode:o}", short(path)))
    }

    fn hand_back(&mut self, path: &Path, before: Ownership) -> anyhow::Result<()> {
        let Ownership { user, group, mode, .. } = before;
        self.note(format!("give {} {user}:{group} {mode:o}", short(path)))
    }

    fn make_pair(&mut self, request: &Request) -> anyhow::Result<Pair> {
        self.note(format!("make {:?}", request.key))?;
        Ok(Pair { key: "key".into(), certificate: "certificate".into() })
    }

    fn start(&mut self, paths: &Paths) -> anyhow::Result<()> {
        self.note("start".to_owned())?;
        let is_kept = |role| self.state.files.contains_key(&layout::unit(paths, role));
        if [Role::Cm, Role::Sg].into_iter().any(is_kept) {
            return Ok(());
        }
        self.state.runs = true;
        self.state.files.insert(layout::supervise_log(paths), String::new());
        Ok(())
    }

    fn stop(&mut self, _paths: &Paths) -> anyhow::Result<()> {
        self.note("stop".to_owned())?;
        self.state.runs = false;
        Ok(())
    }

    fn stop_role(&mut self, _paths: &Paths, role: Role) -> anyhow::Result<()> {
        self.note(format!("stop {}", role.command()))?;
        self.state.systemd.running.remove(role.command());
        Ok(())
    }

    fn start_role(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        self.note(format!("start {}", role.command()))?;
        let unit = layout::unit(paths, role);
        if self.state.files.contains_key(&unit) {
            self.state.systemd.refuse_unknown(&unit, &self.state.files)?;
            self.state.systemd.running.insert(role.command());
        }
        Ok(())
    }

    fn supervisor_ended(&mut self) -> Option<String> {
        self.ended.map(str::to_owned)
    }

    fn status(&mut self, _paths: &Paths, role: Role) -> io::Result<Status> {
        if self.is_dead {
            return Err(io::Error::other("nobody there"));
        }
        Ok(Status {
            role,
            version: String::new(),
            pid: 1,
            ready: true,
            reason: None,
            listens: Vec::new(),
            sessions: 0,
            usage: None,
            files_read: None,
            started: None,
            deployment: None,
            logons: None,
            turned_away: None,
            failover: None,
            unserved: None,
            broker: None,
        })
    }

    fn reload(&mut self, _paths: &Paths, role: Role) -> anyhow::Result<()> {
        self.note(format!("reload {}", role.command()))
    }

    fn log_tail(&mut self, _paths: &Paths, _roles: &[Awaited]) -> Vec<String> {
        vec!["last words".to_owned()]
    }

    fn pause(&mut self, _time: Duration) -> bool {
        self.pauses += 1;
        self.interrupted_after.is_some_and(|after| self.calls.len() >= after)
    }
}

impl Units for Recorder {
    fn reload_units(&mut self, _paths: &Paths) -> anyhow::Result<()> {
        self.note("reload units".to_owned())?;
        self.state.systemd.read(&self.state.files);
        Ok(())
    }

    fn enable_unit(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        self.note(format!("enable {}", role.command()))?;
        let unit = layout::unit(paths, role);
        self.state.systemd.refuse_unknown(&unit, &self.state.files)?;
        self.state.systemd.enabled.insert(role.command());
        Ok(())
    }

    fn disable_unit(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        self.note(format!("disable {}", role.command()))?;
        if self.state.files.contains_key(&layout::unit(paths, role)) {
            self.state.systemd.enabled.remove(role.command());
        }
        Ok(())
    }
}
