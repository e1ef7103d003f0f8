//! Every flag of the administrators' guide is a flag of `install` and of `configure`.

use clap::{ArgAction, CommandFactory as _};

use super::Cli;

/// How the guide has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// `true` or `false`, or nothing.
    Boolean,
    /// One text.
    Text,
    /// Texts, each with the flag again.
    Texts,
}
use Takes::{Boolean, Text, Texts};

/// The guide's two tables. What one of them lacks is accepted by both commands. A license server is
/// one text there and repeatable here.
const FLAGS: [(&str, Takes); 43] = [
    ("accept-policies", Boolean),
    ("broker-url", Text),
    ("ca-cert", Text),
    ("clear-host-address", Boolean),
    ("clear-trusted-license", Boolean),
    ("compose-file", Text),
    ("darksite-bundle-path", Text),
    ("debug", Boolean),
    ("docker-network-cidr", Text),
    ("docker-password", Text),
    ("docker-registry", Text),
    ("docker-username", Text),
    ("enable-collaboration", Boolean),
    ("enable-connection-manager", Boolean),
    ("enable-horizon", Boolean),
    ("enable-ipv6", Boolean),
    ("enable-oauth", Boolean),
    ("enable-security-gateway", Boolean),
    ("enable-sso", Boolean),
    ("external-pcoip-ip", Texts),
    ("external-sg-ip", Texts),
    ("fa-url", Text),
    ("host-address", Texts),
    ("id-provider-url", Text),
    ("ignore-disk-req", Boolean),
    ("jwt-signing-key", Text),
    ("jwt-verifying-cert", Text),
    ("license-server-url", Texts),
    ("oauth-client-id", Text),
    ("self-signed", Boolean),
    ("ssl-cert", Text),
    ("ssl-key", Text),
    ("sso-enrollment-certificate-template-name", Text),
    ("sso-enrollment-domain", Text),
    ("sso-enrollment-password", Text),
    ("sso-enrollment-url", Text),
    ("sso-enrollment-username", Text),
    ("sso-signing-crl", Text),
    ("sso-signing-csr-ca", Text),
    ("sso-signing-csr-key", Text),
    ("trusted-license-cert", Text),
    ("trusted-license-cert-key", Text),
    // Ours.
    ("adopt", Boolean),
];

#[test]
fn every_flag_of_the_guide_is_taken_by_install_and_by_configure() {
    let mut cli = Cli::command();
    cli.build();
    for command in ["install", "configure"] {
        let command = cli.find_subcommand(command).unwrap();
        for (name, takes) in FLAGS {
            let flag = command.get_arguments().find(|flag| flag.get_long() == Some(name));

            let flag = flag.unwrap_or_else(|| panic!("`{}` has no `--{name}`", command.get_name()));
            let is_bare = flag.get_num_args().is_some_and(|count| count.min_values() == 0);
            let told = match flag.get_action() {
                ArgAction::Append => Texts,
                _ if is_bare => Boolean,
                _ => Text,
            };
            assert_eq!(told, takes, "--{name}");
        }
    }
}
