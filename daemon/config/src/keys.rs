//! Every key of the two .conf files: name, default, format and meaning. The readers take defaults
//! from these tables, and the tables of `docs/configuration.md` are generated from them.

use crate::{ConfFile, failover, logons};

/// A key of a .conf file, with what the reference page says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The name. Case does not matter in a file.
    pub name: &'static str,
    /// The default value; empty if there is none.
    pub default: &'static str,
    /// Whether the key may be repeated.
    pub repeats: bool,
    /// Whether a reload applies a changed value. Otherwise, it is applied at the next start.
    pub reloads: bool,
    /// The format of a value, for documentation.
    pub shape: &'static str,
    /// The effect, for documentation: a phrase in lower case without a full stop.
    pub meaning: &'static str,
}

impl Key {
    /// The values of the key in a file: without empty ones, or the default.
    #[must_use]
    pub fn values<'a>(&'a self, file: &'a ConfFile) -> Vec<&'a str> {
        let given = file.values(self.name).map(|entry| entry.value);
        let given: Vec<_> = given.filter(|value| !value.is_empty()).collect();
        if given.is_empty() && !self.default.is_empty() { vec![self.default] } else { given }
    }

    /// The key with this name.
    ///
    /// # Panics
    ///
    /// If the table has no such key. Names are constants in this crate, so this is a programming
    /// error.
    #[must_use]
    pub fn named<'a>(keys: &'a [Self], name: &str) -> &'a Self {
        keys.iter().find(|key| key.name == name).expect("every key that is read is in its table")
    }

    pub(crate) const fn new(
        name: &'static str,
        default: &'static str,
        shape: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, default, repeats: false, reloads: false, shape, meaning }
    }

    const fn path(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, default, "path", meaning)
    }

    const fn seconds(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, default, "seconds", meaning)
    }

    const fn switch(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, default, "true or false", meaning)
    }

    pub(crate) const fn list(
        name: &'static str,
        shape: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, default: "", repeats: true, reloads: false, shape, meaning }
    }

    /// The key, if a reload applies a changed value.
    pub(crate) const fn reloading(self) -> Self {
        Self { reloads: true, ..self }
    }
}

// Keys of both files.
const LOG_LEVEL: Key = Key::new(
    "LogLevel",
    "INFO",
    "TRACE, DEBUG, INFO, WARN or ERROR",
    "lowest level of the messages to log",
)
.reloading();
const AGENT_CERT_CHECK: Key = Key::switch("AgentCertCheck", "false", "verify agents' certificates");
const SSL_CERTIFICATE: Key = Key::path(
    "SslCertificate",
    "/opt/teradici/pcoipcm_data/certs/cmsg.crt",
    "PEM certificate, followed by its chain",
);
const SSL_KEY: Key =
    Key::path("SslKey", "/opt/teradici/pcoipcm_data/certs/cmsg.key", "PEM key of that certificate");
const HTTP_HEAD_SECONDS: Key = Key::seconds(
    "HttpHeadSeconds",
    "10",
    "timeout for receiving the headers of a client's request",
)
.reloading();
const DATA_DIRECTORY: Key = Key::path("DataDirectory", "/opt/teradici/pcoipcm_data/state", "state");
const RUN_DIRECTORY: Key =
    Key::path("RunDirectory", "/opt/teradici/pcoipcm_data/run", "directory of the unix sockets");

/// The keys of `ConnectionManager.conf`.
pub const CONNECTION_MANAGER: &[Key] = &[
    LOG_LEVEL,
    Key::new("BrokerType", "", "text", "type of the connection broker; informational only"),
    Key::new("PcoipAddress", "", "https://HOST[:PORT]", "URL of the connection broker; required"),
    Key::switch("BrokerCertCheck", "true", "verify the broker's certificate"),
    Key::list(
        "BrokerCertPin",
        "sha256:HEX",
        "SHA-256 fingerprint of a broker certificate or public key to trust without a CA",
    ),
    Key::seconds("BrokerMaxRespWaitSeconds", "40", "timeout for a request to the broker"),
    AGENT_CERT_CHECK,
    Key::new("AgentPort", "60443", "port", "HTTPS port of the PCoIP agents"),
    Key::list(
        "AllowedAgents",
        "IP[/BITS]",
        "networks in which agents may have special addresses, or addresses that the broker does \
         not provide",
    ),
    Key::seconds("AgentMaxRespWaitSeconds", "60", "timeout for an agent to launch a session"),
    Key::list(
        "LicenseServerAddress",
        "URL or port@host",
        "license servers for agents, in the order in which they are tried",
    ),
    Key::switch(
        "SecurityGatewayEnabled",
        "true",
        "route sessions through the security gateway on this host",
    ),
    Key::list(
        "ExternalRoutableIP",
        "IP",
        "public address of the gateway on this host, at most one for IPv4 and one for IPv6",
    ),
    Key::new(
        "ExternalPort",
        "4172",
        "port",
        "public port of the gateway on this host; other gateways use 4172",
    ),
    Key::list(
        "ExternalSecurityGateway",
        "IP",
        "public address of a gateway on another host; gateways are tried in order",
    ),
    Key::list(
        "ExternalSecurityGatewayControl",
        "IP=HOST:PORT",
        "address to which announcements to that gateway are sent; default: port 443 of its public \
         address; several lines for one IP are several gateways that share it",
    ),
    Key::list(
        "ExternalSecurityGatewayPin",
        "IP=sha256:HEX",
        "SHA-256 fingerprint of a certificate or public key to trust for that gateway without a \
         CA; `HOST:PORT=sha256:HEX` for the gateway with that control address",
    ),
    Key::path(
        "JwtSigningKey",
        "/opt/teradici/pcoipcm_data/certs/jwt-signing.key",
        "PEM key that signs announcements to gateways",
    ),
    Key::list(
        "HostAddress",
        "NAME or IP",
        "name and address by which clients reach this host, at most one of each; used in \
         `pcm-info` and redirects",
    ),
    Key::new("ListenAddress", "0.0.0.0:443", "IP:PORT", "HTTPS listening address for clients"),
    Key::new(
        "HttpListenAddress",
        "0.0.0.0:80",
        "IP:PORT or off",
        "listening address that redirects HTTP to HTTPS",
    ),
    SSL_CERTIFICATE,
    SSL_KEY,
    Key::list(
        "CaCertificate",
        "path",
        "PEM file of CA certificates for the broker, agents and gateways, in addition to the \
         host's",
    ),
    Key::list(
        "TrustedProxies",
        "IP[/BITS]",
        "proxies whose `X-Forwarded-For` is accepted; the header is ignored from all other peers",
    ),
    Key::new(
        "MaxConnections",
        "10000",
        "1 to 100000",
        "maximum number of concurrent client connections",
    ),
    Key::seconds("TlsHandshakeSeconds", "10", "timeout for a client's TLS handshake").reloading(),
    HTTP_HEAD_SECONDS,
    Key::seconds(
        "SessionIdleSeconds",
        "900",
        "a session ends after this time if it receives no request",
    ),
    logons::LOGON_FAILURES,
    logons::LOGON_BAN_SECONDS,
    DATA_DIRECTORY,
    RUN_DIRECTORY,
    Key::path("LogDirectory", "/var/log/Teradici/ConnectionManager", "directory of the log files"),
    Key::switch(
        "OauthEnabled",
        "false",
        "authenticate clients with an identity provider (reserved for OAuth; has no effect yet)",
    ),
    Key::new(
        "IdProviderUrl",
        "",
        "https://HOST[:PORT][/PATH]",
        "URL of the identity provider (reserved for OAuth; has no effect yet)",
    ),
    Key::new(
        "OauthClientId",
        "",
        "text",
        "the client ID that the identity provider assigned (reserved for OAuth; has no effect yet)",
    ),
    Key::new(
        "FederatedAuthUrl",
        "",
        "https://HOST[:PORT][/PATH]",
        "URL of the federated authentication broker, sent to agents (reserved for OAuth; has no \
         effect yet)",
    ),
    Key::switch(
        "SsoEnabled",
        "false",
        "log users on to their desktops (reserved for single sign-on; has no effect yet)",
    ),
    Key::path(
        "SsoSigningCertificate",
        "",
        "PEM certificate of the intermediate authority (reserved for single sign-on; has no effect \
         yet)",
    ),
    Key::path(
        "SsoSigningKey",
        "",
        "PEM key of that certificate (reserved for single sign-on; has no effect yet)",
    ),
    Key::path(
        "SsoSigningCrl",
        "",
        "certificate revocation list of that authority (reserved for single sign-on; has no effect \
         yet)",
    ),
    Key::new(
        "SsoEnrollmentUrl",
        "",
        "https://HOST[:PORT][/PATH]",
        "URL of the certification authority's web enrollment service (reserved for single sign-on; \
         has no effect yet)",
    ),
    Key::new(
        "SsoEnrollmentDomain",
        "",
        "domain",
        "domain of the enrollment account (reserved for single sign-on; has no effect yet)",
    ),
    Key::new(
        "SsoEnrollmentUsername",
        "",
        "text",
        "name of the enrollment account (reserved for single sign-on; has no effect yet)",
    ),
    Key::path(
        "SsoEnrollmentPasswordFile",
        "",
        "file with the password of that account (reserved for single sign-on; has no effect yet)",
    ),
    Key::new(
        "SsoEnrollmentTemplate",
        "",
        "text",
        "certificate template (reserved for single sign-on; has no effect yet)",
    ),
    Key::switch(
        "HorizonEnabled",
        "false",
        "use VMware Horizon as the broker (reserved for VMware Horizon; has no effect yet)",
    ),
    Key::path(
        "TrustedLicenseCertificate",
        "",
        "PEM certificate of a trusted customer license (reserved for trusted licenses; has no \
         effect yet)",
    ),
    Key::path(
        "TrustedLicenseKey",
        "",
        "PEM key of that certificate (reserved for trusted licenses; has no effect yet)",
    ),
];

/// The keys of `SecurityGateway.conf`.
pub const SECURITY_GATEWAY: &[Key] = &[
    LOG_LEVEL,
    Key::list(
        "ExternalRoutableIP",
        "IP",
        "public address of this gateway, at most one for IPv4 and one for IPv6; required",
    ),
    Key::new("MaxConnections", "5000", "1 to 100000", "maximum number of concurrent sessions")
        .reloading(),
    Key::new(
        "ListenAddress",
        "0.0.0.0:4172",
        "IP:PORT",
        "listening address for clients, TCP and UDP",
    ),
    Key::new(
        "HttpsListenAddress",
        "off",
        "IP:PORT or off",
        "HTTPS listening address of a gateway without a local connection manager, for announcements and \
         `/health`",
    ),
    Key::new(
        "UdpSourceAddress",
        "0.0.0.0:55000",
        "IP:PORT",
        "source address of datagrams to agents",
    ),
    SSL_CERTIFICATE,
    SSL_KEY,
    Key::list(
        "CaCertificate",
        "path",
        "PEM file of CA certificates for agents, in addition to the host's",
    ),
    AGENT_CERT_CHECK,
    Key::new("AgentSni", "", "host name", "TLS server name (SNI) sent to agents; default: none"),
    Key::list(
        "AllowedAgents",
        "IP[/BITS]",
        "networks in which agents may have a loopback or link-local address, or an address of the \
         gateway",
    )
    .reloading(),
    Key::path(
        "JwtVerifyingCertificate",
        "/opt/teradici/pcoipcm_data/certs/jwt-verifying.crt",
        "PEM file of the certificates of connection managers whose announcements are accepted",
    ),
    Key::new("RewriteAddresses", "off", "off", "control bytes are relayed unchanged"),
    Key::seconds("TlsHandshakeSeconds", "10", "timeout for a TLS handshake").reloading(),
    HTTP_HEAD_SECONDS,
    Key::seconds(
        "TagSeconds",
        "10",
        "timeout for a client to send its session tag after the TLS handshake",
    )
    .reloading(),
    Key::seconds(
        "AnnouncedSeconds",
        "240",
        "an announced session ends after this time if no client connects",
    )
    .reloading(),
    Key::seconds(
        "ResumeSeconds",
        "300",
        "a session ends after this time without a control connection",
    )
    .reloading(),
    Key::seconds(
        "UdpIdleSeconds",
        "60",
        "without a control connection, a datagram flow ends after this time if no datagram arrives",
    )
    .reloading(),
    DATA_DIRECTORY,
    RUN_DIRECTORY,
    Key::path("LogDirectory", "/var/log/Teradici/SecurityGateway", "directory of the log files"),
    Key::switch(
        "CollaborationEnabled",
        "true",
        "let clients share a session, on the agents' UDP port 64172 (reserved for collaboration; \
         has no effect yet)",
    ),
    failover::GATEWAY_ID,
    failover::PEER_LISTEN_ADDRESS,
    failover::PEER,
    failover::SHARED_ADDRESS,
    failover::MAX_STANDBY,
];
