//! `completions`: what a shell needs to complete the words of this program.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::Ended;
use crate::{args::Cli, exit::Exit, screen::Screen};

pub(super) fn run(shell: Shell, screen: &Screen) -> Result<Exit, Ended> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "pcoip-cmsg-setup", &mut script);
    screen.script(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
