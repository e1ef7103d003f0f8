//! The words on the command line and what they name; no behaviour. The flags that set up an
//! installation come from the table in `settings`, which the environment and the answers file
//! share.

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
    /// How the outcome is printed on standard output
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
    /// Same as `--verbose`; a level is accepted too, and `trace` and `debug` mean true. What the
    /// services log is `LogLevel` in their files
    #[arg(
        long, global = true, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true",
        hide_default_value = true, hide_possible_values = true, overrides_with = "debug",
        action = clap::ArgAction::Set
    )]
    pub(crate) debug: bool,
    /// Print without colours
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Perform plans and removals without asking
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Ask nothing, also in a terminal
    #[arg(long, global = true)]
    pub(crate) non_interactive: bool,
    /// Read answers from a YAML file: the flags' names without dashes in front
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) answers: Option<PathBuf>,
}

/// The form of the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs: one document
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install, or bring an installation to what the flags say
    Install(Install),
    /// Check everything that `install` checks with the same flags, and change nothing
    Validate(Validate),
    /// Change the settings of an installation; what is not given stays
    Configure(Configure),
    /// Bring an installation to the version of this program, with its settings as they are
    Update(Update),
    /// Bring back what was before the last change of settings or version
    Rollback(Rollback),
    /// Make a bundle for hosts without a network, on one that has a network
    CreateDarksiteBundle(CreateDarksiteBundle),
    /// Show what runs, where it listens and when certificates expire
    Status(Status),
    /// Remove the installation
    Uninstall(Uninstall),
    /// Take no new sessions, so that the host can be taken out of service
    Drain(Drain),
    /// Take new sessions again after `drain`
    Resume(Resume),
    /// Print what a shell needs to complete the words of this program
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// The folder that they go to
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

/// What stands below the help of `install`.
const EXAMPLES: &str = "\
Examples, each behind `pcoip-cmsg-setup install --accept-policies`, or without Docker behind
`pcoip-cmsg-setup install --runtime=host --root /srv/pcoip --accept-policies`:
  --self-signed --broker-url https://broker.example --external-pcoip-ip 203.0.113.7
  --self-signed --enable-connection-manager=false --external-pcoip-ip 203.0.113.8 \
--jwt-verifying-cert jwt-verifying.crt
  --docker-registry registry.example/pcoip --docker-username me --docker-password @password-file ...
In a terminal what is missing is asked for.";

/// What stands below the help of `configure`.
const CHANGES: &str = "\
Examples, each behind `pcoip-cmsg-setup configure --root /srv/pcoip`:
  --broker-url https://broker.example
  --external-sg-ip 198.51.100.4 --external-sg-ip 198.51.100.5
  --ssl-cert new.crt --ssl-key new.key --ca-cert authority.crt --dry-run
  --license-server-url=        takes back what was saved";

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
    /// Start from the defaults, not from the answers of the last installation
    #[arg(long)]
    pub(crate) defaults: bool,
    /// Write the answers to a YAML file, as `--answers` reads it
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
    /// Write the answers to a YAML file, as `--answers` reads it
    #[arg(long, value_name = "FILE")]
    pub(crate) save_answers: Option<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `update`.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
    /// Bundle to update from without a network, or the folder that came out of it
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

/// What stands below the help of `create-darksite-bundle`.
const BUNDLES: &str = "\
Examples, each behind `pcoip-cmsg-setup create-darksite-bundle`:
  --pcoip-cmsg-rpm-path pcoip-cmsg-setup
  --pcoip-cmsg-rpm-path ./pcoip-cmsg-setup-0.1.0-1.el9.x86_64.rpm --with-rpm ./docker-ce-....rpm
  --pcoip-cmsg-rpm-path pcoip-cmsg-setup --docker-registry registry.example:5000/pcoip";

/// `create-darksite-bundle`.
#[derive(Debug, clap::Args)]
#[command(after_help = BUNDLES)]
pub(crate) struct CreateDarksiteBundle {
    /// The package of this product: the name that `dnf` has it by, or its file. A name is downloaded
    /// with everything that it depends on, and with Docker
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) pcoip_cmsg_rpm_path: String,
    /// Another package that goes into the bundle; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) with_rpm: Vec<PathBuf>,
    /// Where the bundle goes
    #[arg(long, value_name = "FILE", default_value = cmsg_bundles::ARCHIVE)]
    pub(crate) to: PathBuf,
    /// Where packages are downloaded to, and stay for the next time
    #[arg(long, value_name = "DIR", default_value = "teradici-pcoip-cmsg-packages")]
    pub(crate) downloads: PathBuf,
    /// Sign the manifest with this PEM key, by `openssl dgst -sha256 -sign`
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
    /// Wait up to this long until no session is in use; exit with 1 if some still are
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
    /// Remove configuration, certificates, keys and logs too
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
