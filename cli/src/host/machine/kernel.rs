//! Settings of the kernel that the gateway depends on, and what the machine's files set them to.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use crate::{files, installation::surroundings::KernelKey};

/// Our file, below the root.
pub(crate) const FILE: &str = "etc/sysctl.d/60-pcoip-cmsg.conf";
/// Where files of settings lie. A file hides those of the same name in folders that come later.
const FOLDERS: [&str; 5] =
    ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"];
/// Read after all of them.
const LAST: &str = "etc/sysctl.conf";

impl KernelKey {
    pub(crate) const ALL: [Self; 3] = [Self::ReservedPorts, Self::ReceiveBuffer, Self::SendBuffer];

    /// Its name for `sysctl`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReservedPorts => "net.ipv4.ip_local_reserved_ports",
            Self::ReceiveBuffer => "net.core.rmem_max",
            Self::SendBuffer => "net.core.wmem_max",
        }
    }

    /// The file in which the kernel has its value.
    pub(crate) fn path(self) -> PathBuf {
        Path::new("/proc/sys").join(self.name().replace('.', "/"))
    }
}

/// What is known of the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// The values of those that can be changed here; a container may lack some.
    pub(crate) values: BTreeMap<KernelKey, String>,
    /// What files of others set, in the order in which it holds.
    pub(crate) said: Vec<Said>,
    /// Our file, where it is there.
    pub(crate) file: Option<String>,
    /// Whether there is a folder for it; where there is none, nobody reads such files.
    pub(crate) has_folder: bool,
}

/// One line of a file of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) path: PathBuf,
    /// Whether it is read after ours.
    pub(crate) is_after_ours: bool,
    pub(crate) key: KernelKey,
    pub(crate) value: String,
}

impl Kernel {
    pub(crate) fn read(root: &Path) -> Self {
        let value = |key: KernelKey| Some((key, changeable(&key.path())?));
        Self {
            values: KernelKey::ALL.into_iter().filter_map(value).collect(),
            ..Self::of_files(root)
        }
    }

    /// Reads what the files say.
    pub(crate) fn of_files(root: &Path) -> Self {
        let ours = root.join(FILE);
        let mut by_name = BTreeMap::new();
        for folder in FOLDERS.into_iter().rev() {
            let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
            let files = entries.map(|entry| entry.path()).filter(|path| is_conf(path));
            by_name.extend(files.filter_map(|path| Some((path.file_name()?.to_owned(), path))));
        }
        let (before, after): (Vec<_>, Vec<_>) = by_name
            .into_values()
            .filter(|path| *path != ours)
            .partition(|path| path.file_name() < ours.file_name());
        let all = before.into_iter().map(|path| (path, false));
        let all = all.chain(after.into_iter().chain([root.join(LAST)]).map(|path| (path, true)));
        let text = |path: &Path| Some(files::read(path).ok()?.text());
        Self {
            values: BTreeMap::new(),
            said: all
                .flat_map(|(path, is_after)| {
                    lines(&text(&path).unwrap_or_default(), &path, is_after)
                })
                .collect(),
            file: text(&ours),
            has_folder: ours.parent().is_some_and(Path::is_dir),
        }
    }

    /// What it is set to by others when the machine starts.
    pub(crate) fn said(&self, key: KernelKey) -> Option<&Said> {
        self.said.iter().rfind(|said| said.key == key)
    }
}

fn is_conf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "conf")
}

/// The value of a setting that this process may change. In a network namespace some may only be read.
fn changeable(path: &Path) -> Option<String> {
    let value = files::read(path).ok()?.text();
    OpenOptions::new().write(true).open(path).ok()?;
    Some(value.trim().to_owned())
}

/// Reads what `sysctl` reads: `-` before a name forgives errors, `/` may stand for `.`.
fn lines(text: &str, path: &Path, is_after_ours: bool) -> Vec<Said> {
    let line = |line: &str| {
        let line = line.trim();
        let (name, value) = line.strip_prefix('-').unwrap_or(line).split_once('=')?;
        let name = name.trim().replace('/', ".");
        let key = KernelKey::ALL.into_iter().find(|key| key.name() == name)?;
        Some(Said { path: path.to_owned(), is_after_ours, key, value: value.trim().to_owned() })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_in_the_order_of_their_names_and_hide_their_namesakes() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut fs::File::create(path).unwrap(), text.as_bytes())
                .unwrap();
        };
        put("usr/lib/sysctl.d/50-a.conf", "# net.core.rmem_max = 1\nnet.core.rmem_max = 2\n");
        put("etc/sysctl.d/50-a.conf", "-net/core/wmem_max=3\nnet.core.rmem_default = 9\n");
        put("run/sysctl.d/99-b.conf", "  net.ipv4.ip_local_reserved_ports = 8080, 9000-9002\n");
        put("etc/sysctl.d/99-not-this", "net.core.rmem_max = 4\n");
        put("etc/sysctl.conf", "net.core.wmem_max = 5\n");
        put(FILE, "net.core.rmem_max = 6\n");

        let kernel = Kernel::of_files(root.path());

        let said = |path: &str, is_after_ours, key, value: &str| Said {
            path: root.path().join(path),
            is_after_ours,
            key,
            value: value.to_owned(),
        };
        let all = [
            said("etc/sysctl.d/50-a.conf", false, KernelKey::SendBuffer, "3"),
            said("run/sysctl.d/99-b.conf", true, KernelKey::ReservedPorts, "8080, 9000-9002"),
            said("etc/sysctl.conf", true, KernelKey::SendBuffer, "5"),
        ];
        assert_eq!(kernel.said, all);
        assert_eq!(kernel.said(KernelKey::SendBuffer), Some(&all[2]));
        assert_eq!(kernel.said(KernelKey::ReceiveBuffer), None);
        assert_eq!(kernel.file.as_deref(), Some("net.core.rmem_max = 6\n"));
        assert!(kernel.has_folder);
        assert_eq!(Kernel::of_files(&root.path().join("nowhere")), Kernel::default());
    }
}
