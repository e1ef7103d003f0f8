//! The only module that prints: data on standard output, everything else on standard error.
#![expect(clippy::print_stderr, reason = "this is the module that prints")]

use std::io::Write as _;

/// A line of data.
pub(crate) fn data(line: &str) {
    // Whoever reads may have heard enough.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line for a person.
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// What went wrong, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
}
