//! Every key of the two files: name, default, shape and meaning. Readers take defaults from here
//! and the reference page lists it, so there is one place to change.

/// One known key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The name, as it is written; case does not matter when it is read.
    pub name: &'static str,
    /// The value that holds where the key is absent; empty for none.
    pub default: &'static str,
    /// Whether the key may stand more than once.
    pub repeats: bool,
    /// What a value looks like.
    pub shape: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

impl Key {
    /// The key of that name. The tables are ours, so a name that is missing is a mistake of ours.
    ///
    /// # Panics
    ///
    /// Where the table has no such key.
    #[must_use]
    pub fn named<'a>(keys: &'a [Self], name: &str) -> &'a Self {
        keys.iter().find(|key| key.name == name).expect("every key that is read is in its table")
    }

    const fn new(
        name: &'static str,
        default: &'static str,
        shape: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, default, repeats: false, shape, meaning }
    }

    const fn list(name: &'static str, shape: &'static str, meaning: &'static str) -> Self {
        Self { name, default: "", repeats: true, shape, meaning }
    }
}

/// The keys of `ConnectionManager.conf`.
pub const CONNECTION_MANAGER: &[Key] = &[
    Key::new(
        "LogLevel",
        "INFO",
        "TRACE, DEBUG, INFO, WARN or ERROR",
        "what is logged, at or above",
    ),
    Key::new(
        "BrokerType",
        "",
        "text",
        "type of the connection broker; for people, nothing depends on it",
    ),
    Key::new("PcoipAddress", "", "https://HOST[:PORT]", "the connection broker; required"),
    Key::new("BrokerCertCheck", "true", "true or false", "verify the broker's certificate"),
    Key::list(
        "BrokerCertPin",
        "sha256:HEX",
        "certificate or key of the broker that is trusted as it is",
    ),
    Key::new(
        "BrokerMaxRespWaitSeconds",
        "40",
        "seconds",
        "longest wait for an answer of the broker",
    ),
    Key::new("AgentCertCheck", "false", "true or false", "verify agents' certificates"),
    Key::new("AgentPort", "60443", "port", "where agents are called to launch a session"),
    Key::list(
        "AllowedAgents",
        "IP[/BITS]",
        "networks where agents may be although the broker does not name them, and whatever special \
         address they have",
    ),
    Key::new(
        "AgentMaxRespWaitSeconds",
        "60",
        "seconds",
        "longest wait for an agent to launch a session",
    ),
    Key::list(
        "LicenseServerAddress",
        "URL or port@host",
        "license servers handed to agents, tried in order",
    ),
    Key::new(
        "SecurityGatewayEnabled",
        "true",
        "true or false",
        "sessions go through the own security gateway",
    ),
    Key::list("ExternalRoutableIP", "IP", "public address of the own gateway, one a family"),
    Key::new(
        "ExternalPort",
        "4172",
        "port",
        "port of the own gateway that clients are told; other gateways are at 4172",
    ),
    Key::list("ExternalSecurityGateway", "IP", "public address of another gateway, tried in order"),
    Key::list(
        "ExternalSecurityGatewayControl",
        "IP=HOST:PORT",
        "where that gateway takes announcements; its public address and 443 unless given",
    ),
    Key::list(
        "ExternalSecurityGatewayPin",
        "IP=sha256:HEX",
        "certificate or key of that gateway that is trusted as it is",
    ),
    Key::new(
        "JwtSigningKey",
        "/opt/teradici/pcoipcm_data/certs/jwt-signing.key",
        "path",
        "PEM key that signs announcements to gateways",
    ),
    Key::list(
        "HostAddress",
        "NAME or IP",
        "name and address that clients know this host by, one each: told in `pcm-info` and redirects",
    ),
    Key::new(
        "ListenAddress",
        "0.0.0.0:443",
        "IP:PORT",
        "where clients reach the connection manager",
    ),
    Key::new(
        "HttpListenAddress",
        "0.0.0.0:80",
        "IP:PORT or off",
        "where plain HTTP is answered with a redirect to HTTPS",
    ),
    Key::new(
        "SslCertificate",
        "/opt/teradici/pcoipcm_data/certs/cmsg.crt",
        "path",
        "PEM certificate, followed by its chain",
    ),
    Key::new(
        "SslKey",
        "/opt/teradici/pcoipcm_data/certs/cmsg.key",
        "path",
        "PEM key of that certificate",
    ),
    Key::list(
        "CaCertificate",
        "path",
        "PEM certificates that upstream peers are verified with, beside the host's",
    ),
    Key::list(
        "TrustedProxies",
        "IP[/BITS]",
        "proxies whose `X-Forwarded-For` is used; ignored from all others",
    ),
    Key::new("MaxConnections", "10000", "1 to 100000", "client connections at once"),
    Key::new("TlsHandshakeSeconds", "10", "seconds", "longest TLS handshake of a client"),
    Key::new("HttpHeadSeconds", "10", "seconds", "longest wait for the head of a request"),
    Key::new("SessionIdleSeconds", "900", "seconds", "after which a session that is not used ends"),
    Key::new("DataDirectory", "/opt/teradici/pcoipcm_data/state", "path", "state"),
    Key::new("RunDirectory", "/opt/teradici/pcoipcm_data/run", "path", "unix sockets"),
    Key::new("LogDirectory", "/var/log/Teradici/ConnectionManager", "path", "log files"),
    Key::new(
        "OauthEnabled",
        "false",
        "true or false",
        "kept for OAuth; has no effect yet: clients authenticate at an identity provider",
    ),
    Key::new(
        "IdProviderUrl",
        "",
        "https://HOST[:PORT][/PATH]",
        "kept for OAuth; has no effect yet: the identity provider",
    ),
    Key::new(
        "OauthClientId",
        "",
        "text",
        "kept for OAuth; has no effect yet: the client ID that the identity provider gave",
    ),
    Key::new(
        "FederatedAuthUrl",
        "",
        "https://HOST[:PORT][/PATH]",
        "kept for OAuth; has no effect yet: the federated authentication broker that agents are told",
    ),
    Key::new(
        "SsoEnabled",
        "false",
        "true or false",
        "kept for single sign-on; has no effect yet: users are logged on to their desktops",
    ),
    Key::new(
        "SsoSigningCertificate",
        "",
        "path",
        "kept for single sign-on; has no effect yet: PEM certificate of the intermediate authority",
    ),
    Key::new(
        "SsoSigningKey",
        "",
        "path",
        "kept for single sign-on; has no effect yet: PEM key of that certificate",
    ),
    Key::new(
        "SsoSigningCrl",
        "",
        "path",
        "kept for single sign-on; has no effect yet: list of the certificates that the authority revoked",
    ),
    Key::new(
        "SsoEnrollmentUrl",
        "",
        "https://HOST[:PORT][/PATH]",
        "kept for single sign-on; has no effect yet: web enrolment service of the certification authority",
    ),
    Key::new(
        "SsoEnrollmentDomain",
        "",
        "domain",
        "kept for single sign-on; has no effect yet: domain of the user who enrols there",
    ),
    Key::new(
        "SsoEnrollmentUsername",
        "",
        "text",
        "kept for single sign-on; has no effect yet: user who enrols there",
    ),
    Key::new(
        "SsoEnrollmentPasswordFile",
        "",
        "path",
        "kept for single sign-on; has no effect yet: file with that user's password",
    ),
    Key::new(
        "SsoEnrollmentTemplate",
        "",
        "text",
        "kept for single sign-on; has no effect yet: template by which certificates are signed there",
    ),
    Key::new(
        "HorizonEnabled",
        "false",
        "true or false",
        "kept for VMware Horizon; has no effect yet: VMware Horizon is the broker",
    ),
    Key::new(
        "TrustedLicenseCertificate",
        "",
        "path",
        "kept for trusted licences; has no effect yet: PEM certificate of a trusted customer licence",
    ),
    Key::new(
        "TrustedLicenseKey",
        "",
        "path",
        "kept for trusted licences; has no effect yet: PEM key of that certificate",
    ),
];

/// The keys of `SecurityGateway.conf`.
pub const SECURITY_GATEWAY: &[Key] = &[
    Key::new(
        "LogLevel",
        "INFO",
        "TRACE, DEBUG, INFO, WARN or ERROR",
        "what is logged, at or above",
    ),
    Key::list("ExternalRoutableIP", "IP", "public address of this gateway, one a family; required"),
    Key::new("MaxConnections", "5000", "1 to 100000", "sessions at once"),
    Key::new(
        "ListenAddress",
        "0.0.0.0:4172",
        "IP:PORT",
        "where clients reach the gateway, TCP and UDP",
    ),
    Key::new(
        "HttpsListenAddress",
        "off",
        "IP:PORT or off",
        "where a gateway without a connection manager beside it takes announcements and answers \
         `/health`",
    ),
    Key::new("UdpSourceAddress", "0.0.0.0:55000", "IP:PORT", "where datagrams to agents come from"),
    Key::new(
        "SslCertificate",
        "/opt/teradici/pcoipcm_data/certs/cmsg.crt",
        "path",
        "PEM certificate, followed by its chain",
    ),
    Key::new(
        "SslKey",
        "/opt/teradici/pcoipcm_data/certs/cmsg.key",
        "path",
        "PEM key of that certificate",
    ),
    Key::list(
        "CaCertificate",
        "path",
        "PEM certificates that agents are verified with, beside the host's",
    ),
    Key::new("AgentCertCheck", "false", "true or false", "verify agents' certificates"),
    Key::new("AgentSni", "", "host name", "server name sent to agents; none unless given"),
    Key::list(
        "AllowedAgents",
        "IP[/BITS]",
        "networks where agents may have a loopback, link-local or own address of the gateway",
    ),
    Key::new(
        "JwtVerifyingCertificate",
        "/opt/teradici/pcoipcm_data/certs/jwt-verifying.crt",
        "path",
        "PEM certificates of connection managers whose announcements are taken",
    ),
    Key::new("RewriteAddresses", "off", "off", "control bytes are relayed unchanged"),
    Key::new("TlsHandshakeSeconds", "10", "seconds", "longest TLS handshake"),
    Key::new("HttpHeadSeconds", "10", "seconds", "longest wait for the head of a request"),
    Key::new("TagSeconds", "10", "seconds", "longest wait for the session tag after the handshake"),
    Key::new(
        "AnnouncedSeconds",
        "240",
        "seconds",
        "after which an announced session that nobody used ends",
    ),
    Key::new(
        "ResumeSeconds",
        "300",
        "seconds",
        "after which a session without a control connection ends",
    ),
    Key::new(
        "UdpIdleSeconds",
        "60",
        "seconds",
        "after which a silent flow of datagrams ends when its control connection is gone",
    ),
    Key::new("DataDirectory", "/opt/teradici/pcoipcm_data/state", "path", "state"),
    Key::new("RunDirectory", "/opt/teradici/pcoipcm_data/run", "path", "unix sockets"),
    Key::new("LogDirectory", "/var/log/Teradici/SecurityGateway", "path", "log files"),
    Key::new(
        "CollaborationEnabled",
        "true",
        "true or false",
        "kept for collaboration; has no effect yet: clients share a session (UDP 64172 of agents)",
    ),
];
