//! The settings, one by one.

use super::Setting;

const PLACE: &str = "Where";
const ROLES: &str = "Roles";
const SESSIONS: &str = "Sessions";
const NETWORK: &str = "Network";
const CERTIFICATES: &str = "Certificates and keys";
const CHECKS: &str = "Checks";
pub(super) const ABSENT: &str = "Of the documented product, not in this version";
const DOCKER: &str = "Docker Swarm";
const FEDERATION: &str = "federated authentication";
const SSO: &str = "single sign-on";
const LICENCE: &str = "trusted customer licences";

/// All settings in the order of the help and of the answers file.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting::one(
        "runtime",
        "swarm|host",
        "What runs the daemon: Docker Swarm, or the host itself with its own supervisor",
    )
    .by_default("swarm")
    .under(PLACE),
    Setting::path(
        "root",
        "DIR",
        "Put everything under this folder; needs no root rights and no fixed port",
    )
    .not_kept()
    .under(PLACE),
    Setting::path(
        "daemon",
        "PATH",
        "The daemon to install with `--runtime=host` [default: pcoip-cmsgd beside this program]",
    )
    .not_kept()
    .under(PLACE),
    Setting::switch("enable-connection-manager", "true", "Install the Connection Manager")
        .under(ROLES),
    Setting::switch("enable-security-gateway", "true", "Install the Security Gateway").under(ROLES),
    Setting::one("broker-url", "URL", "The connection broker: https://HOST[:PORT]").under(SESSIONS),
    Setting::list(
        "external-pcoip-ip",
        "IP",
        "Public address of this host's Security Gateway; twice for IPv4 and IPv6",
    )
    .under(SESSIONS),
    Setting::list(
        "external-sg-ip",
        "IP",
        "Public address of another Security Gateway, tried in order; repeatable",
    )
    .under(SESSIONS),
    Setting::list(
        "external-sg-control",
        "IP=HOST:PORT",
        "Where that gateway takes announcements, if not at its public address on 443; repeatable",
    )
    .under(SESSIONS),
    Setting::list(
        "external-sg-pin",
        "IP=sha256:HEX",
        "Certificate or key of that gateway that is trusted as it is; repeatable",
    )
    .under(SESSIONS),
    Setting::list(
        "license-server-url",
        "URL",
        "License server handed to agents, tried in order; repeatable",
    )
    .under(SESSIONS),
    Setting::one("agent-port", "PORT", "Port where agents are called")
        .by_default("60443")
        .under(SESSIONS),
    Setting::list(
        "host-address",
        "ADDRESS",
        "Name and address by which clients reach this host; twice for a FQDN and an IP",
    )
    .under(NETWORK),
    Setting::switch("clear-host-address", "false", "Take back the saved `--host-address`")
        .not_kept()
        .under(NETWORK),
    Setting::list(
        "listen",
        "KEY=ADDR:PORT",
        "Where to listen: broker (HTTPS, also of a gateway alone), pcoip, udp-source or http \
         (http=off); port 0 takes a free one; under `--root` the default is 127.0.0.1 and 0; \
         repeatable",
    )
    .under(NETWORK),
    Setting::switch("enable-ipv6", "false", "Take IPv6 connections").under(NETWORK),
    Setting::one("docker-network-cidr", "CIDR", "Network of the services in Docker Swarm")
        .by_default("10.101.0.0/24")
        .under(NETWORK),
    Setting::switch(
        "self-signed",
        "false",
        "Make a self-signed certificate, valid for 397 days; `--ssl-cert` and `--ssl-key` are \
         ignored",
    )
    .under(CERTIFICATES),
    Setting::path("ssl-cert", "FILE", "PEM certificate for both roles, followed by its chain")
        .under(CERTIFICATES),
    Setting::path("ssl-key", "FILE", "PEM key of that certificate").under(CERTIFICATES),
    Setting::path(
        "ca-cert",
        "FILE",
        "PEM certificates of the authority that issued it and that upstream peers are verified with",
    )
    .under(CERTIFICATES),
    Setting::path(
        "jwt-signing-key",
        "FILE",
        "PEM key that signs announcements to gateways; made if not given",
    )
    .under(CERTIFICATES),
    Setting::path(
        "jwt-verifying-cert",
        "FILE",
        "PEM certificates of the Connection Managers whose announcements the gateway takes",
    )
    .under(CERTIFICATES),
    Setting::switch("ignore-disk-req", "false", "Install with less than 10 GB of free disk space")
        .under(CHECKS),
    Setting::switch(
        "accept-policies",
        "false",
        "Accept the licence (Apache-2.0) and the privacy statement (nothing is collected or sent)",
    )
    .under(CHECKS),
    Setting::switch(
        "clear-trusted-license",
        "false",
        "Take back certificate and key of a trusted customer licence",
    )
    .lacking(LICENCE),
    Setting::path(
        "trusted-license-cert",
        "FILE",
        "Certificate of a trusted customer licence",
    )
    .lacking(LICENCE),
    Setting::path("trusted-license-cert-key", "FILE", "Key of that certificate").lacking(LICENCE),
    Setting::switch(
        "enable-collaboration",
        "true",
        "Let several clients share a session",
    )
    .lacking("switching collaboration off"),
    Setting::switch(
        "enable-horizon",
        "false",
        "Have VMware Horizon broker",
    )
    .lacking("VMware Horizon"),
    Setting::path("compose-file", "FILE", "Docker compose file of one's own").lacking(DOCKER),
    Setting::one("docker-registry", "REGISTRY", "Where images come from").lacking(DOCKER),
    Setting::one("docker-username", "NAME", "User name at that registry").lacking(DOCKER),
    Setting::one("docker-password", "PASSWORD", "Password at that registry").lacking(DOCKER),
    Setting::switch(
        "enable-oauth",
        "false",
        "Authenticate at an identity provider",
    )
    .lacking(FEDERATION),
    Setting::one("id-provider-url", "URL", "The identity provider").lacking(FEDERATION),
    Setting::one(
        "oauth-client-id",
        "ID",
        "The client ID that the identity provider gave",
    )
    .lacking(FEDERATION),
    Setting::one(
        "fa-url",
        "URL",
        "URL of the federated authentication broker that agents are given",
    )
    .lacking(FEDERATION),
    Setting::switch("enable-sso", "false", "Log users on to their desktops").lacking(SSO),
    Setting::path(
        "sso-signing-csr-ca",
        "FILE",
        "Certificate of the intermediate authority",
    )
    .lacking(SSO),
    Setting::path("sso-signing-csr-key", "FILE", "Key of the intermediate authority").lacking(SSO),
    Setting::path("sso-signing-crl", "FILE", "Its list of revoked certificates").lacking(SSO),
    Setting::one(
        "sso-enrollment-url",
        "URL",
        "Web enrolment service of the Active Directory certification authority",
    )
    .lacking(SSO),
    Setting::one(
        "sso-enrollment-domain",
        "DOMAIN",
        "Domain of the user who enrols there",
    )
    .lacking(SSO),
    Setting::one("sso-enrollment-username", "NAME", "User who enrols there").lacking(SSO),
    Setting::one("sso-enrollment-password", "PASSWORD", "Password of that user").lacking(SSO),
    Setting::one(
        "sso-enrollment-certificate-template-name",
        "NAME",
        "Template by which certificates are signed there",
    )
    .lacking(SSO),
];
