//! The machine itself, as far as it tells: a fact that cannot be read is unknown, and nothing is
//! found wrong with it.

pub(crate) mod firewall;
pub(crate) mod kernel;

use std::{fs, io::Read as _, ops::RangeInclusive, path::PathBuf};

use cmsg_config::Paths;
use nix::sys::resource::{Resource, getrlimit};
use sysinfo::{Cpu, CpuRefreshKind, MemoryRefreshKind, RefreshKind};

use crate::installation::layout;

use firewall::Firewall;
use kernel::Kernel;

/// More than any file of /proc or /sys that is read here.
const MAX_BYTES: u64 = 1024 * 1024;

/// What is known of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Machine {
    /// Whether the installation is the machine's own, for which the machine is prepared.
    pub(crate) is_prepared: bool,
    pub(crate) system: Option<System>,
    /// Processors that may be used.
    pub(crate) processors: Option<usize>,
    /// Their highest clock speed.
    pub(crate) megahertz: Option<u64>,
    pub(crate) memory: Option<u64>,
    /// Bytes of swap space.
    pub(crate) swap: Option<u64>,
    /// Whether SELinux enforces its policy.
    pub(crate) enforces_selinux: Option<bool>,
    /// The rules of firewalld, where it runs.
    pub(crate) firewall: Option<Firewall>,
    /// Ports that the system lends to programs which ask for any.
    pub(crate) lent_ports: Option<RangeInclusive<u16>>,
    /// Ports of those that it does not lend.
    pub(crate) reserved_ports: Option<Vec<RangeInclusive<u16>>>,
    /// The lowest port that a program without rights may bind.
    pub(crate) unprivileged_port: Option<u64>,
    /// What is set of the kernel, where the machine is prepared.
    pub(crate) kernel: Kernel,
    /// Files that a process which is started from here may open.
    pub(crate) own_files: Option<u64>,
    /// Files that any process may open.
    pub(crate) most_files: Option<u64>,
    /// Connections that the system keeps track of.
    pub(crate) tracked_connections: Option<u64>,
    /// Other container tools on the search path.
    pub(crate) other_engines: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct System {
    /// Its word for programs: `rocky`.
    pub(crate) id: String,
    pub(crate) version: String,
    /// Its name for people.
    pub(crate) name: String,
}

impl Machine {
    /// Reads the machine. The firewall tells its rules to root alone, so it is not asked for others.
    pub(crate) fn read(is_root: bool, paths: &Paths) -> Self {
        let is_prepared = layout::is_machine(paths);
        let system = sysinfo::System::new_with_specifics(
            RefreshKind::nothing()
                .with_memory(MemoryRefreshKind::everything())
                .with_cpu(CpuRefreshKind::nothing().with_frequency()),
        )
        .ok();
        let system = system.as_ref();
        // It says 0 where it cannot read them, and so it does for no swap.
        let memory = system.map(sysinfo::System::total_memory).filter(|bytes| *bytes > 0);
        Self {
            is_prepared,
            kernel: if is_prepared { Kernel::read(paths.root()) } else { Kernel::default() },
            system: text("/etc/os-release").and_then(|text| System::parse(&text)),
            processors: std::thread::available_parallelism().ok().map(Into::into),
            megahertz: megahertz(system.map_or(&[], sysinfo::System::cpus)),
            memory,
            swap: memory.and(system.map(sysinfo::System::total_swap)),
            enforces_selinux: text("/sys/fs/selinux/enforce").map(|text| text.trim() == "1"),
            firewall: if is_root { Firewall::ask(is_prepared) } else { None },
            lent_ports: text("/proc/sys/net/ipv4/ip_local_port_range").and_then(|text| lent(&text)),
            reserved_ports: text("/proc/sys/net/ipv4/ip_local_reserved_ports")
                .map(|text| ranges(&text)),
            unprivileged_port: number("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
            own_files: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard),
            most_files: number("/proc/sys/fs/nr_open"),
            tracked_connections: number("/proc/sys/net/netfilter/nf_conntrack_max"),
            other_engines: on_path(&["podman", "buildah"]),
        }
    }
}

impl System {
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let line =
                text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.trim_matches(['"', '\'']).to_owned())
        };
        let id = value("ID")?;
        let version = value("VERSION_ID").unwrap_or_default();
        let name = value("PRETTY_NAME").unwrap_or_else(|| format!("{id} {version}"));
        Some(Self { id, version, name })
    }
}

/// All programs of these names on the search path.
fn on_path(names: &[&str]) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let first = |name: &&str| folders.iter().map(|folder| folder.join(name)).find(|p| p.is_file());
    names.iter().filter_map(first).collect()
}

fn text(path: &str) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

fn number(path: &str) -> Option<u64> {
    text(path)?.trim().parse().ok()
}

/// What the processor can do, not what it does at the moment: it slows down when it is idle.
fn megahertz(processors: &[Cpu]) -> Option<u64> {
    const HIGHEST: &str = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq";
    let named = || processors.iter().find_map(|processor| named_speed(processor.brand()));
    // Without frequency scaling it is a constant.
    let present = || processors.iter().map(Cpu::frequency).max().filter(|speed| *speed > 0);
    number(HIGHEST).map(|kilohertz| kilohertz / 1000).or_else(named).or_else(present)
}

/// The speed in a processor's name: `… @ 2.40GHz`.
fn named_speed(name: &str) -> Option<u64> {
    let (whole, part) = name.rsplit_once("@ ")?.1.strip_suffix("GHz")?.split_once('.')?;
    let part = format!("{part:0<3}");
    Some(whole.trim().parse::<u64>().ok()? * 1000 + part.get(..3)?.parse::<u64>().ok()?)
}

fn lent(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some(first.parse().ok()?..=last.trim().parse().ok()?)
}

/// Ports and ranges with commas between: `8080,9148-9150`.
pub(crate) fn ranges(text: &str) -> Vec<RangeInclusive<u16>> {
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read_with_and_without_quotes() {
        let rocky = "NAME=\"Rocky Linux\"\nVERSION_ID=\"9.4\"\nID=\"rocky\"\nID_LIKE=\"rhel\"\n\
                     PRETTY_NAME=\"Rocky Linux 9.4 (Blue Onyx)\"\n";
        let system = |id: &str, version: &str, name: &str| {
            Some(System { id: id.into(), version: version.into(), name: name.into() })
        };

        assert_eq!(System::parse(rocky), system("rocky", "9.4", "Rocky Linux 9.4 (Blue Onyx)"));
        assert_eq!(System::parse("ID=arch\n"), system("arch", "", "arch "));
        assert_eq!(System::parse("VERSION_ID=9\n"), None);
    }

    #[test]
    fn memory_is_what_the_kernel_says() {
        let machine = Machine::read(false, &Paths::under("/r"));
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let bytes = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.unwrap().trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
        };

        assert_eq!(machine.memory, Some(bytes("MemTotal")));
        assert_eq!(machine.swap, Some(bytes("SwapTotal")));
    }

    #[test]
    fn a_processor_s_name_may_say_its_speed() {
        let table = [
            ("Xeon(R) CPU E5 @ 2.40GHz", Some(2400)),
            ("Xeon(R) CPU @ 2.4GHz", Some(2400)),
            ("EPYC", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(named_speed(name), expected, "{name}");
        }
    }

    #[test]
    fn ports_are_read_with_their_ranges() {
        assert_eq!(lent("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(lent("none\n"), None);
        assert_eq!(ranges("8080,9148-9150\n"), [8080..=8080, 9148..=9150]);
        assert_eq!(ranges("\n"), []);
    }
}
