//! The built binaries, beside the tests that use them.

use std::{path::PathBuf, process::Command};

/// The path of one of the workspace's binaries.
///
/// # Panics
///
/// If it was not built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    folder().join(name)
}

/// A command of one of the workspace's binaries.
///
/// # Panics
///
/// If it was not built.
#[must_use]
pub fn command(name: &str) -> Command {
    let path = path(name);
    assert!(path.is_file(), "`{}` is missing: `cargo xtask test` builds it", path.display());
    Command::new(path)
}

/// The path of the static build of a program, as images and packages carry it.
///
/// # Panics
///
/// If it was not built.
#[must_use]
pub fn static_path(name: &str) -> PathBuf {
    let target = folder().parent().expect("the folder lies in another").to_owned();
    let path = target.join("x86_64-unknown-linux-gnu/debug").join(name);
    assert!(path.is_file(), "`{}` is missing: `cargo xtask test` builds it", path.display());
    path
}

/// The folder of the binaries; tests lie in `deps` below it.
///
/// # Panics
///
/// If the test does not lie in a target folder.
#[must_use]
pub fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own executable");
    let deps = test.parent().expect("a test lies in a folder");
    deps.parent().expect("that folder lies in another").to_owned()
}
