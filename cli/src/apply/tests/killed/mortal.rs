//! A real folder with a supervisor that is only remembered, and a process that dies on the way.

mod engine;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::LazyLock,
    time::Duration,
};

use anyhow::{bail, ensure};
use cmsg_config::{
    Paths,
    socket::{Role, Status},
};

use crate::{
    content::Content,
    host::machine::{Machine, kernel::Kernel},
    installation::{
        account::{Access, Ownership},
        firewall::{Edit, Rule},
        layout::{self, unfinished},
        surroundings::KernelKey,
    },
    interrupt::Interrupt,
    pki::generate::{self, Key, Pair, Request},
    progress::Progress,
    runtime::host,
    system::{
        Awaited, FirewallSystem, KernelSystem, Real, System,
        recorder::{EngineState, firewall::Remembered},
        units::Units,
    },
};

/// What outlives a process.
pub(super) struct Host {
    real: Real,
    /// Whether the supervisor runs.
    pub(super) runs: bool,
    /// The roles that run.
    pub(super) roles: BTreeSet<&'static str>,
    /// Whether systemd is the first process.
    pub(super) is_booted: bool,
    /// The units as systemd has read them.
    pub(super) known: BTreeMap<&'static str, Vec<u8>>,
    /// The roles that systemd starts at boot.
    pub(super) enabled: BTreeSet<&'static str>,
    pub(super) firewall: Remembered,
    /// Settings of the kernel.
    pub(super) kernel: BTreeMap<KernelKey, String>,
    /// What is at the Docker engine.
    pub(super) engine: EngineState,
}

impl Host {
    pub(super) fn new() -> Self {
        let values = [(KernelKey::ReservedPorts, "8080"), (KernelKey::ReceiveBuffer, "212992")];
        Self {
            real: Real::new(Interrupt::watch().unwrap(), Progress::silent()),
            runs: false,
            roles: BTreeSet::new(),
            is_booted: false,
            known: BTreeMap::new(),
            enabled: BTreeSet::new(),
            firewall: Remembered::with(&[
                Rule::Port("22/tcp".to_owned()),
                Rule::Forward("port=443:proto=tcp:toport=8443:toaddr=".to_owned()),
            ]),
            kernel: values.map(|(key, value)| (key, value.to_owned())).into(),
            engine: EngineState::default(),
        }
    }

    /// What the installer reads of the machine.
    pub(super) fn machine(&self, root: &Path) -> Machine {
        let kernel = Kernel { values: self.kernel.clone(), ..Kernel::of_files(root) };
        let firewall = Some(self.firewall.facts());
        Machine { is_prepared: true, firewall, kernel, ..Machine::default() }
    }
}

/// What lies there of a unit.
fn unit(paths: &Paths, role: Role) -> Option<Vec<u8>> {
    fs::read(layout::unit(paths, role)).ok()
}

impl Host {
    /// Whether a role has a unit, and systemd knows it as it is.
    fn is_known(&self, paths: &Paths, role: Role) -> anyhow::Result<bool> {
        let there = unit(paths, role);
        ensure!(self.known.get(role.command()) == there.as_ref(), "systemd knows another unit");
        Ok(there.is_some())
    }
}

/// When a process dies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    /// So many effects come before.
    pub(super) after: usize,
    /// Whether the next one is done in part.
    pub(super) amid: bool,
}

pub(super) struct Mortal<'a> {
    host: &'a mut Host,
    death: Option<Death>,
    effects: usize,
}

impl<'a> Mortal<'a> {
    pub(super) fn new(host: &'a mut Host, death: Option<Death>) -> Self {
        Self { host, death, effects: 0 }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.death.is_some_and(|death| self.effects > death.after)
    }

    /// Has an effect, or a part of it when death comes, or none when it has come.
    fn act<T>(
        &mut self,
        whole: impl FnOnce(&mut Host) -> anyhow::Result<T>,
        part: impl FnOnce(&mut Host),
    ) -> anyhow::Result<T> {
        if self.is_dead() {
            bail!("dead");
        }
        self.effects += 1;
        if !self.is_dead() {
            return whole(self.host);
        }
        if self.death.is_some_and(|death| death.amid) {
            part(self.host);
        }
        bail!("killed")
    }
}

impl FirewallSystem for Mortal<'_> {
    fn edit_firewall(&mut self, edit: &Edit) -> anyhow::Result<()> {
        let part = |host: &mut Host| {
            // Of several ports some are there.
            if let Edit::Define { after, .. } = edit {
                host.firewall.service.extend(after.first().cloned());
            }
        };
        let whole = |host: &mut Host| {
            host.firewall.edit(edit);
            Ok(())
        };
        self.act(whole, part)
    }
}

impl KernelSystem for Mortal<'_> {
    fn set_kernel(&mut self, key: KernelKey, value: &str) -> anyhow::Result<()> {
        let set = |host: &mut Host| {
            host.kernel.insert(key, value.to_owned());
            Ok(())
        };
        self.act(set, |_| {})
    }
}

impl Mortal<'_> {
    /// Has an effect that cannot be had in part, and cannot fail.
    fn all(&mut self, effect: impl Fn(&mut Host)) -> anyhow::Result<()> {
        let whole = |host: &mut Host| {
            effect(host);
            Ok(())
        };
        self.act(whole, &effect)
    }
}

impl System for Mortal<'_> {
    fn make_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        self.act(|host| host.real.make_folder(path), |_| {})
    }

    fn remove_empty_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        self.act(|host| host.real.remove_empty_folder(path), |_| {})
    }

    fn write(&mut self, path: &Path, content: &Content) -> anyhow::Result<()> {
        let half = &content.bytes()[..content.bytes().len() / 2];
        let part = |_: &mut Host| put(&unfinished(path), half);
        self.act(|host| host.real.write(path, content), part)
    }

    fn copy_executable(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let part = |_: &mut Host| put(&unfinished(to), b"half");
        self.act(|host| host.real.copy_executable(from, to), part)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> anyhow::Result<bool> {
        self.act(|host| host.real.rename(from, to), |_| {})
    }

    fn delete(&mut self, path: &Path) -> anyhow::Result<()> {
        let part = |host: &mut Host| {
            // Of a whole folder the first thing.
            let first = fs::read_dir(path).ok().and_then(|mut all| all.next()?.ok());
            drop(first.map(|first| host.real.delete(&first.path())));
        };
        self.act(|host| host.real.delete(path), part)
    }

    fn make_account(&mut self) -> anyhow::Result<()> {
        bail!("these tests change no machine")
    }

    fn remove_account(&mut self) -> anyhow::Result<()> {
        bail!("these tests change no machine")
    }

    fn hand_over(&mut self, path: &Path, access: Access) -> anyhow::Result<()> {
        // Whoever runs these tests may change modes, and not every owner.
        let mode = Permissions::from_mode(access.mode);
        self.act(|_| Ok(fs::set_permissions(path, mode)?), |_| {})
    }

    fn hand_back(&mut self, path: &Path, before: Ownership) -> anyhow::Result<()> {
        self.act(|host| host.real.hand_back(path, before), |_| {})
    }

    fn make_pair(&mut self, request: &Request) -> anyhow::Result<Pair> {
        static PAIR: LazyLock<Pair> = LazyLock::new(|| {
            let now = time::OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
            generate::pair(&Request { key: Key::NewP256, names: Vec::new(), now }).unwrap()
        });
        let given = |key: &Content| Pair { key: key.clone(), certificate: "given".into() };
        Ok(if let Key::Given(key) = &request.key { given(key) } else { PAIR.clone() })
    }

    fn start(&mut self, paths: &Paths) -> anyhow::Result<()> {
        let start = |host: &mut Host| {
            host.runs = true;
            let has_conf = |role: &Role| layout::conf(paths, *role).exists();
            host.roles =
                [Role::Cm, Role::Sg].into_iter().filter(has_conf).map(Role::command).collect();
            let append = |path: &Path| OpenOptions::new().append(true).create(true).open(path);
            append(&layout::supervise_log(paths))?;
            append(&host::pidfile(paths))?;
            append(&paths.run().join("supervise.lock"))?;
            append(&paths.security_gateway_logs().join("session.log"))?;
            Ok(())
        };
        self.act(start, |host| drop(start(host)))
    }

    fn stop(&mut self, paths: &Paths) -> anyhow::Result<()> {
        let stop = |host: &mut Host| {
            host.runs = false;
            host.roles.clear();
            host.real.delete(&host::pidfile(paths))
        };
        self.act(stop, |host| drop(stop(host)))
    }

    fn stop_role(&mut self, _paths: &Paths, role: Role) -> anyhow::Result<()> {
        let stop = |host: &mut Host| host.roles.retain(|other| *other != role.command());
        self.all(stop)
    }

    fn start_role(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        let start = |host: &mut Host| {
            if host.runs || host.is_known(paths, role)? {
                host.roles.extend([role.command()]);
            }
            Ok(())
        };
        self.act(start, |host| drop(start(host)))
    }

    fn supervisor_ended(&mut self) -> Option<String> {
        None
    }

    fn status(&mut self, _paths: &Paths, role: Role) -> io::Result<Status> {
        if !self.host.roles.contains(role.command()) {
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
            deployment: self.host.engine.deployment(role),
            logons: None,
            turned_away: None,
            failover: None,
            unserved: None,
            broker: None,
        })
    }

    fn reload(&mut self, _paths: &Paths, _role: Role) -> anyhow::Result<()> {
        Ok(())
    }

    fn log_tail(&mut self, _paths: &Paths, _roles: &[Awaited]) -> Vec<String> {
        Vec::new()
    }

    fn pause(&mut self, _time: Duration) -> bool {
        false
    }
}

impl Units for Mortal<'_> {
    fn reload_units(&mut self, paths: &Paths) -> anyhow::Result<()> {
        let read = |host: &mut Host| {
            let known = |role: Role| Some((role.command(), unit(paths, role)?));
            host.known = [Role::Cm, Role::Sg].into_iter().filter_map(known).collect();
        };
        self.all(read)
    }

    fn enable_unit(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        let enable = |host: &mut Host| {
            ensure!(host.is_known(paths, role)?, "there is no such unit");
            host.enabled.extend([role.command()]);
            Ok(())
        };
        self.act(enable, |host| drop(enable(host)))
    }

    fn disable_unit(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        let disable = |host: &mut Host| {
            if unit(paths, role).is_some() {
                host.enabled.remove(role.command());
            }
        };
        self.all(disable)
    }
}

/// Writes a file as no product code does, in place.
pub(super) fn put(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}
