//! Installer and configurator of the Connection Manager and the Security Gateway. Parse, run, exit
//! code; the story of a command stands in its file under `commands`.

mod adopt;
mod answers;
mod apply;
mod args;
mod commands;
mod content;
mod exit;
mod files;
mod finding;
mod host;
mod installation;
mod interrupt;
mod pki;
mod plan;
mod preflight;
mod progress;
mod prompt;
mod report;
mod runtime;
mod screen;
mod shown;
mod step;
mod system;
mod trusted;
mod wanted;

use std::process::ExitCode;

use nix::sys::resource::{Resource, setrlimit};

fn main() -> ExitCode {
    // No password or key may end in a core dump.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let words: Vec<_> = std::env::args_os().collect();
    let exit = match args::parse(&words) {
        Ok(cli) => commands::run(&cli),
        Err(unread) => commands::show_unread(&unread, args::wants_json(&words)),
    };
    screen::end(exit).into()
}
