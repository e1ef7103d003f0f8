//! The settings as flags of clap: declared from the table, read back into a layer.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::settings::{Kind, Layer, Setting};

/// Every setting that stood on the command line.
#[derive(Debug)]
pub(crate) struct InstallFlags(pub(crate) Layer);

/// The settings that say which installation is meant.
#[derive(Debug)]
pub(crate) struct PlaceFlags(pub(crate) Layer);

/// What is said of a registry.
pub(crate) const REGISTRY: [Setting; 3] =
    [Setting::DockerRegistry, Setting::DockerUsername, Setting::DockerPassword];

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

flags!(InstallFlags, Setting::ALL.iter().copied());
flags!(PlaceFlags, [Setting::Runtime, Setting::Root].into_iter());
flags!(RegistryFlags, REGISTRY.into_iter());

fn flag(setting: Setting) -> Arg {
    let row = setting.row();
    let help = if row.default.is_empty() {
        setting.told()
    } else {
        format!("{} [default: {}]", setting.told(), row.default)
    };
    let arg = Arg::new(setting.as_str())
        .long(setting.as_str())
        .value_name(row.shape)
        .help_heading(row.heading)
        .help(help);
    match setting.kind() {
        Kind::Switch => arg.num_args(0..=1).default_missing_value("true"),
        Kind::One | Kind::Path | Kind::Secret => arg,
        Kind::List => arg.action(ArgAction::Append),
    }
}

fn layer(settings: impl Iterator<Item = Setting>, matches: &ArgMatches) -> Layer {
    settings
        .filter_map(|setting| {
            let texts = matches.get_many::<String>(setting.as_str())?;
            Some((setting, texts.cloned().collect()))
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

    fn layer_of(pairs: &[(Setting, &[&str])]) -> Layer {
        pairs
            .iter()
            .map(|(setting, texts)| (*setting, texts.iter().map(ToString::to_string).collect()))
            .collect()
    }

    #[test]
    fn only_what_was_typed_is_in_the_layer() {
        assert_eq!(read(""), layer_of(&[]));
        assert_eq!(
            read("--broker-url https://b --agent-port=1"),
            layer_of(&[(Setting::BrokerUrl, &["https://b"]), (Setting::AgentPort, &["1"])])
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

            assert_eq!(read[&Setting::SelfSigned], [value], "{words}");
            assert_eq!(read[&Setting::BrokerUrl], ["https://b"], "{words}");
        }
    }

    #[test]
    fn a_list_repeats_its_flag() {
        let read = read("--external-sg-ip=192.0.2.1 --external-sg-ip 192.0.2.2");

        assert_eq!(read, layer_of(&[(Setting::ExternalSgIp, &["192.0.2.1", "192.0.2.2"])]));
    }
}
