//! The settings as flags of clap: declared from the table, read back into a layer.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::settings::{Kind, SETTINGS, Setting};
use crate::args::settings::Layer;

/// Every setting that stood on the command line.
#[derive(Debug)]
pub(crate) struct InstallFlags(pub(crate) Layer);

/// The settings that say which installation is meant.
#[derive(Debug)]
pub(crate) struct PlaceFlags(pub(crate) Layer);

/// What is said of a registry.
pub(crate) const REGISTRY: [&str; 3] = ["docker-registry", "docker-username", "docker-password"];

/// The settings that say which registry has the images.
#[derive(Debug)]
pub(crate) struct RegistryFlags(pub(crate) Layer);

/// Declares the flags of some settings, and reads them.
macro_rules! flags {
    ($name:ident, $settings:expr) => {
        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                command.args($settings.map(flag))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(layer($settings, matches)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                self.0.extend(layer($settings, matches));
                Ok(())
            }
        }
    };
}

flags!(InstallFlags, SETTINGS.iter());
flags!(PlaceFlags, ["runtime", "root"].into_iter().map(Setting::named));
flags!(RegistryFlags, REGISTRY.into_iter().map(Setting::named));

fn flag(setting: &'static Setting) -> Arg {
    let help = if setting.default.is_empty() {
        setting.told()
    } else {
        format!("{} [default: {}]", setting.told(), setting.default)
    };
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.shape)
        .help_heading(setting.heading)
        .help(help);
    match setting.kind {
        Kind::Switch => arg.num_args(0..=1).default_missing_value("true"),
        Kind::One | Kind::Path | Kind::Secret => arg,
        Kind::List => arg.action(ArgAction::Append),
    }
}

fn layer(settings: impl Iterator<Item = &'static Setting>, matches: &ArgMatches) -> Layer {
    settings
        .filter_map(|setting| {
            let texts = matches.get_many::<String>(setting.name)?;
            Some((setting.name, texts.cloned().collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Layer {
        let command = InstallFlags::augment_args(Command::new("install").no_binary_name(true));
        let matches = command.try_get_matches_from(words.split_whitespace()).unwrap();
        InstallFlags::from_arg_matches(&matches).unwrap().0
    }

    fn layer_of(pairs: &[(&'static str, &[&str])]) -> Layer {
        pairs
            .iter()
            .map(|(name, texts)| (*name, texts.iter().map(ToString::to_string).collect()))
            .collect()
    }

    #[test]
    fn only_what_was_typed_is_in_the_layer() {
        assert_eq!(read(""), layer_of(&[]));
        assert_eq!(
            read("--broker-url https://b --agent-port=1"),
            layer_of(&[("broker-url", &["https://b"]), ("agent-port", &["1"])])
        );
    }

    #[test]
    fn a_switch_is_read_bare_and_with_a_value() {
        let table = [
            ("--self-signed", "true"),
            ("--self-signed=false", "false"),
            ("--self-signed false", "false"),
        ];
        for (words, value) in table {
            let read = read(&format!("{words} --broker-url https://b"));

            assert_eq!(read["self-signed"], [value], "{words}");
            assert_eq!(read["broker-url"], ["https://b"], "{words}");
        }
    }

    #[test]
    fn a_list_repeats_its_flag() {
        let read = read("--external-sg-ip=192.0.2.1 --external-sg-ip 192.0.2.2");

        assert_eq!(read, layer_of(&[("external-sg-ip", &["192.0.2.1", "192.0.2.2"])]));
    }
}
