//! The machine itself, as far as it tells: a fact that cannot be read is unknown, and nothing is
//! found wrong with it.

pub(crate) mod firewall;
pub(crate) mod kernel;

use std::{fs, io::Read as _, ops::RangeInclusive, path::PathBuf};

use cmsg_config::Paths;
use nix::sys::resource::{Resource, getrlimit};

use crate::installation::layout;

use firewall::Firewall;
use kernel::Kernel;

/// More than any file of /proc or /sys that is read here.
const MAX_BYTES: u64 = 1024 * 1024;
const KIBIBYTE: u64 = 1024;

/// What is known of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Machine {
    /// Whether the installation is the machine's own, for which the machine is prepared.
    pub(crate) is_prepared: bool,
    /// Its operating system.
    pub(crate) system: Option<System>,
    /// Processors that may be used.
    pub(crate) processors: Option<usize>,
    /// Their highest clock speed.
    pub(crate) megahertz: Option<u64>,
    /// Bytes of memory.
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

/// An operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct System {
    /// Its word for programs: `rocky`.
    pub(crate) id: String,
    /// Its version: `9.4`.
    pub(crate) version: String,
    /// Its name for people.
    pub(crate) name: String,
}

impl Machine {
    /// Reads the machine. The firewall tells its rules to root alone, so it is not asked for others.
    pub(crate) fn read(is_root: bool, paths: &Paths) -> Self {
        let is_prepared = layout::is_machine(paths);
        let memory = text("/proc/meminfo");
        let memory = |key| bytes_of(memory.as_deref()?, key);
        Self {
            is_prepared,
            kernel: if is_prepared { Kernel::read(paths.root()) } else { Kernel::default() },
            system: text("/etc/os-release").and_then(|text| System::parse(&text)),
            processors: std::thread::available_parallelism().ok().map(Into::into),
            megahertz: megahertz(),
            memory: memory("MemTotal"),
            swap: memory("SwapTotal"),
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

fn bytes_of(memory: &str, key: &str) -> Option<u64> {
    let value = memory.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(KIBIBYTE)
}

/// What the processor can do, not what it does at the moment: it slows down when it is idle.
fn megahertz() -> Option<u64> {
    const HIGHEST: &str = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq";
    let kilohertz = number(HIGHEST);
    kilohertz.map(|kilohertz| kilohertz / 1000).or_else(|| told_speed(&text("/proc/cpuinfo")?))
}

/// The speed in the processor's name, or that of the fastest one: without frequency scaling it is
/// a constant.
fn told_speed(processors: &str) -> Option<u64> {
    let values = |key: &'static str| {
        let of = move |line: &'_ str| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        };
        processors.lines().filter_map(of)
    };
    let named = values("model name").find_map(|name| {
        let (whole, part) = name.rsplit_once("@ ")?.1.strip_suffix("GHz")?.split_once('.')?;
        let part = format!("{part:0<3}");
        Some(whole.trim().parse::<u64>().ok()? * 1000 + part.get(..3)?.parse::<u64>().ok()?)
    });
    let present = values("cpu MHz").filter_map(|value| value.split('.').next()?.parse().ok());
    named.or_else(|| present.max())
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
    fn memory_is_read_in_bytes() {
        let text = "MemTotal:        4014200 kB\nMemFree: 1 kB\nSwapTotal:             0 kB\n";

        assert_eq!(bytes_of(text, "MemTotal"), Some(4_110_540_800));
        assert_eq!(bytes_of(text, "SwapTotal"), Some(0));
        assert_eq!(bytes_of(text, "SwapFree"), None);
        assert_eq!(bytes_of("MemTotal: much kB\n", "MemTotal"), None);
    }

    #[test]
    fn the_speed_is_the_one_in_the_name_or_of_the_fastest_processor() {
        let table = [
            ("model name\t: Xeon(R) CPU E5 @ 2.40GHz\ncpu MHz\t\t: 800.000\n", Some(2400)),
            ("model name\t: Xeon(R) CPU @ 2.4GHz\n", Some(2400)),
            (
                "model name\t: EPYC\ncpu MHz\t: 2299.998\nmodel name\t: EPYC\ncpu MHz\t: 2800.1\n",
                Some(2800),
            ),
            ("processor\t: 0\nBogoMIPS\t: 50.00\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(told_speed(text), expected, "{text}");
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
