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

    const fn path(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, default, "path", meaning)
    }

    const fn seconds(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, default, "seconds", meaning)
    }

    const fn switch(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, default, "true or false", meaning)
    }

    const fn list(name: &'static str, shape: &'static str, meaning: &'static str) -> Self {
        Self { name, default: "", repeats: true, shape, meaning }
    }
}

// Keys of both files.
const LOG_LEVEL: Key = Key::new(
    "LogLevel",
    "INFO",
    "TRACE, DEBUG, INFO, WARN or ERROR",
    "what is logged, at or above",
);
const AGENT_CERT_CHECK: Key = Key::switch("AgentCertCheck", "false", "verify agents' certificates");
const SSL_CERTIFICATE: Key = Key::path(
    "SslCertificate",
    "/opt/teradici/pcoipcm_data/certs/cmsg.crt",
    "PEM certificate, followed by its chain",
);
const SSL_KEY: Key =
    Key::path("SslKey", "/opt/teradici/pcoipcm_data/certs/cmsg.key", "PEM key of that certificate");
const HTTP_HEAD_SECONDS: Key =
    Key::seconds("HttpHeadSeconds", "10", "longest wait for the head of a request");
const DATA_DIRECTORY: Key = Key::path("DataDirectory", "/opt/teradici/pcoipcm_data/state", "state");
const RUN_DIRECTORY: Key =
    Key::path("RunDirectory", "/opt/teradici/pcoipcm_data/run", "unix sockets");

/// The keys of `ConnectionManager.conf`.
pub const CONNECTION_MANAGER: &[Key] = &[
    LOG_LEVEL,
    Key::new(
        "BrokerType",
        "",
        "text",
        "type of the connection broker; for people, nothing depends on it",
    ),
    Key::new("PcoipAddress", "", "https://HOST[:PORT]", "the connection broker; required"),
    Key::switch("BrokerCertCheck", "true", "verify the broker's certificate"),
    Key::list(
        "BrokerCertPin",
        "sha256:HEX",
        "certificate or key of the broker that is trusted as it is",
    ),
    Key::seconds("BrokerMaxRespWaitSeconds", "40", "longest wait for an answer of the broker"),
    AGENT_CERT_CHECK,
    Key::new("AgentPort", "60443", "port", "where agents are called to launch a session"),
    Key::list(
        "AllowedAgents",
        "IP[/BITS]",
        "networks where agents may be although the broker does not name them, and whatever special \
         address they have",
    ),
    Key::seconds("AgentMaxRespWaitSeconds", "60", "longest wait for an agent to launch a session"),
    Key::list(
        "LicenseServerAddress",
        "URL or port@host",
        "license servers handed to agents, tried in order",
    ),
    Key::switch("SecurityGatewayEnabled", "true", "sessions go through the own security gateway"),
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
    Key::path(
        "JwtSigningKey",
        "/opt/teradici/pcoipcm_data/certs/jwt-signing.key",
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
    SSL_CERTIFICATE,
    SSL_KEY,
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
    Key::seconds("TlsHandshakeSeconds", "10", "longest TLS handshake of a client"),
    HTTP_HEAD_SECONDS,
    Key::seconds("SessionIdleSeconds", "900", "after which a session that is not used ends"),
    DATA_DIRECTORY,
    RUN_DIRECTORY,
    Key::path("LogDirectory", "/var/log/Teradici/ConnectionManager", "log files"),
    Key::switch(
        "OauthEnabled",
        "false",
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
    Key::switch(
        "SsoEnabled",
        "false",
        "kept for single sign-on; has no effect yet: users are logged on to their desktops",
    ),
    Key::path(
        "SsoSigningCertificate",
        "",
        "kept for single sign-on; has no effect yet: PEM certificate of the intermediate authority",
    ),
    Key::path(
        "SsoSigningKey",
        "",
        "kept for single sign-on; has no effect yet: PEM key of that certificate",
    ),
    Key::path(
        "SsoSigningCrl",
        "",
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
    Key::path(
        "SsoEnrollmentPasswordFile",
        "",
        "kept for single sign-on; has no effect yet: file with that user's password",
    ),
    Key::new(
        "SsoEnrollmentTemplate",
        "",
        "text",
        "kept for single sign-on; has no effect yet: template by which certificates are signed there",
    ),
    Key::switch(
        "HorizonEnabled",
        "false",
        "kept for VMware Horizon; has no effect yet: VMware Horizon is the broker",
    ),
    Key::path(
        "TrustedLicenseCertificate",
        "",
        "kept for trusted licences; has no effect yet: PEM certificate of a trusted customer licence",
    ),
    Key::path(
        "TrustedLicenseKey",
        "",
        "kept for trusted licences; has no effect yet: PEM key of that certificate",
    ),
];

/// The keys of `SecurityGateway.conf`.
pub const SECURITY_GATEWAY: &[Key] = &[
    LOG_LEVEL,
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
    SSL_CERTIFICATE,
    SSL_KEY,
    Key::list(
        "CaCertificate",
        "path",
        "PEM certificates that agents are verified with, beside the host's",
    ),
    AGENT_CERT_CHECK,
    Key::new("AgentSni", "", "host name", "server name sent to agents; none unless given"),
    Key::list(
        "AllowedAgents",
        "IP[/BITS]",
        "networks where agents may have a loopback, link-local or own address of the gateway",
    ),
    Key::path(
        "JwtVerifyingCertificate",
        "/opt/teradici/pcoipcm_data/certs/jwt-verifying.crt",
        "PEM certificates of connection managers whose announcements are taken",
    ),
    Key::new("RewriteAddresses", "off", "off", "control bytes are relayed unchanged"),
    Key::seconds("TlsHandshakeSeconds", "10", "longest TLS handshake"),
    HTTP_HEAD_SECONDS,
    Key::seconds("TagSeconds", "10", "longest wait for the session tag after the handshake"),
    Key::seconds(
        "AnnouncedSeconds",
        "240",
        "after which an announced session that nobody used ends",
    ),
    Key::seconds("ResumeSeconds", "300", "after which a session without a control connection ends"),
    Key::seconds(
        "UdpIdleSeconds",
        "60",
        "after which a silent flow of datagrams ends when its control connection is gone",
    ),
    DATA_DIRECTORY,
    RUN_DIRECTORY,
    Key::path("LogDirectory", "/var/log/Teradici/SecurityGateway", "log files"),
    Key::switch(
        "CollaborationEnabled",
        "true",
        "kept for collaboration; has no effect yet: clients share a session (UDP 64172 of agents)",
    ),
];
