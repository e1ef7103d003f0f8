//! The settings, one by one.

use super::Row;

const PLACE: &str = "Where";
const ROLES: &str = "Roles";
const SESSIONS: &str = "Sessions";
const NETWORK: &str = "Network";
const CERTIFICATES: &str = "Certificates and keys";
const CHECKS: &str = "Checks";
const DOCKER: &str = "Docker";
const FEDERATED: &str = "Federated authentication";
const SSO: &str = "Federated authentication, single sign-on";
const LICENCE: &str = "Trusted customer licence";

// In the order of the help and of the answers file.
settings! {
    Runtime = Row::one(
        "runtime",
        "swarm|host",
        "What runs the daemon: Docker Swarm, or the host itself with systemd or a supervisor of ours",
    )
    .by_default("swarm")
    .under(PLACE),
    Root = Row::path(
        "root",
        "DIR",
        "Put everything under this folder; needs no root rights and no fixed port",
    )
    .not_kept()
    .under(PLACE),
    Daemon = Row::path(
        "daemon",
        "PATH",
        "The daemon to install with `--runtime=host` [default: pcoip-cmsgd beside this program or of \
         the package]",
    )
    .not_kept()
    .under(PLACE),
    Adopt = Row::switch(
        "adopt",
        "false",
        "Take over the documented product where Docker Swarm runs it: settings, certificates, ports",
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
        "The connection broker: https://HOST[:PORT]",
    )
    .under(SESSIONS),
    BrokerCertCheck = Row::switch(
        "broker-cert-check",
        "true",
        "Verify the certificate of the connection broker",
    )
    .under(SESSIONS),
    BrokerPin = Row::list(
        "broker-pin",
        "sha256:HEX",
        "SHA-256 fingerprint of the broker's certificate or public key, which is then trusted \
         without an authority; repeatable; kept in ConnectionManager.conf",
    )
    .not_kept()
    .under(SESSIONS),
    ExternalPcoipIp = Row::list(
        "external-pcoip-ip",
        "IP",
        "Public address of this host's Security Gateway; twice for IPv4 and IPv6",
    )
    .under(SESSIONS),
    ExternalSgIp = Row::list(
        "external-sg-ip",
        "IP",
        "Public address of another Security Gateway, tried in order; repeatable",
    )
    .under(SESSIONS),
    ExternalSgControl = Row::list(
        "external-sg-control",
        "IP=HOST:PORT",
        "Where that gateway takes announcements, if not at its public address on 443; repeatable",
    )
    .under(SESSIONS),
    ExternalSgPin = Row::list(
        "external-sg-pin",
        "IP=sha256:HEX",
        "Certificate or key of that gateway that is trusted as it is; repeatable",
    )
    .under(SESSIONS),
    LicenseServerUrl = Row::list(
        "license-server-url",
        "URL",
        "License server handed to agents, tried in order; repeatable",
    )
    .under(SESSIONS),
    AgentPort = Row::one("agent-port", "PORT", "Port where agents are called")
        .by_default("60443")
        .under(SESSIONS),
    AllowedAgents = Row::list(
        "allowed-agents",
        "IP[/BITS]",
        "Network of agents whose addresses the broker does not provide, or that have a loopback \
         or link-local address; repeatable",
    )
    .under(SESSIONS),
    EnableCollaboration = Row::switch(
        "enable-collaboration",
        "true",
        "Let several clients share a session (UDP 64172 of agents)",
    )
    .later(SESSIONS),
    EnableHorizon = Row::switch(
        "enable-horizon",
        "false",
        "Have VMware Horizon broker",
    )
    .later(SESSIONS),
    HostAddress = Row::list(
        "host-address",
        "ADDRESS",
        "FQDN or IP address that clients know this host by, one of each: used in certificates, redirects and `pcm-info`",
    )
    .under(NETWORK),
    ClearHostAddress = Row::switch(
        "clear-host-address",
        "false",
        "Take back the saved `--host-address`",
    )
    .not_kept()
    .under(NETWORK),
    Listen = Row::list(
        "listen",
        "KEY=ADDR:PORT",
        "Where to listen: broker (HTTPS, also of a gateway alone), pcoip, udp-source or http \
         (http=off); port 0 takes a free one; under `--root` the default is 127.0.0.1 and 0; \
         repeatable",
    )
    .under(NETWORK),
    EnableIpv6 = Row::switch("enable-ipv6", "false", "Take IPv6 connections").under(NETWORK),
    TrustedProxies = Row::list(
        "trusted-proxies",
        "IP[/BITS]",
        "Network of load balancers and proxies whose `X-Forwarded-For` the Connection Manager uses; \
         repeatable",
    )
    .under(NETWORK),
    DockerNetworkCidr = Row::one(
        "docker-network-cidr",
        "CIDR",
        "Network of the services in Docker Swarm",
    )
    .by_default("10.101.0.0/24")
    .under(NETWORK),
    SelfSigned = Row::switch(
        "self-signed",
        "false",
        "Make a self-signed certificate, valid for 397 days; `--ssl-cert` and `--ssl-key` are \
         ignored",
    )
    .under(CERTIFICATES),
    SslCert = Row::path("ssl-cert", "FILE", "PEM certificate for both roles, followed by its chain")
        .under(CERTIFICATES),
    SslKey = Row::path("ssl-key", "FILE", "PEM key of that certificate").under(CERTIFICATES),
    CaCert = Row::path(
        "ca-cert",
        "FILE",
        "PEM certificates of the authority that issued it and that upstream peers are verified with",
    )
    .under(CERTIFICATES),
    JwtSigningKey = Row::path(
        "jwt-signing-key",
        "FILE",
        "PEM key that signs announcements to gateways; made if not given",
    )
    .under(CERTIFICATES),
    JwtVerifyingCert = Row::path(
        "jwt-verifying-cert",
        "FILE",
        "PEM certificates of the Connection Managers whose announcements the gateway takes",
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
        "Accept the licence (Apache-2.0) and the privacy statement (nothing is collected or sent)",
    )
    .under(CHECKS),
    TrustedLicenseCert = Row::path(
        "trusted-license-cert",
        "FILE",
        "PEM certificate of a trusted customer licence [default: certs/tcl-cert.crt, where it is \
         copied to]",
    )
    .later(LICENCE),
    TrustedLicenseCertKey = Row::path(
        "trusted-license-cert-key",
        "FILE",
        "PEM key of that certificate [default: certs/tcl-cert.key, where it is copied to]",
    )
    .later(LICENCE),
    ClearTrustedLicense = Row::switch(
        "clear-trusted-license",
        "false",
        "Take back that certificate and its key",
    )
    .not_kept()
    .under(LICENCE),
    ComposeFile = Row::path(
        "compose-file",
        "FILE",
        "Docker compose file of one's own",
    )
    .under(DOCKER),
    DarksiteBundlePath = Row::path(
        "darksite-bundle-path",
        "PATH",
        "Bundle to install from without a network, or the folder that came out of it",
    )
    .not_kept()
    .under(DOCKER),
    DockerRegistry = Row::one(
        "docker-registry",
        "HOST[:PORT][/PATH]",
        "Registry that images come from [default: pcoip-cmsg-images.tar beside this program or of \
         the package]",
    )
    .under(DOCKER),
    DockerUsername = Row::one(
        "docker-username",
        "NAME",
        "User name at that registry",
    )
    .under(DOCKER),
    DockerPassword = Row::secret("docker-password", "Password at that registry").under(DOCKER),
    EnableOauth = Row::switch(
        "enable-oauth",
        "false",
        "Authenticate clients at an identity provider; not supported yet: `true` is refused",
    )
    .under(FEDERATED),
    IdProviderUrl = Row::one(
        "id-provider-url",
        "URL",
        "The identity provider, e.g. https://provider-1234567890.id.provider.com",
    )
    .later(FEDERATED),
    OauthClientId = Row::one(
        "oauth-client-id",
        "ID",
        "The client ID that the identity provider gave",
    )
    .later(FEDERATED),
    FaUrl = Row::one(
        "fa-url",
        "URL",
        "The federated authentication broker that agents are told, where it is not this host, \
         e.g. https://cac-vm-fqdn:8443",
    )
    .later(SSO),
    EnableSso = Row::switch(
        "enable-sso",
        "false",
        "Log users on to their desktops; not supported yet: `true` is refused",
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
        "PEM key of that certificate",
    )
    .later(SSO),
    SsoSigningCrl = Row::path(
        "sso-signing-crl",
        "FILE",
        "List of the certificates that this authority revoked, PEM or DER; may be left out",
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
        "Domain of the user who enrolls there",
    )
    .later(SSO),
    SsoEnrollmentUsername = Row::one(
        "sso-enrollment-username",
        "NAME",
        "User who enrolls there",
    )
    .later(SSO),
    SsoEnrollmentPassword = Row::secret(
        "sso-enrollment-password",
        "Password of that user",
    )
    .later(SSO),
    SsoEnrollmentCertificateTemplateName = Row::one(
        "sso-enrollment-certificate-template-name",
        "NAME",
        "Template by which certificates are signed there",
    )
    .later(SSO),
}
