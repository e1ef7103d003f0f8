//! Questions to a person.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use dialoguer::Confirm;

/// Whether anybody is there to be asked.
pub(crate) fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a yes; silence means no.
///
/// # Errors
///
/// Where the terminal goes away.
pub(crate) fn confirm(question: &str) -> anyhow::Result<bool> {
    Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .context("failed to ask a question")
}
