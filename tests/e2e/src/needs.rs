//! Declares the requirements of a test. Unmet requirements are recorded and listed by `cargo xtask
//! test`; with `--all` they fail the test.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use crate::hosts::namespace::Namespace;

/// Something that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The rights of root.
    Root,
    /// A program on the path.
    Tool(&'static str),
    /// Network namespaces, which a test makes and removes.
    Namespace,
    /// The programs that make, judge and install packages.
    Packages,
}

const PACKAGES: [&str; 8] =
    ["rpmbuild", "rpm", "rpmlint", "createrepo_c", "dnf", "rpmsign", "gpg", "systemd-sysusers"];

impl Need {
    fn lacks(self) -> Option<String> {
        match self {
            Self::Root => (!nix::unistd::geteuid().is_root()).then(|| "needs root".to_owned()),
            Self::Tool(name) => find(name).is_none().then(|| format!("needs `{name}`")),
            Self::Namespace => {
                Namespace::make("need").is_err().then(|| "needs network namespaces".to_owned())
            }
            Self::Packages => {
                let missing: Vec<_> =
                    PACKAGES.into_iter().filter(|name| find(name).is_none()).collect();
                (!missing.is_empty()).then(|| format!("needs `{}`", missing.join("`, `")))
            }
        }
    }
}

/// Whether the machine meets all requirements. If not, the test returns immediately.
///
/// # Panics
///
/// Under `cargo xtask test --all`, where something is missing.
#[must_use]
pub fn met(needs: &[Need]) -> bool {
    let lacking: Vec<_> = needs.iter().filter_map(|need| need.lacks()).collect();
    if lacking.is_empty() {
        return true;
    }
    let lacking = lacking.join(", ");
    assert!(std::env::var_os("CMSG_TEST_ALL").is_none(), "this test {lacking}");
    write_down(&lacking);
    false
}

fn write_down(lacking: &str) {
    let Some(path) = std::env::var_os("CMSG_TEST_SKIPS") else { return };
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let file = OpenOptions::new().append(true).open(path);
    let written =
        file.and_then(|mut file| file.write_all(format!("{test}\t{lacking}\n").as_bytes()));
    written.expect("the list of skipped tests can be written");
}

/// Where a program lies.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
