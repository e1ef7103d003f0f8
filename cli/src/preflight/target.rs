//! The folders that the files go into.

use crate::{
    finding::Finding,
    host::{
        Facts,
        target::{Folder, Obstacle},
    },
    installation::Runtime,
    wanted::Wanted,
};

/// For configurations, keys, journals and the first logs; the daemon comes on top.
const LEAST_BYTES: u64 = 16_000_000;
const MEGABYTE: u64 = 1_000_000;

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let needed = LEAST_BYTES.saturating_add(facts.daemon_bytes);
    // Who is not root has no right to the machine's folders, which is told already.
    let is_told = wanted.place.root.is_none() && !facts.is_root;
    let folders = facts.target.folders.iter();
    let folders =
        folders.filter(|folder| !(is_told && folder.obstacle == Some(Obstacle::NotPermitted)));
    let mut full_systems = Vec::new();
    let folders = folders.filter_map(|folder| {
        blocked(folder).or_else(|| {
            // One file system that is full is full for all folders in it.
            let is_new = folder.device.is_none() || !full_systems.contains(&folder.device);
            full(folder, needed).filter(|_| is_new).inspect(|_| full_systems.push(folder.device))
        })
    });
    let folders: Vec<_> = folders.collect();
    folders.into_iter().chain(noexec(wanted, facts)).collect()
}

/// Containers run the daemon from their image.
fn noexec(wanted: &Wanted, facts: &Facts) -> Option<Finding> {
    let path = facts.target.noexec.as_ref().filter(|_| wanted.place.runtime == Runtime::Host)?;
    let path = path.display();
    Some(Finding::error(
        "target.noexec",
        format!("the daemon cannot run from `{path}`: its file system is mounted with `noexec`"),
        format!(
            "remove `noexec` from the mount that `findmnt --target {path}` shows, or install \
             elsewhere with `--root DIR`"
        ),
    ))
}

fn blocked(folder: &Folder) -> Option<Finding> {
    let path = folder.path.display();
    Some(match folder.obstacle.as_ref()? {
        Obstacle::NotAFolder => Finding::error(
            "target.not-a-folder",
            format!("`{path}` is not a directory"),
            "rename it, or install elsewhere with `--root DIR`",
        ),
        Obstacle::ReadOnly => Finding::error(
            "target.read-only",
            format!("nothing can be written under `{path}`: its file system is read-only"),
            format!("find out why (`findmnt --target {path}`, `dmesg`) and mount it writable"),
        ),
        Obstacle::NotPermitted => Finding::error(
            "target.not-permitted",
            format!("this user cannot write under `{path}`"),
            "run the command as the directory's owner or with `sudo`, or use another `--root DIR`",
        ),
        Obstacle::Other(why) => Finding::error(
            "target.unusable",
            format!("nothing can be written under `{path}`: {why}"),
            "fix the cause, or install elsewhere with `--root DIR`",
        ),
    })
}

/// Files that do not fit are no matter of taste, so `--ignore-disk-req` does not help.
fn full(folder: &Folder, needed: u64) -> Option<Finding> {
    let path = folder.path.display();
    let what = match folder.free {
        _ if folder.has_no_inodes => {
            format!("the file system of `{path}` has no free inodes")
        }
        Some(free) if free < needed => format!(
            "the file system of `{path}` has {} MB free, but the installation needs {} MB",
            free / MEGABYTE,
            needed.div_ceil(MEGABYTE)
        ),
        _ => return None,
    };
    Some(Finding::error(
        "target.full",
        what,
        format!("free some space there (`df -h {path}`, `df -i {path}`)"),
    ))
}
