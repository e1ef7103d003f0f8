//! The arguments of `bans`.

use std::net::IpAddr;

use clap::Subcommand;

use super::PlaceFlags;

/// The text below the help of `bans lift`.
const EXAMPLES: &str = "\
Examples:
  pcoip-cmsg-setup bans lift 192.0.2.1 'EXAMPLE\\anna'
  pcoip-cmsg-setup bans lift 2001:db8:1:2::/64 anna@example.com
  pcoip-cmsg-setup bans lift --all";

/// `bans`.
#[derive(Debug, clap::Args)]
pub(crate) struct Bans {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
    /// What to do instead of listing them.
    #[command(subcommand)]
    pub(crate) command: Option<BansCommand>,
}

/// The commands of `bans`.
#[derive(Debug, Subcommand)]
pub(crate) enum BansCommand {
    /// Lift one ban or all bans
    Lift(LiftBans),
}

/// `bans lift`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LiftBans {
    /// Which installation.
    #[command(flatten)]
    pub(crate) flags: PlaceFlags,
    /// Address or network from which the user is banned
    #[arg(required_unless_present = "all", requires = "user", value_parser = source)]
    pub(crate) source: Option<String>,
    /// Name of the user, as `bans` lists it
    #[arg(required_unless_present = "all")]
    pub(crate) user: Option<String>,
    /// Lift all bans
    #[arg(long, conflicts_with_all = ["source", "user"])]
    pub(crate) all: bool,
}

/// An address, or an IPv6 network as `bans` lists it.
fn source(text: &str) -> Result<String, String> {
    let network = text.strip_suffix("/64").filter(|network| network.contains(':'));
    match network.unwrap_or(text).parse::<IpAddr>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("it is not an IP address or an IPv6 network `ADDRESS/64`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_a_network() {
        for (text, is_source) in [
            ("192.0.2.1", true),
            ("2001:db8::1", true),
            ("2001:db8::/64", true),
            ("192.0.2.0/64", false),
            ("2001:db8::/48", false),
            ("anna", false),
        ] {
            assert_eq!(source(text).is_ok(), is_source, "{text}");
        }
    }
}
