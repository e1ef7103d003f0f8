//! Why a role does not run that has rejected its configuration, as it left it in the run folder.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, time::SystemTime};

use cmsg_config::{
    Paths,
    rejected::{Rejected, name},
    socket::Role,
};
use nix::fcntl::OFlag;
use serde::Serialize;

use crate::{files, installation::layout};

/// A configuration that a role has rejected, and has not accepted since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rejection {
    /// What is wrong with it, with the line where there is one.
    pub(crate) problems: Vec<String>,
    /// Whether it has changed since.
    #[serde(skip)]
    pub(crate) is_changed: bool,
}

impl Rejection {
    /// What a role left when it last started; none where it accepted its configuration. The account
    /// owns the folder, so what is no such file there says nothing.
    pub(crate) fn read(paths: &Paths, role: Role) -> Option<Self> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let path = paths.run().join(name(role));
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()?;
        let at = file.metadata().and_then(|metadata| metadata.modified()).ok()?;
        let content = files::read_from(file).ok()?;
        let Rejected { problems } = serde_json::from_str(&content.text()).ok()?;
        let read = layout::read_by(paths, role);
        let is_changed = read.iter().any(|file| is_newer(file, at));
        Some(Self { problems, is_changed })
    }

    /// Whether a role has left one.
    pub(crate) fn is_there(paths: &Paths, role: Role) -> bool {
        Self::read(paths, role).is_some()
    }
}

fn is_newer(file: &Path, at: SystemTime) -> bool {
    file.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|changed| changed > at)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Write as _,
        os::unix::fs::symlink,
        time::Duration,
    };

    use super::*;

    #[test]
    fn what_a_role_left_is_read_with_whether_a_file_is_newer() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::under(root.path());
        for folder in [paths.data(), paths.run()] {
            fs::create_dir_all(folder).unwrap();
        }
        let left = paths.run().join(name(Role::Sg));
        let at = |path: &Path, second: u64| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            File::options().append(true).create(true).open(path).unwrap().set_modified(at).unwrap();
        };
        let put = |text: &str| File::create(&left).unwrap().write_all(text.as_bytes()).unwrap();
        let rejection = || Rejection::read(&paths, Role::Sg);

        assert_eq!(rejection(), None);
        put(r#"{"problems":["line 1: wrong"]}"#);
        for (changed, is_changed) in [(1, false), (3, true)] {
            at(&paths.security_gateway_conf(), changed);
            at(&left, 2);
            let problems = vec!["line 1: wrong".to_owned()];
            assert_eq!(rejection(), Some(Rejection { problems, is_changed }));
        }
        put("[]");
        assert_eq!(rejection(), None);
        fs::rename(&left, paths.run().join("other")).unwrap();
        symlink("other", &left).unwrap();
        assert_eq!(rejection(), None);
    }
}
