//! The words on the command line and what they name; no behaviour. The flags that set up an
//! installation come from the table in `settings`, which the environment and the answers file
//! share.

mod bans;
mod debug;
mod flags;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod reference;
pub(crate) mod settings;
mod typos;

use std::{ffi::OsString, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use bans::{Bans, BansCommand, LiftBans};
pub(crate) use flags::{InstallFlags, PlaceFlags, REGISTRY, RegistryFlags};
use typos::typos;

use crate::finding::Finding;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "pcoip-cmsg-setup",
    version,
    about = "Installs and configures the PCoIP Connection Manager and Security Gateway",
    max_term_width = 100,
    subcommand_value_name = "COMMAND"
)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Format of the result on standard output
    #[arg(
        long,
        global = true,
        value_name = "text|json",
        default_value = "text",
        hide_possible_values = true
    )]
    pub(crate) output: Output,
    /// Print errors only
    #[arg(long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// List the steps of a plan, and how each is undone
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Same as `--verbose`; also accepts a log level. To change what the services log, set `LogLevel` in
    /// their configuration files
    #[arg(
        long, global = true, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true",
        hide_default_value = true, hide_possible_values = true, overrides_with = "debug",
        action = clap::ArgAction::Set
    )]
    pub(crate) debug: bool,
    /// Print without colors
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Answer yes to every confirmation
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Never ask, even at a terminal
    #[arg(long, global = true)]
    pub(crate) non_interactive: bool,
    /// Read settings from a YAML file; its keys are the flags without the leading dashes
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) answers: Option<PathBuf>,
}

/// The form of the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people
    Text,
    /// One JSON document
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install the services, or change an existing installation
    Install(Install),
    /// Run the checks of `install` with the same flags, and change nothing
    Validate(Validate),
    /// Change settings of an installation; the others stay as they are
    Configure(Configure),
    /// Update an installation to the version of this program; its settings stay as they are
    Update(Update),
    /// Undo the last change of settings or version
    Rollback(Rollback),
    /// Create a bundle for hosts without a network; needs a network itself
    CreateDarksiteBundle(CreateDarksiteBundle),
    /// Show the state of the services, their addresses and their certificates
    Status(Status),
    /// Remove the services from this host
    Uninstall(Uninstall),
    /// Stop accepting new sessions, for maintenance
    Drain(Drain),
    /// Accept new sessions again after `drain`
    Resume(Resume),
    /// List the users who are banned after failed log-ons, or lift bans
    Bans(Bans),
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to a directory
    Man {
        /// Directory to write to
        #[arg(long, value_name = "DIR", default_value = ".")]
        to: PathBuf,
    },
    /// Run a program in a session of its own
    #[command(hide = true)]
    Detach {
        /// Run it as the account of the roles
        #[arg(long)]
        as_account: bool,
        /// End with this process, the installer, unless the program decides otherwise
        #[arg(long, value_name = "PID")]
        started_by: i32,
        /// The program and its arguments
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

/// The text below the help of `install`.
const EXAMPLES: &str = "\
Examples:
  Connection Manager and Security Gateway on this host, in Docker Swarm:
    pcoip-cmsg-setup install --accept-policies --self-signed \\
      --broker-url https://broker.example --external-pcoip-ip 203.0.113.7
  The same without Docker:
    pcoip-cmsg-setup install --accept-policies --self-signed --runtime=host \\
      --broker-url https://broker.example --external-pcoip-ip 203.0.113.7
  A Security Gateway for the Connection Manager of another host:
    pcoip-cmsg-setup install --accept-policies --self-signed \\
      --enable-connection-manager=false --external-pcoip-ip 203.0.113.8 \\
      --jwt-verifying-cert jwt-verifying.crt
At a terminal, `install` asks for required settings that are missing.";

/// The text below the help of `configure`.
const CHANGES: &str = "\
Examples:
  pcoip-cmsg-setup configure --broker-url https://broker.example
  pcoip-cmsg-setup configure --external-sg-ip 198.51.100.4 --external-sg-ip 198.51.100.5
  pcoip-cmsg-setup configure --ssl-cert new.crt --ssl-key new.key --ca-cert ca.crt --dry-run
  pcoip-cmsg-setup configure --license-server-url=      # removes the saved value";

/// `install`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Install {
    /// What to install.
    #[command(flatten)]
    pub(crate) setup: Setup,
    /// Show the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Validate {
    /// What would be installed.
    #[command(flatten)]
    pub(crate) setup: Setup,
}

/// What to install.
#[derive(Debug, clap::Args)]
pub(crate) struct Setup {
    /// The flags that set up the installation.
    #[command(flatten)]
    pub(crate) flags: InstallFlags,
    /// Ignore the saved settings and start from the defaults
    #[arg(long)]
    pub(crate) defaults: bool,
    /// Write the settings to a YAML file for `--answers`
    #[arg(long, value_name = "FILE")]
    pub(crate) save_answers: Option<PathBuf>,
}

/// `configure`.
#[derive(Debug, clap::Args)]
#[command(after_help = CHANGES)]
pub(crate) struct Configure {
    /// The flags that change.
    #[command(flatten)]
    pub(crate) flags: InstallFlags,
    /// Write the settings to a YAML file for `--answers`
    #[arg(long, value_name = "FILE")]
    pub(crate) save_answers: Option<PathBuf>,
    /// Show the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `update`.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
    /// Bundle to update from without a network, or the directory it was unpacked to
    #[arg(long, value_name = "PATH")]
    pub(crate) darksite_bundle_path: Option<String>,
    /// Show the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
    /// Show the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The text below the help of `create-darksite-bundle`.
const BUNDLES: &str = "\
Examples:
  pcoip-cmsg-setup create-darksite-bundle --pcoip-cmsg-rpm-path pcoip-cmsg-setup
  pcoip-cmsg-setup create-darksite-bundle \\
    --pcoip-cmsg-rpm-path ./pcoip-cmsg-setup-0.1.0-1.el9.x86_64.rpm \\
    --with-rpm ./docker-ce-....rpm
  pcoip-cmsg-setup create-darksite-bundle --pcoip-cmsg-rpm-path pcoip-cmsg-setup \\
    --docker-registry registry.example:5000/pcoip";

/// `create-darksite-bundle`.
#[derive(Debug, clap::Args)]
#[command(after_help = BUNDLES)]
pub(crate) struct CreateDarksiteBundle {
    /// This product's package: an RPM file, or a name that `dnf` downloads with its dependencies and Docker
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) pcoip_cmsg_rpm_path: String,
    /// Additional RPM file for the bundle; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) with_rpm: Vec<PathBuf>,
    /// File to write the bundle to
    #[arg(long, value_name = "FILE", default_value = cmsg_bundles::ARCHIVE)]
    pub(crate) to: PathBuf,
    /// Directory for downloaded packages, kept for the next bundle
    #[arg(long, value_name = "DIR", default_value = "teradici-pcoip-cmsg-packages")]
    pub(crate) downloads: PathBuf,
    /// Sign the manifest with this PEM key (`openssl dgst -sha256 -sign`)
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<PathBuf>,
    /// Where the images come from, if not out of the package.
    #[command(flatten)]
    pub(crate) registry: RegistryFlags,
}

/// `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
}

/// `drain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
    /// Wait until no session is in use; exit with 1 if some still are after this time
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<u64>,
}

/// `resume`.
#[derive(Debug, clap::Args)]
pub(crate) struct Resume {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
}

/// `uninstall`.
#[derive(Debug, clap::Args)]
pub(crate) struct Uninstall {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
    /// Also remove configuration, certificates, keys and logs
    #[arg(long)]
    pub(crate) purge: bool,
    /// Show the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Why there is no command to run.
#[derive(Debug)]
pub(crate) enum Unread {
    /// What clap says: help and version as well as mistakes.
    Clap(clap::Error),
    /// Words that a document's typesetting or a shell spoilt.
    Typos(Vec<Finding>),
}

/// Reads the command line.
///
/// # Errors
///
/// Where the words do not make a command, or ask for help.
pub(crate) fn parse(words: &[OsString]) -> Result<Cli, Unread> {
    let typed = words.get(1..).unwrap_or_default();
    // Its words are made by us, paths among them.
    let is_ours = typed.first().is_some_and(|word| word == "detach");
    let typos = if is_ours { Vec::new() } else { typos(typed) };
    if !typos.is_empty() {
        return Err(Unread::Typos(typos));
    }
    let words = match words.split_first() {
        Some((program, typed)) if !is_ours => {
            let typed = debug::spelled_out(typed).map_err(|wrong| Unread::Typos(vec![wrong]))?;
            [std::slice::from_ref(program), &typed].concat()
        }
        _ => words.to_vec(),
    };
    Cli::try_parse_from(words).map_err(Unread::Clap)
}

/// Whether a document is wanted, although the words could not be read.
pub(crate) fn wants_json(words: &[OsString]) -> bool {
    words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Cli, Unread> {
        let all = std::iter::once(&"pcoip-cmsg-setup").chain(words);
        parse(&all.map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_table_of_commands_and_flags_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn debug_is_accepted_bare_and_with_a_value() {
        let table: [(&[&str], bool); 6] = [
            (&["--debug", "status"], true),
            (&["--debug", "false", "status"], false),
            (&["status", "--debug", "trace", "--yes"], true),
            (&["--debug", "status", "--debug=false"], false),
            (&["status", "--debug", "--debug", "info"], false),
            (&["--yes", "status"], false),
        ];
        for (words, debug) in table {
            assert_eq!(parse_words(words).unwrap().global.debug, debug, "{words:?}");
        }
    }

    #[test]
    fn json_is_noticed_in_words_that_do_not_parse() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();

        assert!(wants_json(&words("setup --nonsense --output json")));
        assert!(wants_json(&words("setup --output=json --nonsense")));
        assert!(!wants_json(&words("setup json --output")));
    }
}
