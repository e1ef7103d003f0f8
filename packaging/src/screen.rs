//! The only module that prints: data on standard output, everything else on standard error.
#![expect(clippy::print_stderr, reason = "this is the module that prints")]

use std::io::Write as _;

pub(crate) fn data(line: &str) {
    // The reader may have closed the pipe.
    let _ = writeln!(std::io::stdout(), "{line}");
}

pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// An error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
}
