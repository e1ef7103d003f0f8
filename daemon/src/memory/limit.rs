//! The memory limit that the kernel enforces for the process, by its control groups.

use std::{
    fs,
    path::{Component, Path},
};

/// The limit in bytes; `None` if there is none, or it cannot be read.
pub(crate) fn limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// The lowest limit of the process's groups and their parents. `groups` has lines of
/// `NUMBER:CONTROLLERS:PATH`, without controllers in version 2 (cgroups(7)).
fn limit_of(groups: &str, root: &Path) -> Option<u64> {
    let groups = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        match controllers {
            "" => Some((root.to_owned(), "memory.max", path)),
            _ if controllers.split(',').any(|it| it == "memory") => {
                Some((root.join("memory"), "memory.limit_in_bytes", path))
            }
            _ => None,
        }
    });
    groups.filter_map(|(top, file, path)| lowest(&top, file, Path::new(path))).min()
}

/// The lowest limit in the directory `path` below `top`, its parents and `top`. In a container, the
/// group of the process may be `top` itself.
fn lowest(top: &Path, file: &str, path: &Path) -> Option<u64> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_)));
    let mut directory = top.to_owned();
    let mut directories = vec![directory.clone()];
    for name in names {
        directory.push(name);
        directories.push(directory.clone());
    }
    let limit = |directory: &std::path::PathBuf| {
        fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()
    };
    directories.iter().filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_of_a_group_and_its_parents_applies() {
        let root = tempfile::tempdir().unwrap();
        let write = |directory: &str, name: &str, text: &str| {
            let directory = root.path().join(directory);
            fs::create_dir_all(&directory).unwrap();
            std::io::Write::write_all(
                &mut fs::File::create(directory.join(name)).unwrap(),
                text.as_bytes(),
            )
            .unwrap();
        };
        write("system.slice/sg.service", "memory.max", "3000\n");
        write("system.slice", "memory.max", "max\n");
        write("small.slice/sg.service", "memory.max", "3000\n");
        write("small.slice", "memory.max", "2000\n");
        write("memory", "memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/docker/0b1c", "memory.limit_in_bytes", "1000\n");

        let table = [
            ("0::/system.slice/sg.service\n", Some(3000)),
            ("0::/small.slice/sg.service\n", Some(2000)),
            ("0::/system.slice\n", None),
            ("0::/\n", None),
            ("0::/../../small.slice\n", Some(2000)),
            ("4:cpu,memory:/docker/0b1c\n1:pids:/\n0::/\n", Some(1000)),
            ("4:memory:/docker/elsewhere\n", Some(9_223_372_036_854_771_712)),
            ("nonsense\n", None),
            ("", None),
        ];
        for (groups, limit) in table {
            assert_eq!(limit_of(groups, root.path()), limit, "{groups}");
        }
    }
}
