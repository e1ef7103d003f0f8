//! The table: one row for each kind of certificate, one cell for each trust setting.

use rustls::ProtocolVersion::{self, TLSv1_2, TLSv1_3};

use super::openssl::{ITSELF, Made};

/// A peer, and the expected results.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) made: Made,
    /// The issuer's certificate, if the peer presents it.
    pub(crate) sent: Option<&'static str>,
    /// The name used to connect to the peer.
    pub(crate) called: &'static str,
    /// The listed CA: one of [`ISSUERS`], or [`RENEWED`].
    pub(crate) authority: &'static str,
    pub(crate) versions: &'static [ProtocolVersion],
    /// The results in the order of [`COLUMNS`].
    pub(crate) cells: [&'static str; COLUMNS.len()],
}

/// What is trusted when connecting to a peer.
pub(crate) const COLUMNS: [&str; 7] = [
    "the certificate listed",
    "the certificate pinned",
    "the key pinned",
    "the authority listed",
    "another certificate listed and pinned",
    NOTHING_LISTED,
    "verification off",
];

pub(crate) const NOTHING_LISTED: &str = "nothing listed";

/// The cell of a trusted peer; all others are errors.
pub(crate) const TRUSTED: &str = "trusted";

/// The CA of a self-signed certificate: another certificate with the same name and key.
pub(crate) const RENEWED: &str = "renewed";

/// The certificates that issue others.
pub(crate) const ISSUERS: &[(&str, Made)] = &[
    // RSA, since MD5 and PSS require it.
    ("root", Made { key: RSA_2048, ..authority("root") }),
    ("intermediate", Made { issuer: "root", ..authority("intermediate") }),
    ("unrelated", authority("unrelated")),
    ("namesake", itself(Made::ORDINARY.extensions)),
    ("expired", Made { options: PAST, ..authority("expired") }),
    ("version1", Made { extensions: "", ..authority("version1") }),
    ("agent", Made { extensions: "basicConstraints=critical,CA:FALSE", ..authority("agent") }),
];

pub(crate) const ROWS: &[Row] = &[
    // Keys.
    Row { what: "P-256", ..ORDINARY },
    Row { what: "P-384", made: key(P_384), ..ORDINARY },
    // In TLS 1.2, OpenSSL requires the client to support the curve for key exchange too.
    Row { what: "P-521", made: key(P_521), versions: &[TLSv1_2], cells: NO_HANDSHAKE, ..ORDINARY },
    Row { what: "P-521", made: key(P_521), versions: &[TLSv1_3], ..ORDINARY },
    Row { what: "Ed25519", made: key("-algorithm ED25519"), ..ORDINARY },
    // A key that is too short proves nothing, so it is refused even with `Trust::Off`.
    Row {
        what: "RSA-1024",
        made: key("-algorithm RSA -pkeyopt rsa_keygen_bits:1024"),
        cells: [UNPROVEN, UNPROVEN, UNPROVEN, UNPROVEN, UNKNOWN, UNKNOWN, UNPROVEN],
        ..ORDINARY
    },
    Row { what: "RSA-2048", made: key(RSA_2048), ..ORDINARY },
    Row { what: "RSA-3072", made: key("-algorithm RSA -pkeyopt rsa_keygen_bits:3072"), ..ORDINARY },
    Row { what: "RSA-4096", made: key("-algorithm RSA -pkeyopt rsa_keygen_bits:4096"), ..ORDINARY },
    Row {
        what: "a key for RSA-PSS only",
        made: key("-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048"),
        cells: NO_HANDSHAKE,
        ..ORDINARY
    },
    // Self-signed.
    Row {
        what: "self-signed as by `openssl req -x509`",
        made: itself(REQ_X509),
        authority: RENEWED,
        cells: judged(IS_AUTHORITY),
        ..ORDINARY
    },
    Row {
        what: "self-signed with a SAN",
        made: itself(Made::ORDINARY.extensions),
        authority: RENEWED,
        cells: with_authority(UNKNOWN),
        ..ORDINARY
    },
    Row {
        what: "self-signed under the name of a listed one",
        made: itself(Made::ORDINARY.extensions),
        authority: "namesake",
        cells: with_authority(UNKNOWN),
        ..ORDINARY
    },
    Row {
        what: "self-signed with a CN only",
        made: itself("basicConstraints=CA:FALSE"),
        authority: RENEWED,
        cells: with_authority(UNKNOWN),
        ..ORDINARY
    },
    Row {
        what: "self-signed, version 1",
        made: itself(""),
        authority: RENEWED,
        cells: judged(VERSION),
        ..ORDINARY
    },
    // Issued by a CA, and unusual.
    Row { what: "version 1", made: with(""), cells: judged(VERSION), ..ORDINARY },
    Row {
        what: "an authority's",
        made: with("basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:peer.example.com"),
        cells: judged(IS_AUTHORITY),
        ..ORDINARY
    },
    Row {
        what: "for clients",
        made: with("extendedKeyUsage=clientAuth\nsubjectAltName=DNS:peer.example.com"),
        cells: judged(
            "invalid peer certificate: certificate does not allow extended key usage for server \
             authentication, allows client authentication",
        ),
        ..ORDINARY
    },
    Row {
        what: "expired",
        made: signed(PAST),
        cells: with_authority(
            "invalid peer certificate: certificate expired: verification time … (UNIX), but \
             certificate is not valid after 1609459200 (… seconds ago)",
        ),
        ..ORDINARY
    },
    Row {
        what: "not valid yet",
        made: signed("-startdate 20490101000000Z -enddate 20500101000000Z"),
        cells: with_authority(
            "invalid peer certificate: certificate not valid yet: verification time … (UNIX), but \
             certificate is not valid before 2493072000 (… seconds in future)",
        ),
        ..ORDINARY
    },
    // Names.
    Row {
        what: "a CN only",
        made: with("basicConstraints=CA:FALSE"),
        cells: with_authority(NO_NAMES),
        ..ORDINARY
    },
    Row {
        what: "another host's",
        made: with("subjectAltName=DNS:other.example.com"),
        cells: with_authority(
            "invalid peer certificate: certificate not valid for name \"peer.example.com\"; \
             certificate is only valid for DnsName(\"other.example.com\")",
        ),
        ..ORDINARY
    },
    Row { what: "a wildcard", made: with(WILDCARD), ..ORDINARY },
    Row {
        what: "a wildcard, two labels deep",
        made: with(WILDCARD),
        called: "one.peer.example.com",
        cells: with_authority(
            "invalid peer certificate: certificate not valid for name \"one.peer.example.com\"; \
             certificate is only valid for DnsName(\"*.example.com\")",
        ),
        ..ORDINARY
    },
    Row {
        what: "an address",
        made: with("subjectAltName=IP:127.0.0.1"),
        called: "127.0.0.1",
        ..ORDINARY
    },
    Row {
        what: "an address written as a name",
        made: with("subjectAltName=DNS:127.0.0.1"),
        called: "127.0.0.1",
        cells: with_authority(
            "invalid peer certificate: certificate not valid for name \"127.0.0.1\"; certificate \
             is only valid for DnsName(\"127.0.0.1\")",
        ),
        ..ORDINARY
    },
    Row {
        what: "a name, called by the address",
        called: "127.0.0.1",
        cells: with_authority(
            "invalid peer certificate: certificate not valid for name \"127.0.0.1\"; certificate \
             is only valid for DnsName(\"peer.example.com\")",
        ),
        ..ORDINARY
    },
    // Signatures.
    Row {
        what: "MD5-signed",
        made: signed("-md md5"),
        cells: with_authority(
            "invalid peer certificate: UnsupportedSignatureAlgorithmContext { \
             signature_algorithm_id: [6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 4, 5, 0], \
             supported_algorithms: […] }",
        ),
        ..ORDINARY
    },
    Row {
        what: "SHA-1-signed",
        made: signed("-md sha1"),
        cells: with_authority(
            "invalid peer certificate: UnsupportedSignatureAlgorithmContext { \
             signature_algorithm_id: [6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5, 5, 0], \
             supported_algorithms: […] }",
        ),
        ..ORDINARY
    },
    Row {
        what: "RSA-PSS-signed, with a salt as long as the digest",
        made: signed("-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
        ..ORDINARY
    },
    Row {
        what: "RSA-PSS-signed, with the longest salt",
        made: signed("-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max"),
        cells: with_authority(
            "invalid peer certificate: UnsupportedSignatureAlgorithmContext { \
             signature_algorithm_id: [6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 10, …], \
             supported_algorithms: […] }",
        ),
        ..ORDINARY
    },
    // Issuers.
    Row {
        what: "from an intermediate that is shown, the root listed",
        made: from("intermediate"),
        sent: Some("intermediate"),
        ..ORDINARY
    },
    Row {
        what: "from an intermediate that is shown, only that listed",
        made: from("intermediate"),
        sent: Some("intermediate"),
        authority: "intermediate",
        ..ORDINARY
    },
    Row {
        what: "from an intermediate that is missing, the root listed",
        made: from("intermediate"),
        cells: with_authority(UNKNOWN),
        ..ORDINARY
    },
    Row {
        what: "from an intermediate that is missing, only that listed",
        made: from("intermediate"),
        authority: "intermediate",
        ..ORDINARY
    },
    Row {
        what: "from an authority that has expired",
        made: from("expired"),
        authority: "expired",
        ..ORDINARY
    },
    Row {
        what: "from an authority of version 1",
        made: from("version1"),
        authority: "version1",
        cells: with_authority(UNKNOWN),
        ..ORDINARY
    },
    // A certificate that is listed to be trusted itself does not vouch for others.
    Row {
        what: "from an agent that is no authority",
        made: from("agent"),
        authority: "agent",
        cells: with_authority(UNKNOWN),
        ..ORDINARY
    },
];

const ORDINARY: Row = Row {
    what: "",
    made: Made::ORDINARY,
    sent: None,
    called: Made::ORDINARY.subject,
    authority: "root",
    versions: &[TLSv1_2, TLSv1_3],
    cells: with_authority(TRUSTED),
};

const fn key(key: &'static str) -> Made {
    Made { key, ..Made::ORDINARY }
}

const fn from(issuer: &'static str) -> Made {
    Made { issuer, ..Made::ORDINARY }
}

const fn with(extensions: &'static str) -> Made {
    Made { extensions, ..Made::ORDINARY }
}

const fn signed(options: &'static str) -> Made {
    Made { options, ..Made::ORDINARY }
}

const fn itself(extensions: &'static str) -> Made {
    Made { issuer: ITSELF, extensions, ..Made::ORDINARY }
}

const fn authority(subject: &'static str) -> Made {
    Made { subject, ..itself("basicConstraints=critical,CA:TRUE") }
}

/// The cells of a peer whose result depends on the issuer.
const fn with_authority(told: &'static str) -> [&'static str; COLUMNS.len()] {
    [TRUSTED, TRUSTED, TRUSTED, told, UNKNOWN, UNKNOWN, TRUSTED]
}

/// The cells of a peer whose certificate is refused before its issuer is checked.
const fn judged(told: &'static str) -> [&'static str; COLUMNS.len()] {
    [TRUSTED, TRUSTED, TRUSTED, told, told, told, TRUSTED]
}

/// The cells of a peer that OpenSSL cannot present.
const NO_HANDSHAKE: [&str; COLUMNS.len()] =
    ["received fatal alert: HandshakeFailure"; COLUMNS.len()];

/// The value of `x509_extensions` in OpenSSL's default configuration.
const REQ_X509: &str = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer\n\
                        basicConstraints=critical,CA:TRUE";
const WILDCARD: &str = "subjectAltName=DNS:*.example.com";
const PAST: &str = "-startdate 20200101000000Z -enddate 20210101000000Z";
const P_384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
const P_521: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-521";
const RSA_2048: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";

pub(crate) const UNKNOWN: &str = "invalid peer certificate: UnknownIssuer";
const IS_AUTHORITY: &str = "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))";
const VERSION: &str = "invalid peer certificate: Other(OtherError(UnsupportedCertVersion))";
const UNPROVEN: &str = "invalid peer certificate: BadSignature";
const NO_NAMES: &str = "invalid peer certificate: certificate not valid for name \
                        \"peer.example.com\"; certificate is not valid for any names (according \
                        to its subjectAltName extension)";
