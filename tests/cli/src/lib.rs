//! Transcripts of the command line: `cmd/*.trycmd` are run and compared by `tests/transcripts.rs`.

use std::path::PathBuf;

/// The program of that name that was built beside the running test.
///
/// # Panics
///
/// If it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    let folder = test.ancestors().nth(2).expect("a test lies in `deps` of the profile's folder");
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "`{}` is not built; `cargo xtask test` builds it, and so does `cargo build`",
        program.display()
    );
    program
}
