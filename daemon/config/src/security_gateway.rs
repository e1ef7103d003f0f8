//! `SecurityGateway.conf`, as the daemon uses it.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    connection_manager::MaybeAddress,
    file::ConfFile,
    keys,
    reader::{Invalid, Loaded, Reader},
    values::{AbsolutePath, BadValue, ConnectionLimit, Host, LogLevel, Network, Seconds, Switch},
};

/// Bytes that each socket for datagrams asks the system to hold: what a burst of every session may
/// take until a worker reads it. The system gives less where its limit is lower.
pub const DATAGRAM_BUFFER: usize = 4 * 1024 * 1024;

/// Everything the Security Gateway is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGateway {
    /// What is logged.
    pub log_level: LogLevel,
    /// Public addresses; announcements name one of them.
    pub external: Vec<IpAddr>,
    /// Sessions at once.
    pub max_connections: ConnectionLimit,
    /// Where clients connect, TCP and UDP.
    pub listen: SocketAddr,
    /// Where it serves HTTPS of its own.
    pub https_listen: Option<SocketAddr>,
    /// Where datagrams to agents come from.
    pub udp_source: SocketAddr,
    /// PEM certificate and chain.
    pub certificate: PathBuf,
    /// PEM key of the certificate.
    pub key: PathBuf,
    /// PEM certificates for agents.
    pub ca_certificates: Vec<PathBuf>,
    /// Whether agents' certificates are verified.
    pub agent_check: bool,
    /// Server name sent to agents.
    pub agent_sni: Option<Host>,
    /// Networks where agents may have special addresses.
    pub allowed_agents: Vec<IpNet>,
    /// PEM certificates that verify announcements.
    pub jwt_verifying_certificate: PathBuf,
    /// How long anything may take.
    pub timeouts: Timeouts,
    /// State.
    pub data_directory: PathBuf,
    /// Unix sockets.
    pub run_directory: PathBuf,
    /// Log files.
    pub log_directory: PathBuf,
    /// Whether clients may share a session; has no effect yet.
    pub collaboration: bool,
}

/// How long anything may take at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// A TLS handshake.
    pub tls_handshake: Duration,
    /// The head of a request.
    pub http_head: Duration,
    /// The session tag, after the handshake.
    pub tag: Duration,
    /// An announced session until it is used.
    pub announced: Duration,
    /// A session without a control connection.
    pub resume: Duration,
    /// A silent flow of datagrams whose control connection is gone.
    pub udp_idle: Duration,
}

impl SecurityGateway {
    /// Reads the configuration out of its file.
    ///
    /// # Errors
    ///
    /// All bad and missing values.
    pub fn read(file: &ConfFile) -> Result<Loaded<Self>, Invalid> {
        let mut reader = Reader::new(file, keys::SECURITY_GATEWAY);
        let value = read_all(&mut reader);
        reader.finish(value)
    }
}

/// Reads every key before it judges, so that every bad value is reported.
fn read_all(reader: &mut Reader<'_>) -> Option<SecurityGateway> {
    let log_level = reader.one("LogLevel");
    let external: Vec<IpAddr> = reader.many("ExternalRoutableIP");
    let max_connections = reader.one("MaxConnections");
    let listen = reader.one("ListenAddress");
    let https_listen = reader.one::<MaybeAddress>("HttpsListenAddress");
    let udp_source = reader.one("UdpSourceAddress");
    let certificate = reader.one::<AbsolutePath>("SslCertificate");
    let key = reader.one::<AbsolutePath>("SslKey");
    let ca_certificates = reader.many::<AbsolutePath>("CaCertificate");
    let agent_check = reader.one::<Switch>("AgentCertCheck");
    let agent_sni = reader.maybe("AgentSni");
    let allowed_agents = reader.many::<Network>("AllowedAgents");
    let jwt_verifying_certificate = reader.one::<AbsolutePath>("JwtVerifyingCertificate");
    let rewrite = reader.one::<Off>("RewriteAddresses");
    let timeouts = timeouts(reader);
    let data_directory = reader.one::<AbsolutePath>("DataDirectory");
    let run_directory = reader.one::<AbsolutePath>("RunDirectory");
    let log_directory = reader.one::<AbsolutePath>("LogDirectory");
    let collaboration = reader.one::<Switch>("CollaborationEnabled");

    if external.is_empty() {
        reader.problem(None, "ExternalRoutableIP", "is missing".to_owned());
    }
    rewrite?;
    Some(SecurityGateway {
        log_level: log_level?,
        external,
        max_connections: max_connections?,
        listen: listen?,
        https_listen: https_listen?.0,
        udp_source: udp_source?,
        certificate: certificate?.0,
        key: key?.0,
        ca_certificates: ca_certificates.into_iter().map(|path| path.0).collect(),
        agent_check: agent_check?.0,
        agent_sni,
        allowed_agents: allowed_agents.into_iter().map(|network| network.0).collect(),
        jwt_verifying_certificate: jwt_verifying_certificate?.0,
        timeouts: timeouts?,
        data_directory: data_directory?.0,
        run_directory: run_directory?.0,
        log_directory: log_directory?.0,
        collaboration: collaboration?.0,
    })
}

fn timeouts(reader: &mut Reader<'_>) -> Option<Timeouts> {
    let tls_handshake = reader.one::<Seconds>("TlsHandshakeSeconds");
    let http_head = reader.one::<Seconds>("HttpHeadSeconds");
    let tag = reader.one::<Seconds>("TagSeconds");
    let announced = reader.one::<Seconds>("AnnouncedSeconds");
    let resume = reader.one::<Seconds>("ResumeSeconds");
    let udp_idle = reader.one::<Seconds>("UdpIdleSeconds");
    Some(Timeouts {
        tls_handshake: tls_handshake?.into(),
        http_head: http_head?.into(),
        tag: tag?.into(),
        announced: announced?.into(),
        resume: resume?.into(),
        udp_idle: udp_idle?.into(),
    })
}

/// The one value of `RewriteAddresses`: where addresses stand on the wire is not proven.
struct Off;

impl FromStr for Off {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.to_ascii_lowercase().as_str() {
            "off" | "false" => Ok(Self),
            _ => Err(BadValue { text: text.to_owned(), wanted: "`off`, the only value there is" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_documented_ones() {
        let file = ConfFile::parse("ExternalRoutableIP = 203.0.113.7\n");

        let read = SecurityGateway::read(&file).unwrap().value;

        assert_eq!(read.listen, "0.0.0.0:4172".parse().unwrap());
        assert_eq!(read.udp_source, "0.0.0.0:55000".parse().unwrap());
        assert_eq!(read.max_connections.as_usize(), 5000);
        assert_eq!(read.timeouts.announced, Duration::from_secs(240));
        assert_eq!(read.https_listen, None);
        assert_eq!(read.agent_sni, None);
    }

    #[test]
    fn every_bad_value_is_reported() {
        let file = ConfFile::parse("MaxConnections = 100001\nRewriteAddresses = on\n");

        let told = SecurityGateway::read(&file).unwrap_err().to_string();

        assert_eq!(
            told,
            "line 1: `MaxConnections`: `100001` is not a number from 1 to 100000; \
             line 2: `RewriteAddresses`: `on` is not `off`, the only value there is; \
             `ExternalRoutableIP`: is missing"
        );
    }
}
