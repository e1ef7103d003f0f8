//! The settings, one by one.

use super::Row;

const PLACE: &str = "Target";
const ROLES: &str = "Roles";
const SESSIONS: &str = "Sessions";
const NETWORK: &str = "Network";
const CERTIFICATES: &str = "Certificates and keys";
const CHECKS: &str = "Checks";
const DOCKER: &str = "Docker";
const FEDERATED: &str = "Federated authentication";
const SSO: &str = "Federated authentication, single sign-on";
const LICENCE: &str = "Trusted customer license";

// In the order of the help and of the answers file.
settings! {
    Runtime = Row::one(
        "runtime",
        "swarm|host",
        "Where the services run: in Docker Swarm, or directly on the host under systemd or the product's own supervisor",
    )
    .by_default("swarm")
    .under(PLACE),
    Root = Row::path(
        "root",
        "DIR",
        "Install below this directory, without root rights and on free ports (for tests)",
    )
    .not_kept()
    .under(PLACE),
    Daemon = Row::path(
        "daemon",
        "PATH",
        "Daemon to install with `--runtime=host` [default: pcoip-cmsgd next to this program, or the packaged one]",
    )
    .not_kept()
    .under(PLACE),
    Adopt = Row::switch(
        "adopt",
        "false",
        "Take over HP's own installation in Docker Swarm on this host: settings, certificates and ports",
    )
    .not_kept()
    .under(PLACE),
    EnableConnectionManager = Row::switch(
        "enable-connection-manager",
        "true",
        "Install the Connection Manager",
    )
    .under(ROLES),
    EnableSecurityGateway = Row::switch(
        "enable-security-gateway",
        "true",
        "Install the Security Gateway",
    )
    .under(ROLES),
    BrokerUrl = Row::one(
        "broker-url",
        "URL",
        "Connection broker, https://HOST[:PORT] [required with the Connection Manager]",
    )
    .under(SESSIONS),
    BrokerCertCheck = Row::switch(
        "broker-cert-check",
        "true",
        "Verify the connection broker's certificate",
    )
    .under(SESSIONS),
    BrokerPin = Row::list(
        "broker-pin",
        "sha256:HEX",
        "SHA-256 fingerprint of a broker certificate or public key to trust without a CA; \
         repeatable; saved in ConnectionManager.conf",
    )
    .not_kept()
    .under(SESSIONS),
    ExternalPcoipIp = Row::list(
        "external-pcoip-ip",
        "IP",
        "Address of this host's Security Gateway as clients reach it; repeat it for IPv4 and IPv6 [required with the Security Gateway]",
    )
    .under(SESSIONS),
    ExternalSgIp = Row::list(
        "external-sg-ip",
        "IP",
        "Address of another Security Gateway as clients reach it, tried in the given order; repeatable",
    )
    .under(SESSIONS),
    ExternalSgControl = Row::list(
        "external-sg-control",
        "IP=HOST:PORT",
        "Address to send announcements to that gateway, if not port 443 of its external address; \
         repeatable, also for several gateways that share an IP",
    )
    .under(SESSIONS),
    ExternalSgPin = Row::list(
        "external-sg-pin",
        "IP=sha256:HEX",
        "SHA-256 fingerprint of a certificate or public key to trust for that gateway without a \
         CA, or HOST:PORT=sha256:HEX with its control address; repeatable",
    )
    .under(SESSIONS),
    LicenseServerUrl = Row::list(
        "license-server-url",
        "URL",
        "License server for the agents, tried in the given order; repeatable",
    )
    .under(SESSIONS),
    AgentPort = Row::one("agent-port", "PORT", "HTTPS port of the PCoIP agents")
        .by_default("60443")
        .under(SESSIONS),
    AllowedAgents = Row::list(
        "allowed-agents",
        "IP[/BITS]",
        "Network whose agents are accepted even if the broker does not provide their addresses, or \
         if they have loopback or link-local addresses; repeatable",
    )
    .under(SESSIONS),
    EnableCollaboration = Row::switch(
        "enable-collaboration",
        "true",
        "Let several clients share a session (UDP port 64172 of the agents)",
    )
    .later(SESSIONS),
    EnableHorizon = Row::switch(
        "enable-horizon",
        "false",
        "Use VMware Horizon as the connection broker",
    )
    .later(SESSIONS),
    HostAddress = Row::list(
        "host-address",
        "ADDRESS",
        "Name or IP address by which clients reach this host, for certificates, redirects and `pcm-info`; repeat it for one name and one address",
    )
    .under(NETWORK),
    ClearHostAddress = Row::switch(
        "clear-host-address",
        "false",
        "Remove the saved `--host-address`",
    )
    .not_kept()
    .under(NETWORK),
    Listen = Row::list(
        "listen",
        "KEY=ADDR:PORT",
        "Listening address of `broker` (HTTPS, also of a gateway alone), `pcoip`, `udp-source` or `http` (`http=off` disables it); port 0 picks a free port; default under `--root`: 127.0.0.1:0; repeatable",
    )
    .under(NETWORK),
    EnableIpv6 = Row::switch("enable-ipv6", "false", "Accept connections over IPv6").under(NETWORK),
    TrustedProxies = Row::list(
        "trusted-proxies",
        "IP[/BITS]",
        "Network of the load balancers and proxies whose `X-Forwarded-For` header the Connection Manager trusts; repeatable",
    )
    .under(NETWORK),
    DockerNetworkCidr = Row::one(
        "docker-network-cidr",
        "CIDR",
        "Address range of the services' network in Docker Swarm",
    )
    .by_default("10.101.0.0/24")
    .under(NETWORK),
    SelfSigned = Row::switch(
        "self-signed",
        "false",
        "Generate a self-signed certificate, valid for 397 days; `--ssl-cert` and `--ssl-key` are ignored",
    )
    .under(CERTIFICATES),
    SslCert = Row::path("ssl-cert", "FILE", "PEM certificate of both roles, followed by its chain [required without `--self-signed`]")
        .under(CERTIFICATES),
    SslKey = Row::path("ssl-key", "FILE", "PEM private key of `--ssl-cert` [required without `--self-signed`]").under(CERTIFICATES),
    CaCert = Row::path(
        "ca-cert",
        "FILE",
        "PEM certificates of the CAs that issued `--ssl-cert` and the certificates of the broker \
         and other gateways",
    )
    .under(CERTIFICATES),
    JwtSigningKey = Row::path(
        "jwt-signing-key",
        "FILE",
        "PEM private key that signs announcements to gateways [default: generated]",
    )
    .under(CERTIFICATES),
    JwtVerifyingCert = Row::path(
        "jwt-verifying-cert",
        "FILE",
        "PEM certificates of the Connection Managers whose announcements this gateway accepts",
    )
    .under(CERTIFICATES),
    IgnoreDiskReq = Row::switch(
        "ignore-disk-req",
        "false",
        "Install with less than 10 GB of free disk space",
    )
    .under(CHECKS),
    AcceptPolicies = Row::switch(
        "accept-policies",
        "false",
        "Accept the license (Apache-2.0) and the privacy statement (nothing is collected or sent) [required]",
    )
    .under(CHECKS),
    TrustedLicenseCert = Row::path(
        "trusted-license-cert",
        "FILE",
        "PEM certificate of a trusted customer license [default: certs/tcl-cert.crt, the installed copy]",
    )
    .later(LICENCE),
    TrustedLicenseCertKey = Row::path(
        "trusted-license-cert-key",
        "FILE",
        "PEM private key of that certificate [default: certs/tcl-cert.key, the installed copy]",
    )
    .later(LICENCE),
    ClearTrustedLicense = Row::switch(
        "clear-trusted-license",
        "false",
        "Remove the installed copies of that certificate and its key",
    )
    .not_kept()
    .under(LICENCE),
    ComposeFile = Row::path(
        "compose-file",
        "FILE",
        "Docker Compose file to deploy instead of the built-in one",
    )
    .under(DOCKER),
    DarksiteBundlePath = Row::path(
        "darksite-bundle-path",
        "PATH",
        "Bundle to install from without a network, or the directory it was unpacked to",
    )
    .not_kept()
    .under(DOCKER),
    DockerRegistry = Row::one(
        "docker-registry",
        "HOST[:PORT][/PATH]",
        "Registry to pull the images from [default: load pcoip-cmsg-images.tar next to this program, or the packaged one]",
    )
    .under(DOCKER),
    DockerUsername = Row::one(
        "docker-username",
        "NAME",
        "User name for that registry",
    )
    .under(DOCKER),
    DockerPassword = Row::secret("docker-password", "Password for that registry, from a file or standard input").under(DOCKER),
    EnableOauth = Row::switch(
        "enable-oauth",
        "false",
        "Authenticate clients with an identity provider; not supported yet: `true` is refused",
    )
    .under(FEDERATED),
    IdProviderUrl = Row::one(
        "id-provider-url",
        "URL",
        "Identity provider, e.g. https://provider-1234567890.id.provider.com",
    )
    .later(FEDERATED),
    OauthClientId = Row::one(
        "oauth-client-id",
        "ID",
        "Client ID that the identity provider assigned",
    )
    .later(FEDERATED),
    FaUrl = Row::one(
        "fa-url",
        "URL",
        "Federated authentication broker that agents use if it is not this host, e.g. https://cac-vm-fqdn:8443",
    )
    .later(SSO),
    EnableSso = Row::switch(
        "enable-sso",
        "false",
        "Log users on to their desktops without asking again; not supported yet: `true` is refused",
    )
    .under(SSO),
    SsoSigningCsrCa = Row::path(
        "sso-signing-csr-ca",
        "FILE",
        "PEM certificate of the intermediate authority",
    )
    .later(SSO),
    SsoSigningCsrKey = Row::path(
        "sso-signing-csr-key",
        "FILE",
        "PEM private key of that certificate",
    )
    .later(SSO),
    SsoSigningCrl = Row::path(
        "sso-signing-crl",
        "FILE",
        "Certificate revocation list of that authority, PEM or DER; optional",
    )
    .later(SSO),
    SsoEnrollmentUrl = Row::one(
        "sso-enrollment-url",
        "URL",
        "Web enrollment service of the Active Directory certification authority",
    )
    .later(SSO),
    SsoEnrollmentDomain = Row::one(
        "sso-enrollment-domain",
        "DOMAIN",
        "Domain of the enrollment user",
    )
    .later(SSO),
    SsoEnrollmentUsername = Row::one(
        "sso-enrollment-username",
        "NAME",
        "Name of the enrollment user",
    )
    .later(SSO),
    SsoEnrollmentPassword = Row::secret(
        "sso-enrollment-password",
        "Password of the enrollment user, from a file or standard input",
    )
    .later(SSO),
    SsoEnrollmentCertificateTemplateName = Row::one(
        "sso-enrollment-certificate-template-name",
        "NAME",
        "Certificate template that the enrollment service uses",
    )
    .later(SSO),
}
