//! `man`: the manual pages, one for the program and one a command.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::Ended;
use crate::{args::Cli, exit::Exit, screen::Screen};

pub(super) fn run(to: &Path, screen: &Screen) -> Result<Exit, Ended> {
    std::fs::create_dir_all(to).with_context(|| format!("failed to create `{}`", to.display()))?;
    let writing = || format!("failed to write manual pages to `{}`", to.display());
    // Every page lists the flags that all commands take.
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    clap_mangen::generate_to(program, to).with_context(writing)?;
    screen.note(&format!("manual pages are in `{}`", to.display()));
    Ok(Exit::Done)
}
