//! Flags, where each takes effect, and which services restart.

use Role::{Cm, Sg};
use cmsg_config::socket::Role;

/// Flags that are given together, where they take effect, and which services restart.
pub(crate) type Row = (&'static [&'static str], &'static [Arrives], &'static [Role]);

/// Where a flag takes effect.
pub(crate) enum Arrives {
    /// In this listener of the role, by its key.
    Listens(Role, &'static str, &'static str),
    /// In the role's file, with this key.
    Stands(Role, &'static str, &'static [&'static str]),
    /// In the engine's network.
    Network(&'static str),
    /// As a copy of another file, which may be removed.
    Copied(&'static str, &'static str),
    /// As a name in the certificate of both roles.
    Named(&'static str),
    /// As `false` in the saved answers, and nowhere else.
    Kept(&'static str),
    /// As a removal from the saved answers.
    Forgotten(&'static str),
}
use Arrives::{Copied, Forgotten, Kept, Listens, Named, Network, Stands};

/// Rows that can all be given to one installation.
pub(crate) const FIRST: &[Row] = &[
    (
        &[
            "--broker-url=https://127.0.0.1:2",
            "--broker-cert-check=false",
            "--agent-port=60444",
            "--license-server-url=https://licence.example/one",
            "--license-server-url=https://licence.example/two",
            "--enable-horizon",
        ],
        &[
            Stands(Cm, "PcoipAddress", &["https://127.0.0.1:2"]),
            Stands(Cm, "BrokerCertCheck", &["false"]),
            Stands(Cm, "AgentPort", &["60444"]),
            Stands(
                Cm,
                "LicenseServerAddress",
                &["https://licence.example/one", "https://licence.example/two"],
            ),
            Stands(Cm, "HorizonEnabled", &["true"]),
        ],
        &[Cm],
    ),
    (
        &[
            "--id-provider-url=https://idp.example/oauth2",
            "--oauth-client-id=0oa1",
            "--fa-url=https://cac.example:8443",
            "--sso-enrollment-url=https://ca.example/certsrv",
            "--sso-enrollment-domain=corp.example",
            "--sso-enrollment-username=svc",
            "--sso-enrollment-password=@/root/password",
            "--sso-enrollment-certificate-template-name=Smartcard",
        ],
        &[
            Stands(Cm, "IdProviderUrl", &["https://idp.example/oauth2"]),
            Stands(Cm, "OauthClientId", &["0oa1"]),
            Stands(Cm, "FederatedAuthUrl", &["https://cac.example:8443"]),
            Stands(Cm, "SsoEnrollmentUrl", &["https://ca.example/certsrv"]),
            Stands(Cm, "SsoEnrollmentDomain", &["corp.example"]),
            Stands(Cm, "SsoEnrollmentUsername", &["svc"]),
            Stands(
                Cm,
                "SsoEnrollmentPasswordFile",
                &["/opt/teradici/pcoipcm_data/data/secrets/sso-enrollment-password"],
            ),
            Stands(Cm, "SsoEnrollmentTemplate", &["Smartcard"]),
        ],
        &[Cm],
    ),
    (
        &[
            "--listen=http=0.0.0.0:8080",
            "--listen=udp-source=0.0.0.0:55001",
            "--enable-collaboration=false",
        ],
        &[
            Listens(Cm, "http", "0.0.0.0:8080"),
            Listens(Sg, "udp-source", "0.0.0.0:55001"),
            Stands(Sg, "CollaborationEnabled", &["false"]),
        ],
        &[Cm, Sg],
    ),
    (
        &[
            "--external-sg-ip=192.0.2.7",
            "--external-sg-ip=192.0.2.8",
            "--external-sg-control=192.0.2.8=127.0.0.1:3",
            "--external-sg-pin=192.0.2.7=sha256:\
             00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        ],
        &[
            Stands(Cm, "ExternalSecurityGateway", &["192.0.2.7", "192.0.2.8"]),
            Stands(Cm, "ExternalSecurityGatewayControl", &["192.0.2.8=127.0.0.1:3"]),
            Stands(
                Cm,
                "ExternalSecurityGatewayPin",
                &["192.0.2.7=sha256:\
                 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"],
            ),
        ],
        &[Cm],
    ),
    (
        &["--host-address=other.example", "--host-address=192.0.2.9"],
        &[
            Named("DNS:other.example"),
            Named("IP Address:192.0.2.9"),
            Stands(Cm, "HostAddress", &["other.example", "192.0.2.9"]),
        ],
        &[Cm],
    ),
    (
        &["--jwt-signing-key=/root/jwt.key", "--jwt-verifying-cert=/root/jwt.crt"],
        &[Copied("jwt-signing.key", "jwt.key"), Copied("jwt-verifying.crt", "jwt.crt")],
        &[],
    ),
    (
        &["--trusted-license-cert=/root/cm.crt", "--trusted-license-cert-key=/root/cm.key"],
        &[
            Copied("tcl-cert.crt", "cm.crt"),
            Copied("tcl-cert.key", "cm.key"),
            Stands(
                Cm,
                "TrustedLicenseCertificate",
                &["/opt/teradici/pcoipcm_data/certs/tcl-cert.crt"],
            ),
            Stands(Cm, "TrustedLicenseKey", &["/opt/teradici/pcoipcm_data/certs/tcl-cert.key"]),
        ],
        &[Cm],
    ),
    (
        &["--allowed-agents=10.9.0.0/16", "--allowed-agents=2001:db8:9::/48"],
        &[
            Stands(Cm, "AllowedAgents", &["10.9.0.0/16", "2001:db8:9::/48"]),
            Stands(Sg, "AllowedAgents", &["10.9.0.0/16", "2001:db8:9::/48"]),
        ],
        &[Cm, Sg],
    ),
    (
        &["--trusted-proxies=10.8.0.1", "--trusted-proxies=2001:db8:8::/48"],
        &[Stands(Cm, "TrustedProxies", &["10.8.0.1/32", "2001:db8:8::/48"])],
        &[Cm],
    ),
    (&["--docker-network-cidr=10.77.0.0/24"], &[Network("10.77.0.0/24")], &[]),
    (
        &["--enable-ipv6", "--external-pcoip-ip=192.0.2.1", "--external-pcoip-ip=2001:db8::1"],
        &[
            Listens(Cm, "broker", "[::]:443"),
            Listens(Sg, "pcoip", "[::]:4172"),
            Stands(Cm, "ExternalRoutableIP", &["192.0.2.1", "2001:db8::1"]),
            Stands(Sg, "ExternalRoutableIP", &["192.0.2.1", "2001:db8::1"]),
            Named("IP Address:2001:DB8:0:0:0:0:0:1"),
        ],
        &[Cm, Sg],
    ),
];

/// Rows that only undo the effect of earlier ones.
pub(crate) const BACK: &[Row] = &[
    (
        &["--enable-ipv6=false", "--external-pcoip-ip=192.0.2.1"],
        &[
            Listens(Cm, "broker", "0.0.0.0:443"),
            Listens(Sg, "pcoip", "0.0.0.0:4172"),
            Stands(Sg, "ExternalRoutableIP", &["192.0.2.1"]),
        ],
        &[Cm, Sg],
    ),
    (
        // A given list replaces the saved one.
        &["--listen=http=0.0.0.0:8080", "--enable-collaboration"],
        &[
            Listens(Sg, "udp-source", "0.0.0.0:55000"),
            Stands(Sg, "CollaborationEnabled", &["true"]),
            Listens(Cm, "http", "0.0.0.0:8080"),
        ],
        &[Sg],
    ),
    (
        &[
            "--clear-trusted-license",
            "--external-sg-ip=",
            "--external-sg-control=",
            "--external-sg-pin=",
            "--license-server-url=",
        ],
        &[
            Stands(Cm, "TrustedLicenseCertificate", &[]),
            Stands(Cm, "TrustedLicenseKey", &[]),
            Stands(Cm, "ExternalSecurityGateway", &[]),
            Stands(Cm, "ExternalSecurityGatewayControl", &[]),
            Stands(Cm, "ExternalSecurityGatewayPin", &[]),
            Stands(Cm, "LicenseServerAddress", &[]),
        ],
        &[Cm],
    ),
    (
        &["--clear-host-address"],
        &[Forgotten("host-address"), Stands(Cm, "HostAddress", &[])],
        &[Cm],
    ),
    (&["--ignore-disk-req=false"], &[Kept("ignore-disk-req")], &[]),
];

/// Rows that exclude some of the first ones, and can be given all at once too.
pub(crate) const SECOND: &[Row] = &[
    (
        &[
            "--self-signed=false",
            "--ssl-cert=/root/cm.crt",
            "--ssl-key=/root/cm.key",
            "--ca-cert=/root/ca.crt",
        ],
        &[
            Named("DNS:cm.example"),
            Copied("cmsg.crt", "cm.crt"),
            Copied("cmsg.key", "cm.key"),
            Stands(Cm, "CaCertificate", &["/opt/teradici/pcoipcm_data/certs/ca.crt"]),
            Stands(Sg, "CaCertificate", &["/opt/teradici/pcoipcm_data/certs/ca.crt"]),
        ],
        &[Cm, Sg],
    ),
    (
        &[
            "--sso-signing-csr-ca=/root/ca.crt",
            "--sso-signing-csr-key=/root/ca.key",
            "--sso-signing-crl=/root/ca.crl",
        ],
        &[
            Stands(
                Cm,
                "SsoSigningCertificate",
                &["/opt/teradici/pcoipcm_data/certs/sso-signing-ca.crt"],
            ),
            Stands(Cm, "SsoSigningKey", &["/opt/teradici/pcoipcm_data/certs/sso-signing-ca.key"]),
            Stands(Cm, "SsoSigningCrl", &["/opt/teradici/pcoipcm_data/certs/sso-signing.crl"]),
            Copied("sso-signing-ca.key", "ca.key"),
            Copied("sso-signing.crl", "ca.crl"),
            Stands(Cm, "SsoEnrollmentUrl", &[]),
        ],
        &[Cm],
    ),
    (
        &["--listen=pcoip=0.0.0.0:5173"],
        &[
            Listens(Sg, "pcoip", "0.0.0.0:5173"),
            Stands(Cm, "ExternalPort", &["5173"]),
            Listens(Sg, "udp-source", "0.0.0.0:55000"),
            Listens(Cm, "http", "0.0.0.0:80"),
        ],
        &[Cm, Sg],
    ),
];

/// Flags without a row, and the tests that cover them.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("runtime", "stack_changes/flags.rs"),
    ("root", "stack_changes/flags.rs"),
    ("daemon", "interrupted/supervisors.rs"),
    ("adopt", "adopting.rs"),
    ("enable-connection-manager", "stack_changes/flags.rs"),
    ("enable-security-gateway", "stack_changes/flags.rs"),
    ("accept-policies", "adopting.rs"),
    ("broker-pin", "broker_trust/logons.rs"),
    ("enable-oauth", "kept_settings/authentication.rs"),
    ("enable-sso", "kept_settings/authentication.rs"),
    ("compose-file", "swarm/composed.rs"),
    ("darksite-bundle-path", "stack/darksite.rs"),
    ("docker-registry", "registry/installed.rs"),
    ("docker-username", "registry/installed.rs"),
    ("docker-password", "registry/installed.rs"),
];
