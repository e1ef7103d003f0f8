//! The only module that prints: events to stdout, errors to stderr.

use std::io::{self, Write as _};

use serde::Serialize;

/// Prints one event as one line, at once.
pub(crate) fn print(event: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Says why nothing could be run.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    // There is no other way to report it.
    let _ = io::stderr().write_all(text.as_bytes());
}
