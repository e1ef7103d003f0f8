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
    failover::Failover,
    file::ConfFile,
    keys,
    reader::{Invalid, Loaded, Reader},
    values::{AbsolutePath, BadValue, ConnectionLimit, Host, LogLevel, Network, Seconds, Switch},
};

/// Receive and send buffer in bytes that is requested for each UDP socket: enough for a burst of
/// every session. The system grants less if its limit is lower.
pub const DATAGRAM_BUFFER: usize = 4 * 1024 * 1024;

/// The configuration of the Security Gateway, with defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGateway {
    /// `LogLevel`: the lowest level that is logged.
    pub log_level: LogLevel,
    /// `ExternalRoutableIP`: public addresses, at most one for IPv4 and one for IPv6. The `aud` of
    /// a token must be one of them.
    pub external: Vec<IpAddr>,
    /// `MaxConnections`: concurrent sessions, including announced ones.
    pub max_connections: ConnectionLimit,
    /// `ListenAddress`: listening address for clients, TCP and UDP.
    pub listen: SocketAddr,
    /// `HttpsListenAddress`: HTTPS listener for announcements and `/health`; `None` for `off`.
    pub https_listen: Option<SocketAddr>,
    /// `UdpSourceAddress`: source address of datagrams to agents.
    pub udp_source: SocketAddr,
    /// `SslCertificate`: PEM file of the server certificate and its chain.
    pub certificate: PathBuf,
    /// `SslKey`: PEM file of the private key of [`Self::certificate`].
    pub key: PathBuf,
    /// `CaCertificate`: PEM files of CA certificates for agents, besides the host's.
    pub ca_certificates: Vec<PathBuf>,
    /// `AgentCertCheck`: whether agents' certificates are verified.
    pub agent_check: bool,
    /// `AgentSni`: TLS server name sent to agents.
    pub agent_sni: Option<Host>,
    /// `AllowedAgents`: networks in which an agent may have a loopback, link-local or gateway
    /// address.
    pub allowed_agents: Vec<IpNet>,
    /// `JwtVerifyingCertificate`: PEM file of the certificates whose keys verify announcements.
    pub jwt_verifying_certificate: PathBuf,
    /// Timeouts of handshakes, sessions and flows.
    pub timeouts: Timeouts,
    /// `DataDirectory`: the journal of sessions, and the mark of draining.
    pub data_directory: PathBuf,
    /// `RunDirectory`: unix sockets, and the reason why a configuration was rejected.
    pub run_directory: PathBuf,
    /// `LogDirectory`: the log files; limited to 1 GiB by the daemon.
    pub log_directory: PathBuf,
    /// Whether clients may share a session. Has no effect.
    pub collaboration: bool,
    /// How other gateways take over sessions; `None` without `Peer`.
    pub failover: Option<Failover>,
}

/// Timeouts of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// `TlsHandshakeSeconds`: a client's TLS handshake.
    pub tls_handshake: Duration,
    /// `HttpHeadSeconds`: the head of an HTTPS request.
    pub http_head: Duration,
    /// `TagSeconds`: from the TLS handshake to the session tag.
    pub tag: Duration,
    /// `AnnouncedSeconds`: from the announcement to the client's connection.
    pub announced: Duration,
    /// `ResumeSeconds`: how long a session without a control connection can be resumed.
    pub resume: Duration,
    /// `UdpIdleSeconds`: how long a flow without a control connection may be silent.
    pub udp_idle: Duration,
}

impl SecurityGateway {
    /// Parses a configuration file and checks every value.
    ///
    /// # Errors
    ///
    /// [`Invalid`] lists all invalid and missing values.
    pub fn read(file: &ConfFile) -> Result<Loaded<Self>, Invalid> {
        let mut reader = Reader::new(file, keys::SECURITY_GATEWAY);
        let value = read_all(&mut reader);
        reader.finish(value)
    }
}

/// Reads every key before returning, so that all invalid values are reported at once.
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
    let failover = Failover::read(reader);

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
        failover,
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

/// The only value of `RewriteAddresses`: the position of addresses in control bytes is not known.
struct Off;

impl FromStr for Off {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.to_ascii_lowercase().as_str() {
            "off" | "false" => Ok(Self),
            _ => Err(BadValue { text: text.to_owned(), wanted: "`off`, the only supported value" }),
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

        let error = SecurityGateway::read(&file).unwrap_err().to_string();

        assert_eq!(
            error,
            "line 1: `MaxConnections`: `100001` is not a number from 1 to 100000; \
             line 2: `RewriteAddresses`: `on` is not `off`, the only supported value; \
             `ExternalRoutableIP`: is missing"
        );
    }
}
