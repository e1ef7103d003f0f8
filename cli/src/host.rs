//! The host, read once: what is there before anything is planned. Nothing is judged here.

pub(crate) mod beside;
pub(crate) mod broker;
pub(crate) mod bundle;
pub(crate) mod daemon;
pub(crate) mod edits;
pub(crate) mod engine;
pub(crate) mod export;
pub(crate) mod installed;
pub(crate) mod machine;
pub(crate) mod networks;
pub(crate) mod peers;
pub(crate) mod ports;
pub(crate) mod rejected;
pub(crate) mod sockets;
pub(crate) mod target;
pub(crate) mod units;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use cmsg_config::{ConfFile, Paths, cause, socket::Role, values::Host};
use nix::{sys::statvfs::statvfs, unistd};
use time::OffsetDateTime;

use crate::{
    args::settings::Setting,
    content::Content,
    files,
    host::edits::{AUTHORITIES, Edit},
    installation::{
        Runtime,
        account::AccountFact,
        adopted::Adopted,
        installed::{Installed, is_unverified, present},
        layout,
        previous::BackTo,
        record::Record,
    },
    wanted::{
        Given, Wanted,
        listen::{Choice, ConfiguredListener, ListenAt, ListenKey},
    },
};
use broker::BrokerFact;
use bundle::BundleFact;
use daemon::DaemonFact;
use engine::{Deploying, EngineFact};
use export::Export;
use machine::Machine;
use networks::Taken;
use peers::{Asked, Clock, PeerFact};
use ports::{Listener, Trouble};
use target::Target;

/// What a plan for an installation needs to know.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) now: OffsetDateTime,
    /// Whether the installer may do anything.
    pub(crate) is_root: bool,
    /// What the machine is like.
    pub(crate) machine: Machine,
    /// The networks that are in use, where Docker is to get one.
    pub(crate) networks: Vec<Taken>,
    /// What all peers answer.
    pub(crate) peers: Vec<PeerFact>,
    /// The host's own name, where it can stand in a certificate.
    pub(crate) hostname: Option<Host>,
    /// The account that is to run the roles.
    pub(crate) account: AccountFact,
    /// Free bytes where the files go.
    pub(crate) free_disk: Option<u64>,
    /// Whether files can be made there.
    pub(crate) target: Target,
    pub(crate) installed: Installed,
    /// What was installed before, where that is to come back.
    pub(crate) back_to: Option<BackTo>,
    /// The command that changes the installation.
    pub(crate) command: &'static str,
    /// What was edited by hand in the configurations, and what becomes of it.
    pub(crate) edits: Vec<Edit>,
    /// The warnings about the host that are found, by what each is known by.
    pub(crate) known: BTreeSet<String>,
    /// The operator's files, by the settings that name them.
    pub(crate) given: BTreeMap<Setting, Result<Content, String>>,
    /// Those of these settings whose installed copy was read, since the operator's file is gone.
    pub(crate) copies: BTreeSet<Setting>,
    /// Those of these settings whose files others than their owners can read.
    pub(crate) exposed: BTreeSet<Setting>,
    /// Where the wanted roles will listen.
    pub(crate) listeners: BTreeMap<ListenKey, Listener>,
    /// The daemon to install.
    pub(crate) daemon: DaemonFact,
    /// The bytes that it takes on disk, where it is copied.
    pub(crate) daemon_bytes: u64,
    /// The Docker engine, where the roles are to run on it.
    pub(crate) engine: EngineFact,
    /// What deploying there takes beside it.
    pub(crate) deploying: Option<Deploying>,
    /// The bundle that is installed from, where one is.
    pub(crate) bundle: Option<BundleFact>,
    /// What the host's files say of names, where containers have copies of them.
    pub(crate) lookups: String,
    /// The host's bundle of authorities, where an image needs it.
    pub(crate) authorities: Option<Content>,
    /// What the broker shows.
    pub(crate) broker: BrokerFact,
    /// The installation that is taken over, if one is.
    pub(crate) adopted: Option<Adopted>,
    /// Where the answers are exported to, if they are.
    pub(crate) export: Option<Export>,
}

/// What Docker's processes that hold ports of containers are called.
const DOCKERS: [&str; 2] = ["docker-proxy", "dockerd"];
/// What our roles' processes are called.
const DAEMON: &str = "pcoip-cmsgd";

impl Facts {
    /// The ports that roles hold which do not answer are theirs again after their restart.
    fn forget_unresponsive(&mut self, paths: &Paths) {
        if self.installed.unresponsive.is_empty() {
            return;
        }
        let is_swarm = self.engine != EngineFact::NotAsked;
        let is_ours = |trouble: &Trouble| match trouble {
            Trouble::Taken { owner: Some(owner), .. } if is_swarm => {
                DOCKERS.contains(&owner.name.as_str())
            }
            Trouble::Taken { owner: Some(owner), .. } => DaemonFact::is_run_by(owner.pid, paths),
            _ => false,
        };
        for listener in self.listeners.values_mut() {
            listener.troubles.retain(|trouble| !is_ours(trouble));
        }
    }

    /// Has the host look as it will when what an interrupted command has started is gone.
    pub(crate) fn settle_interrupted(&mut self) {
        let is_ours = |trouble: &Trouble| match trouble {
            Trouble::Taken { owner: Some(owner), .. } => owner.name == DAEMON,
            _ => false,
        };
        for listener in self.listeners.values_mut() {
            listener.troubles.retain(|trouble| !is_ours(trouble));
        }
    }

    pub(crate) fn read(
        wanted: &Wanted,
        target: Target,
        installed: Installed,
        export: Option<Export>,
        back_to: Option<BackTo>,
    ) -> Self {
        // They think about it while the rest is read.
        let now = OffsetDateTime::now_utc();
        let asked = Asked::of(wanted, Clock::read_at(now.into()));
        let paths = wanted.place.paths();
        let base = back_to.as_ref().map_or(&installed, |back| &back.base);
        let (given, copies) = read_given(wanted, base, &paths, back_to.is_some());
        let is_swarm = wanted.place.runtime == Runtime::Swarm;
        let daemon = if is_swarm {
            DaemonFact::Stays
        } else {
            DaemonFact::read(wanted.daemon.as_deref(), &paths)
        };
        let engine = EngineFact::read(wanted.place.runtime);
        let hostname = unistd::gethostname().ok().and_then(|n| n.to_str()?.parse().ok());
        let is_root = unistd::geteuid().is_root();
        let mut facts = Self {
            now,
            is_root,
            machine: Machine::read(is_root, &paths),
            networks: taken_networks(wanted, &engine),
            engine,
            deploying: is_swarm.then(Deploying::read),
            lookups: if is_swarm { engine::lookups() } else { String::new() },
            authorities: if is_swarm { host_authorities() } else { None },
            hostname,
            account: AccountFact::look(wanted.place.root.is_none()),
            free_disk: free_disk(wanted.place.root.as_deref().unwrap_or(Path::new("/var"))),
            target,
            listeners: ports::find(&choices(wanted, base, &paths), &installed.listens()),
            daemon_bytes: daemon.bytes(),
            daemon,
            broker: look_at_broker(wanted, base, &given, now),
            exposed: exposed(wanted),
            copies,
            peers: asked.answers(),
            installed,
            back_to,
            command: "install",
            edits: Vec::new(),
            known: BTreeSet::new(),
            given,
            export,
            adopted: None,
            bundle: None,
        };
        facts.forget_unresponsive(&paths);
        facts
    }

    /// The installation whose files are changed: the present one, or the one that comes back.
    pub(crate) fn base(&self) -> &Installed {
        self.back_to.as_ref().map_or(&self.installed, |back| &back.base)
    }
}

/// The operator's files, and which of them are the installed copies. For a state that comes back the
/// copies alone count: the files may be others by now.
fn read_given(
    wanted: &Wanted,
    base: &Installed,
    paths: &Paths,
    goes_back: bool,
) -> (BTreeMap<Setting, Result<Content, String>>, BTreeSet<Setting>) {
    let mut copies = BTreeSet::new();
    let mut read = |given: &Given| {
        let own =
            if goes_back { Err(io::ErrorKind::NotFound.into()) } else { files::read(&given.path) };
        let content = own.or_else(|error| {
            copies.insert(given.setting);
            read_copy(given, base, paths, &error)
        });
        (given.setting, content)
    };
    let given = wanted.given().into_iter().map(&mut read).collect();
    (given, copies)
}

/// The copy that was made of the operator's file when the last installation named it.
fn read_copy(
    given: &Given,
    base: &Installed,
    paths: &Paths,
    error: &io::Error,
) -> Result<Content, String> {
    if !given.is_kept {
        return Err(cause::of_io(error));
    }
    let copy = layout::copy(paths, given.setting);
    let content = base.content(&copy).cloned();
    content.ok_or_else(|| {
        format!("{}, and its installed copy `{}` is missing", cause::of_io(error), copy.display())
    })
}

fn exposed(wanted: &Wanted) -> BTreeSet<Setting> {
    let given = wanted.given().into_iter();
    given.filter(|given| files::is_exposed(&given.path)).map(|given| given.setting).collect()
}

/// Free bytes on the file system of a folder.
pub(crate) fn free_disk(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let stat = statvfs(there).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Where the wanted roles are to listen.
fn choices(wanted: &Wanted, installed: &Installed, paths: &Paths) -> Vec<(ListenKey, Choice)> {
    let is_under_root = wanted.place.root.is_some();
    let ours = Record::of(installed, paths).written;
    ListenKey::of(&wanted.roles())
        .into_iter()
        .map(|(role, key)| {
            let said = wanted.listen.iter().find(|said| said.key == key);
            let conf = present(installed, paths, role);
            let standing = conf.as_ref().and_then(|conf| {
                let address = conf.values(key.conf_key(role)).next()?.value.parse().ok()?;
                let is_ours = ours.of(role).holds(key.conf_key(role), conf);
                Some(ConfiguredListener { address, is_ours })
            });
            let default = ListenAt::default(key, is_under_root, wanted.takes_ipv6);
            (key, ListenAt::choose(said, standing, default))
        })
        .collect()
}

/// Where distributions keep their bundle.
const BUNDLES: [&str; 3] = [
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

fn host_authorities() -> Option<Content> {
    BUNDLES.iter().find_map(|path| files::read(Path::new(path)).ok())
}

fn taken_networks(wanted: &Wanted, engine: &EngineFact) -> Vec<Taken> {
    if wanted.place.runtime != Runtime::Swarm {
        return Vec::new();
    }
    let broker = wanted.connection_manager.as_ref().map(|manager| &manager.broker.0.host);
    networks::read(broker.and_then(|host| host.as_str().parse().ok()), &engine::networks(engine))
}

/// Looks at the broker's certificate, unless the administrator has switched that check off.
fn look_at_broker(
    wanted: &Wanted,
    installed: &Installed,
    given: &BTreeMap<Setting, Result<Content, String>>,
    now: OffsetDateTime,
) -> BrokerFact {
    let Some(manager) = &wanted.connection_manager else { return BrokerFact::NotAsked };
    let paths = wanted.place.paths();
    let conf = present(installed, &paths, Role::Cm);
    let ours = Record::of(installed, &paths).written;
    let ours = ours.of(Role::Cm);
    // What the installer wrote goes when it is not said any more.
    let stands_off = |conf: &ConfFile| is_unverified(conf) && !ours.holds("BrokerCertCheck", conf);
    let is_on = manager.broker_check.unwrap_or(!conf.as_ref().is_some_and(stands_off));
    if !is_on {
        return BrokerFact::Unverified;
    }
    let given = given.get(&Setting::CaCert).and_then(|given| given.as_ref().ok()).cloned();
    let named = conf.iter().flat_map(|conf| conf.values(AUTHORITIES)).map(|entry| entry.value);
    let named = named.filter(|path| !ours.of(AUTHORITIES).iter().any(|it| it == path));
    // What is wrong with a file is a finding of its own.
    let named = named.filter_map(|path| files::read(path.as_ref()).ok());
    let authorities: Vec<_> = given.into_iter().chain(named).collect();
    broker::look(&manager.broker.0, &authorities, now)
}

#[cfg(test)]
mod tests;
