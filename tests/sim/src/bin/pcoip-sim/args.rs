//! The command line, and what it means.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use pcoip_sim::credentials::Credentials;
use pcoip_sim::datagram::DatagramSize;
use pcoip_sim::layout::Layout;
use pcoip_sim::tls::{CertificateKind, Trust};
use pcoip_sim::{agent, broker, client};
use secrecy::SecretString;

/// Simulates a connection broker, an agent or a client; prints JSON lines until SIGTERM or the end of
/// standard input.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serves the broker's side of the broker protocol
    Broker(BrokerArguments),
    /// Launches sessions, and is their other end
    Agent(AgentArguments),
    /// Goes the way of a client, from hello to bye
    Client(ClientArguments),
}

#[derive(Args)]
pub(crate) struct BrokerArguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What kind of self-signed certificate to show
    #[arg(long, value_enum, default_value_t)]
    certificate_kind: CertificateKind,
    /// The agent's name
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    agent_host: String,
    /// The agent's address; several agents take turns
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    agent_ip: Vec<IpAddr>,
    /// The agent's PCoIP port
    #[arg(long, value_name = "PORT", default_value_t = 4172)]
    agent_pcoip_port: u16,
    /// The name of the user who may log on
    #[arg(long, default_value = "u")]
    user: String,
    /// The user's password
    #[arg(long, default_value = "p", env = "PCOIP_SIM_PASSWORD", hide_env_values = true)]
    password: SecretString,
    /// The user's domain
    #[arg(long, default_value = "example.com")]
    domain: String,
    /// The second factor
    #[arg(long, default_value = "123456")]
    passcode: SecretString,
    /// How many resources the user is entitled to
    #[arg(long, value_name = "COUNT", default_value = "1")]
    resources: NonZeroU16,
    /// Go on when standard input ends; only a signal ends it then
    #[arg(long)]
    pub(crate) stay: bool,
}

#[derive(Args)]
pub(crate) struct AgentArguments {
    /// Where to listen for launches
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to listen for clients, on TCP and UDP
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pcoip_listen: SocketAddr,
    /// The spelling of control messages
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,
    /// Put a transport header before the SPI
    #[arg(long)]
    transport_header: bool,
    /// What to require to answer the datagrams of a session
    #[arg(long, value_enum, default_value = "nothing")]
    requires: agent::Requires,
    /// The only user who may log on; anybody may if this is not given
    #[arg(long, value_name = "USER", requires_all = ["expect_password", "expect_domain"])]
    expect_user: Option<String>,
    /// The user's password; without a user it means nothing, since the variable may be set for others
    #[arg(long, value_name = "PASSWORD", env = "PCOIP_SIM_PASSWORD", hide_env_values = true)]
    expect_password: Option<SecretString>,
    /// The user's domain
    #[arg(long, value_name = "DOMAIN", requires = "expect_user")]
    expect_domain: Option<String>,
    /// Go on when standard input ends; only a signal ends it then
    #[arg(long)]
    pub(crate) stay: bool,
}

#[derive(Args)]
pub(crate) struct ClientArguments {
    /// Where the Connection Manager is
    #[arg(long, value_name = "URL")]
    connect: client::Endpoint,
    /// Accept any certificate, and print its digest (the default)
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// Accept only certificates that chain to those in this PEM file
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The user's name
    #[arg(long)]
    user: String,
    /// The user's password
    #[arg(long, env = "PCOIP_SIM_PASSWORD", hide_env_values = true)]
    password: SecretString,
    /// The user's domain
    #[arg(long)]
    domain: String,
    /// What to enter when a second factor is asked for
    #[arg(long, env = "PCOIP_SIM_PASSCODE", hide_env_values = true)]
    passcode: Option<SecretString>,
    /// The spelling of control messages
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,
    /// Put a transport header before the SPI
    #[arg(long)]
    transport_header: bool,
    /// How many datagrams must go each way
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    datagrams: u32,
    /// How many bytes each has
    #[arg(long, value_name = "BYTES", default_value = "1200")]
    datagram_bytes: DatagramSize,
    /// How long pings and datagrams go on after that; a lost control connection is opened again
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    hold: Duration,
    /// What becomes of the control connection while the session is held
    #[arg(long, value_enum, default_value = "reconnect")]
    control: client::ControlUse,
    /// Another address at which to open a lost control connection; may be repeated
    #[arg(long, value_name = "IP")]
    alternate: Vec<IpAddr>,
    /// The source address of all connections and datagrams
    #[arg(long, value_name = "IP")]
    source: Option<IpAddr>,
    /// How many clients to be at once, each with a session of its own
    #[arg(long, default_value = "1")]
    pub(crate) count: NonZeroU16,
}

impl From<BrokerArguments> for broker::Options {
    fn from(arguments: BrokerArguments) -> Self {
        let BrokerArguments { user, password, domain, .. } = arguments;
        Self {
            listen: arguments.listen,
            certificate: arguments.certificate_kind,
            credentials: Credentials { user, password, domain },
            passcode: arguments.passcode,
            resources: arguments.resources,
            target: broker::Target {
                ips: arguments.agent_ip,
                hostname: arguments.agent_host,
                port: arguments.agent_pcoip_port,
            },
        }
    }
}

impl From<AgentArguments> for agent::Options {
    fn from(arguments: AgentArguments) -> Self {
        let AgentArguments { expect_user, expect_password, expect_domain, .. } = arguments;
        let expect = expect_user.zip(expect_password).zip(expect_domain);
        Self {
            listen: arguments.listen,
            pcoip_listen: arguments.pcoip_listen,
            layout: arguments.layout,
            transport_header: arguments.transport_header,
            requires: arguments.requires,
            expect: expect.map(|((user, password), domain)| Credentials { user, password, domain }),
        }
    }
}

impl TryFrom<ClientArguments> for client::Options {
    type Error = anyhow::Error;

    fn try_from(arguments: ClientArguments) -> anyhow::Result<Self> {
        let ClientArguments { user, password, domain, ca, .. } = arguments;
        let trust = match ca {
            Some(path) => Trust::load(&path)
                .with_context(|| format!("failed to load `{}`", path.display()))?,
            None => Trust::Any,
        };
        Ok(Self {
            connect: arguments.connect,
            trust,
            credentials: Credentials { user, password, domain },
            passcode: arguments.passcode,
            session: client::SessionOptions {
                layout: arguments.layout,
                transport_header: arguments.transport_header,
                datagrams: arguments.datagrams,
                datagram_size: arguments.datagram_bytes,
                hold: arguments.hold,
                control: arguments.control,
                alternates: arguments.alternate,
                source: arguments.source,
            },
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.0..=MAX_HOLD).contains(&seconds) {
        return Err("not between 0 seconds and a week".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

const MAX_HOLD: f64 = 7.0 * 24.0 * 3600.0;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_user_is_expected_only_with_a_password_and_a_domain() {
        let table = [
            ("", Some(false)),
            ("--expect-user u --expect-password p --expect-domain d", Some(true)),
            ("--expect-user u", None),
            ("--expect-user u --expect-password p", None),
            ("--expect-domain d", None),
            ("--expect-password p", Some(false)),
        ];

        for (flags, expected) in table {
            let words = ["pcoip-sim", "agent"].into_iter().chain(flags.split_whitespace());
            let arguments = Arguments::try_parse_from(words).ok();
            let is_expected = arguments.map(|arguments| match arguments.command {
                Command::Agent(agent) => agent::Options::from(agent).expect.is_some(),
                _ => false,
            });
            assert_eq!(is_expected, expected, "{flags}");
        }
    }
}
