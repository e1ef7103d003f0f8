//! `ConnectionManager.conf`, as the daemon uses it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    HostAddress,
    file::ConfFile,
    kept::Kept,
    keys,
    logons::FailureLimit,
    reader::{Invalid, Loaded, Reader},
    values::{
        AbsolutePath, BrokerUrl, ConnectionLimit, ForGateway, GatewayName, GatewayPin, Host,
        HostPort, LogLevel, Network, Pin, Port, Seconds, Switch,
    },
};

/// The configuration of the Connection Manager, with defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionManager {
    /// `LogLevel`: the lowest level that is logged.
    pub log_level: LogLevel,
    /// `BrokerType`. Informational: the daemon does not interpret it.
    pub broker_type: String,
    /// `PcoipAddress`: URL of the connection broker.
    pub broker: BrokerUrl,
    /// `BrokerCertCheck` and `BrokerCertPin`.
    pub broker_check: UpstreamCheck,
    /// `BrokerMaxRespWaitSeconds`: timeout of a request to the broker.
    pub broker_wait: Duration,
    /// `AgentCertCheck`: whether agents' certificates are verified.
    pub agent_check: bool,
    /// `AgentPort`: HTTPS port of the PCoIP agents.
    pub agent_port: u16,
    /// `AllowedAgents`: networks in which an agent may have a loopback, link-local or gateway
    /// address, or one that the broker did not name.
    pub allowed_agents: Vec<IpNet>,
    /// `AgentMaxRespWaitSeconds`: timeout of `launch-session`.
    pub agent_wait: Duration,
    /// `LicenseServerAddress`, in the order in which agents try them.
    pub license_servers: Vec<String>,
    /// `ExternalRoutableIP`: public addresses of the gateway on this host, at most one for IPv4 and
    /// one for IPv6. Empty if `SecurityGatewayEnabled` is false.
    pub own_gateway: Vec<IpAddr>,
    /// `ExternalPort`: port of the gateway on this host, as sent to clients.
    pub external_port: u16,
    /// `ExternalSecurityGateway`: gateways on other hosts, in the order in which they are tried.
    pub external_gateways: Vec<ExternalGateway>,
    /// `JwtSigningKey`: PEM file of the key that signs announcements.
    pub jwt_signing_key: PathBuf,
    /// `HostAddress`: the name and address in `pcm-info` and redirects.
    pub host_address: HostAddress,
    /// `ListenAddress`: HTTPS listener for clients.
    pub listen: SocketAddr,
    /// `HttpListenAddress`: listener that redirects HTTP to HTTPS; `None` for `off`.
    pub http_listen: Option<SocketAddr>,
    /// `SslCertificate`: PEM file of the server certificate and its chain.
    pub certificate: PathBuf,
    /// `SslKey`: PEM file of the private key of [`Self::certificate`].
    pub key: PathBuf,
    /// `CaCertificate`: PEM files of CA certificates that are trusted besides the host's, for the
    /// broker, agents and gateways.
    pub ca_certificates: Vec<PathBuf>,
    /// `TrustedProxies`: proxies whose `X-Forwarded-For` is accepted.
    pub trusted_proxies: Vec<IpNet>,
    /// `MaxConnections`: concurrent client connections.
    pub max_connections: ConnectionLimit,
    /// `TlsHandshakeSeconds`: timeout of a client's TLS handshake.
    pub tls_handshake: Duration,
    /// `HttpHeadSeconds`: timeout for a client to send the head of a request.
    pub http_head: Duration,
    /// `SessionIdleSeconds`: a session ends after this time without a request.
    pub session_idle: Duration,
    /// `LogonFailures`: failed log-ons after which a user is banned from an address; 0 for none.
    pub logon_failures: usize,
    /// `LogonBanSeconds`: how long such a ban lasts.
    pub logon_ban: Duration,
    /// `DataDirectory`: sessions that survive a restart, and the mark of draining.
    pub data_directory: PathBuf,
    /// `RunDirectory`: unix sockets, and the reason why a configuration was rejected.
    pub run_directory: PathBuf,
    /// `LogDirectory`: the log files; limited to 1 GiB by the daemon.
    pub log_directory: PathBuf,
    /// Keys of functions that are not implemented.
    pub kept: Kept,
}

/// How the certificate of an upstream peer is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamCheck {
    /// Accept a chain to one of [`ConnectionManager::ca_certificates`] or of the host's CA
    /// certificates. Certificates and public keys with one of these digests are accepted without a
    /// CA.
    Verify(Vec<Pin>),
    /// Accept any certificate: connections can be intercepted.
    Off,
}

/// A gateway on another host. Several may have the same public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalGateway {
    /// The public address, as sent to clients.
    pub address: IpAddr,
    /// Where announcements are sent; port 443 of the public address by default.
    pub control: HostPort,
    /// Certificate or public key that is accepted without a CA.
    pub pin: Option<Pin>,
}

impl ConnectionManager {
    /// Parses a configuration file and checks every value.
    ///
    /// # Errors
    ///
    /// [`Invalid`] lists all invalid and missing values. A single one makes the configuration
    /// invalid.
    pub fn read(file: &ConfFile) -> Result<Loaded<Self>, Invalid> {
        let mut reader = Reader::new(file, keys::CONNECTION_MANAGER);
        let value = read_all(&mut reader);
        reader.finish(value)
    }
}

/// Reads every key before returning, so that all invalid values are reported at once.
#[expect(clippy::too_many_lines, reason = "one line per key")]
fn read_all(reader: &mut Reader<'_>) -> Option<ConnectionManager> {
    let log_level = reader.one("LogLevel");
    let broker_type = reader.maybe::<String>("BrokerType").unwrap_or_default();
    let broker = reader.one("PcoipAddress");
    let broker_check = reader.one::<Switch>("BrokerCertCheck");
    let pins = reader.many("BrokerCertPin");
    let broker_wait = reader.one::<Seconds>("BrokerMaxRespWaitSeconds");
    let agent_check = reader.one::<Switch>("AgentCertCheck");
    let agent_port = reader.one::<Port>("AgentPort");
    let allowed_agents = reader.many::<Network>("AllowedAgents");
    let agent_wait = reader.one::<Seconds>("AgentMaxRespWaitSeconds");
    let license_servers = reader.many("LicenseServerAddress");
    let gateway_enabled = reader.one::<Switch>("SecurityGatewayEnabled");
    let own_gateway = reader.many::<IpAddr>("ExternalRoutableIP");
    let external_port = reader.one::<Port>("ExternalPort");
    let external_gateways = external_gateways(reader);
    let jwt_signing_key = reader.one::<AbsolutePath>("JwtSigningKey");
    let host_address = HostAddress::of(&reader.many::<Host>("HostAddress"));
    let listen = reader.one("ListenAddress");
    let http_listen = reader.one::<MaybeAddress>("HttpListenAddress");
    let certificate = reader.one::<AbsolutePath>("SslCertificate");
    let key = reader.one::<AbsolutePath>("SslKey");
    let ca_certificates = reader.many::<AbsolutePath>("CaCertificate");
    let trusted_proxies = reader.many::<Network>("TrustedProxies");
    let max_connections = reader.one("MaxConnections");
    let tls_handshake = reader.one::<Seconds>("TlsHandshakeSeconds");
    let http_head = reader.one::<Seconds>("HttpHeadSeconds");
    let session_idle = reader.one::<Seconds>("SessionIdleSeconds");
    let logon_failures = reader.one::<FailureLimit>("LogonFailures");
    let logon_ban = reader.one::<Seconds>("LogonBanSeconds");
    let data_directory = reader.one::<AbsolutePath>("DataDirectory");
    let run_directory = reader.one::<AbsolutePath>("RunDirectory");
    let log_directory = reader.one::<AbsolutePath>("LogDirectory");
    let kept = Kept::read(reader);

    if gateway_enabled == Some(Switch(true)) && own_gateway.is_empty() {
        let what = "is missing, and `SecurityGatewayEnabled` is true".to_owned();
        reader.problem(None, "ExternalRoutableIP", what);
    }
    if let Err(several) = &host_address {
        reader.problem(None, "HostAddress", several.to_string());
    }
    Some(ConnectionManager {
        log_level: log_level?,
        broker_type,
        broker: broker?,
        broker_check: if broker_check?.0 {
            UpstreamCheck::Verify(pins)
        } else {
            UpstreamCheck::Off
        },
        broker_wait: broker_wait?.into(),
        agent_check: agent_check?.0,
        agent_port: agent_port?.0,
        allowed_agents: allowed_agents.into_iter().map(|network| network.0).collect(),
        agent_wait: agent_wait?.into(),
        license_servers,
        own_gateway: if gateway_enabled?.0 { own_gateway } else { Vec::new() },
        external_port: external_port?.0,
        external_gateways,
        jwt_signing_key: jwt_signing_key?.0,
        host_address: host_address.ok()?,
        listen: listen?,
        http_listen: http_listen?.0,
        certificate: certificate?.0,
        key: key?.0,
        ca_certificates: ca_certificates.into_iter().map(|path| path.0).collect(),
        trusted_proxies: trusted_proxies.into_iter().map(|network| network.0).collect(),
        max_connections: max_connections?,
        tls_handshake: tls_handshake?.into(),
        http_head: http_head?.into(),
        session_idle: session_idle?.into(),
        logon_failures: logon_failures?.as_usize(),
        logon_ban: logon_ban?.into(),
        data_directory: data_directory?.0,
        run_directory: run_directory?.0,
        log_directory: log_directory?.0,
        kept: kept?,
    })
}

/// Rejects a control address or pin of a gateway that is not listed, since it is most likely a
/// typo.
fn external_gateways(reader: &mut Reader<'_>) -> Vec<ExternalGateway> {
    let addresses: Vec<IpAddr> = reader.many("ExternalSecurityGateway");
    let controls: Vec<ForGateway<HostPort>> = reader.many("ExternalSecurityGatewayControl");
    let pins: Vec<GatewayPin> = reader.many("ExternalSecurityGatewayPin");

    for gateway in controls.iter().map(|c| c.gateway) {
        if !addresses.contains(&gateway) {
            let what = format!("`{gateway}` is not listed as `ExternalSecurityGateway`");
            reader.problem(None, "ExternalSecurityGatewayControl", what);
        }
    }
    let mut gateways = Vec::new();
    for address in addresses.iter().copied() {
        for control in ForGateway::controls_of(address, &controls) {
            let pin = GatewayPin::of(address, &control, &pins);
            gateways.push(ExternalGateway { address, control, pin });
        }
    }
    for name in pins.iter().map(|pin| &pin.gateway) {
        let problem = match name {
            GatewayName::Address(address) if !addresses.contains(address) => {
                format!("`{address}` is not listed as `ExternalSecurityGateway`")
            }
            GatewayName::Control(control) if gateways.iter().all(|it| it.control != *control) => {
                format!("`{control}` is not the control address of a gateway")
            }
            _ => continue,
        };
        reader.problem(None, "ExternalSecurityGatewayPin", problem);
    }
    gateways
}

/// The value of `HttpListenAddress`: `IP:PORT`, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaybeAddress(pub Option<SocketAddr>);

impl FromStr for MaybeAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address)))
    }
}

impl fmt::Display for MaybeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "PcoipAddress = https://broker.example\nExternalRoutableIP = 203.0.113.7\n";

    fn read(text: &str) -> Result<Loaded<ConnectionManager>, Invalid> {
        ConnectionManager::read(&ConfFile::parse(text))
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let read = read(LEAST).unwrap();

        assert_eq!(read.warnings, []);
        assert_eq!(read.value.listen, "0.0.0.0:443".parse().unwrap());
        assert_eq!(read.value.broker_wait, Duration::from_secs(40));
        assert_eq!(read.value.agent_port, 60443);
        assert_eq!(read.value.broker_check, UpstreamCheck::Verify(vec![]));
        assert!(!read.value.agent_check);
    }

    #[test]
    fn every_bad_value_is_reported_with_its_line() {
        let text = "PcoipAddress = broker\nAgentPort = 0\nMaxConnections = many\n";

        let error = read(text).unwrap_err().to_string();

        assert_eq!(
            error,
            "line 1: `PcoipAddress`: `broker` is not a URL of the form `https://HOST[:PORT]`; \
             line 2: `AgentPort`: `0` is not a port from 1 to 65535; \
             line 3: `MaxConnections`: `many` is not a number from 1 to 100000; \
             `ExternalRoutableIP`: is missing, and `SecurityGatewayEnabled` is true"
        );
    }

    #[test]
    fn an_unknown_key_is_a_warning_with_its_line() {
        let read = read(&format!("{LEAST}Colour = blue\n")).unwrap();

        assert_eq!(read.warnings.len(), 1);
        assert_eq!(read.warnings[0].to_string(), "line 3: unknown key `Colour`");
    }

    #[test]
    fn a_disabled_gateway_is_not_used_even_with_an_address() {
        let read = read(&format!("{LEAST}SecurityGatewayEnabled = false\n")).unwrap();

        assert_eq!(read.value.own_gateway, Vec::<IpAddr>::new());
    }

    #[test]
    fn an_external_gateway_is_called_at_its_public_address_by_default() {
        let text = format!(
            "{LEAST}ExternalSecurityGateway = 198.51.100.1\nExternalSecurityGateway = 2001:db8::2\n\
             ExternalSecurityGatewayControl = 2001:db8::2=sg2.lan:8443\n"
        );

        let gateways = read(&text).unwrap().value.external_gateways;

        assert_eq!(gateways[0].control.to_string(), "198.51.100.1:443");
        assert_eq!(gateways[1].control.to_string(), "sg2.lan:8443");
    }

    #[test]
    fn several_gateways_may_share_a_public_address() {
        let [first, second] = ["1", "2"].map(|digit| format!("sha256:{}", digit.repeat(64)));
        let text = format!(
            "{LEAST}ExternalSecurityGateway = 198.51.100.1\n\
             ExternalSecurityGatewayControl = 198.51.100.1=sg1.lan:443\n\
             ExternalSecurityGatewayControl = 198.51.100.1=sg2.lan:443\n\
             ExternalSecurityGatewayPin = sg2.lan:443={second}\n\
             ExternalSecurityGatewayPin = 198.51.100.1={first}\n"
        );

        let gateways = read(&text).unwrap().value.external_gateways;

        let gateway = |control: &str, pin: &str| ExternalGateway {
            address: "198.51.100.1".parse().unwrap(),
            control: control.parse().unwrap(),
            pin: Some(pin.parse().unwrap()),
        };
        assert_eq!(gateways, [gateway("sg1.lan:443", &first), gateway("sg2.lan:443", &second)]);
    }

    #[test]
    fn a_pin_for_an_unlisted_gateway_is_refused() {
        let pin = format!("sha256:{}", "0".repeat(64));
        let table = [
            ("192.0.2.1", "`192.0.2.1` is not listed as `ExternalSecurityGateway`"),
            ("sg9.lan:443", "`sg9.lan:443` is not the control address of a gateway"),
        ];
        for (gateway, why) in table {
            let error = read(&format!("{LEAST}ExternalSecurityGatewayPin = {gateway}={pin}\n"));

            assert_eq!(
                error.unwrap_err().to_string(),
                format!("`ExternalSecurityGatewayPin`: {why}")
            );
        }
    }
}
