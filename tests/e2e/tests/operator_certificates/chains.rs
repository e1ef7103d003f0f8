//! Chains that clients verify by more than signatures and dates: the installer's findings, compared
//! with the result of OpenSSL.

use std::process::Command;

use super::{
    joined, judge,
    openssl::{ITSELF, Made, Workshop},
    stock::{LONG, authority, leaf},
    table::{Row, row},
};

/// A chain and the expected results.
pub(crate) struct Chain {
    row: Row,
    /// Whether `openssl verify` accepts it for a server, its name and its address.
    openssl: bool,
    /// Why they disagree; empty where they agree.
    differs: &'static str,
}

/// The differences from the expected results.
pub(crate) fn compare(workshop: &Workshop, chain: &Chain) -> Option<String> {
    let Chain { row, openssl, differs } = chain;
    let accepted = verify(workshop, row);
    if accepted != *openssl {
        return Some(format!("{}: OpenSSL accepts it: {accepted}", row.what));
    }
    let is_clean = row.told.iter().all(|id| *id == EXPIRES_SOON);
    if (accepted == is_clean) != differs.is_empty() {
        return Some(format!("{}: a difference needs a reason, and only that", row.what));
    }
    judge(workshop, row)
}

const EXPIRES_SOON: &str = "certificate.expires-soon";

fn verify(workshop: &Workshop, row: &Row) -> bool {
    let [shown, authority] = [row.certificate, row.authority].map(|file| joined(workshop, file));
    ["-verify_hostname cm.example.com", "-verify_ip 192.0.2.1"].iter().all(|name| {
        Command::new("openssl")
            .args(["verify", "-purpose", "sslserver", "-no-CApath", "-no-CAstore"])
            .args(name.split(' '))
            .arg("-CAfile")
            .arg(&authority)
            .arg("-untrusted")
            .arg(&shown)
            .arg(&shown)
            .env("OPENSSL_CONF", workshop.path("openssl.cnf"))
            .output()
            .expect("openssl starts")
            .status
            .success()
    })
}

pub(crate) const CHAINS: &[Chain] = &[
    same(row("by the root", "good.crt", &[]), true),
    same(row("by an intermediate", "chained.crt+between.crt", &[]), true),
    same(row("expired", "expired.crt", &["certificate.expired"]), false),
    same(row("incomplete", "chained.crt", &["certificate.chain-incomplete"]), false),
    // Path length.
    same(row("pathlen 0 above the leaf", "chained.crt+between-pathlen.crt", &[]), true),
    same(
        row(
            "pathlen 0 above an authority",
            "below.crt+lower.crt+between-pathlen.crt",
            &["certificate.path-length"],
        ),
        false,
    ),
    same(
        Row {
            authority: "root-pathlen.crt",
            ..row("pathlen 0 at the root", "chained.crt+between.crt", &["certificate.path-length"])
        },
        false,
    ),
    same(
        Row {
            authority: "root-pathlen.crt+between.crt",
            ..row(
                "pathlen 0 at the root, an intermediate listed",
                "chained.crt+between.crt",
                &["certificate.path-length"],
            )
        },
        false,
    ),
    // Name constraints.
    same(row("permitted names", "chained.crt+between-permitted.crt", &[]), true),
    same(row("names alone permitted", "chained.crt+between-dns.crt", &[]), true),
    same(
        row(
            "other names permitted",
            "chained.crt+between-corp.crt",
            &["certificate.name-constraints"],
        ),
        false,
    ),
    same(
        row(
            "the address excluded",
            "chained.crt+between-excluded.crt",
            &["certificate.name-constraints"],
        ),
        false,
    ),
    same(
        Row {
            authority: "root-corp.crt",
            ..row(
                "constraints at the root",
                "chained.crt+between.crt",
                &["certificate.name-constraints"],
            )
        },
        false,
    ),
    other(
        row(
            "a subject permitted",
            "chained.crt+between-subject.crt",
            &["certificate.strict-clients"],
        ),
        true,
        "webpki supports no constraints on subjects, and refuses them",
    ),
    // Critical extensions.
    same(
        row(
            "unknown, critical",
            "chained.crt+between-unknown.crt",
            &["certificate.strict-clients"],
        ),
        false,
    ),
    other(
        row(
            "policies, critical",
            "chained.crt+between-policy.crt",
            &["certificate.strict-clients"],
        ),
        true,
        "webpki does not know policies",
    ),
    // Key usages.
    same(row("signs and encrypts", "usage-both.crt", &[]), true),
    same(row("no server's usage", "usage-none.crt", &["certificate.key-usage"]), false),
    other(
        row("encrypts alone", "usage-encrypts.crt", &["certificate.key-usage"]),
        true,
        "OpenSSL takes any usage of TLS 1.2 for enough",
    ),
    same(
        row(
            "an authority that may not sign",
            "chained.crt+between-no-sign.crt",
            &["certificate.issuer-not-authority"],
        ),
        false,
    ),
    same(
        Row {
            authority: "root-no-sign.crt",
            ..row(
                "a root that may not sign",
                "good.crt",
                &["certificate.issuer-not-authority", "certificate.not-authority"],
            )
        },
        false,
    ),
    same(
        row("for clients between", "chained.crt+between-client.crt", &["certificate.usage"]),
        false,
    ),
    same(
        Row {
            authority: "root-client.crt",
            ..row("a root for clients", "good.crt", &["certificate.usage"])
        },
        false,
    ),
    // Names.
    same(row("address as a DNS name", "dns-address.crt", &["certificate.name-missing"]), false),
    same(row("wildcard", "wildcard.crt", &[]), true),
    same(
        row("wildcard under a top level", "deep-wildcard.crt", &["certificate.name-missing"]),
        false,
    ),
    // Identifiers, versions, signatures, and more.
    same(
        Row {
            authority: "root-other-id.crt",
            ..row("an older root's identifier", "identified.crt", &["certificate.key-identifier"])
        },
        false,
    ),
    same(
        Row {
            authority: "root-version1.crt",
            // The certificate is valid for 30 days.
            ..row("a root of version 1", "good.crt", &[EXPIRES_SOON])
        },
        true,
    ),
    same(
        Row {
            authority: "root.crt+unrelated.crt",
            ..row("cross-signed", "chained.crt+between.crt+cross.crt", &[])
        },
        true,
    ),
    other(
        row("SHA-1", "sha1.crt", &["certificate.signature-weak"]),
        true,
        "`openssl verify` has no security level; OpenSSL's TLS has",
    ),
    other(
        row("RSA-PSS with the longest salt", "pss-signed.crt", &["certificate.strict-clients"]),
        true,
        "webpki and Go take salts as long as the digest only",
    ),
    other(
        row("itself an authority", "is-authority.crt", &["certificate.is-authority"]),
        true,
        "webpki takes no authority for a server",
    ),
    other(
        row("wrong order", "chained.crt+root.crt+between.crt", &["certificate.order"]),
        true,
        "`openssl verify` takes a heap of certificates",
    ),
    other(
        Row { authority: "between.crt", ..row("up to the listed", "chained.crt", &[]) },
        false,
        "OpenSSL takes a listed intermediate for an end with `-partial_chain` only",
    ),
];

const fn same(row: Row, openssl: bool) -> Chain {
    Chain { row, openssl, differs: "" }
}

const fn other(row: Row, openssl: bool, differs: &'static str) -> Chain {
    Chain { row, openssl, differs }
}

/// Certificates that only these chains use: name, key and how to create them.
pub(crate) const CERTIFICATES: &[(&str, &str, Made)] = &[
    ("root-pathlen", "root", issuer("root", ITSELF, "basicConstraints=critical,CA:TRUE,pathlen:0")),
    (
        "root-corp",
        "root",
        issuer(
            "root",
            ITSELF,
            "basicConstraints=critical,CA:TRUE\nnameConstraints=permitted;DNS:corp.example",
        ),
    ),
    (
        "root-no-sign",
        "root",
        issuer("root", ITSELF, "basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign"),
    ),
    (
        "root-client",
        "root",
        issuer("root", ITSELF, "basicConstraints=critical,CA:TRUE\nextendedKeyUsage=clientAuth"),
    ),
    (
        "root-id",
        "root",
        issuer("root", ITSELF, "basicConstraints=CA:TRUE\nsubjectKeyIdentifier=01:02:03:04"),
    ),
    (
        "root-other-id",
        "root",
        issuer("root", ITSELF, "basicConstraints=CA:TRUE\nsubjectKeyIdentifier=05:06:07:08"),
    ),
    ("root-version1", "root", issuer("root", ITSELF, "")),
    ("between-pathlen", "between", between("basicConstraints=critical,CA:TRUE,pathlen:0")),
    ("lower", "unrelated", authority("lower", "between-pathlen", LONG)),
    ("below", "good", leaf("lower")),
    (
        "between-corp",
        "between",
        between(
            "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,permitted;DNS:corp.example",
        ),
    ),
    (
        "between-permitted",
        "between",
        between(
            "basicConstraints=critical,CA:TRUE\nnameConstraints=permitted;DNS:example.com,permitted;IP:192.0.2.0/255.255.255.0",
        ),
    ),
    (
        "between-dns",
        "between",
        between(
            "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,permitted;DNS:example.com",
        ),
    ),
    (
        "between-excluded",
        "between",
        between(
            "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,excluded;IP:192.0.2.0/255.255.255.0",
        ),
    ),
    (
        "between-subject",
        "between",
        between(
            "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,permitted;dirName:subject\n[subject]\n\
             CN=cm.example.com",
        ),
    ),
    (
        "between-unknown",
        "between",
        between("basicConstraints=critical,CA:TRUE\n1.2.3.4=critical,ASN1:NULL"),
    ),
    (
        "between-policy",
        "between",
        between(
            "basicConstraints=critical,CA:TRUE\npolicyConstraints=critical,requireExplicitPolicy:3",
        ),
    ),
    ("between-no-sign", "between", between("basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign")),
    (
        "usage-both",
        "good",
        with(
            "subjectAltName=DNS:cm.example.com,IP:192.0.2.1\nkeyUsage=digitalSignature,keyEncipherment",
        ),
    ),
    (
        "usage-encrypts",
        "good",
        with("subjectAltName=DNS:cm.example.com,IP:192.0.2.1\nkeyUsage=critical,keyEncipherment"),
    ),
    (
        "usage-none",
        "good",
        with("subjectAltName=DNS:cm.example.com,IP:192.0.2.1\nkeyUsage=critical,nonRepudiation"),
    ),
    ("dns-address", "good", with("subjectAltName=DNS:cm.example.com,DNS:192.0.2.1")),
    (
        "identified",
        "good",
        Made {
            extensions: "subjectAltName=DNS:cm.example.com,IP:192.0.2.1\n\
                         authorityKeyIdentifier=keyid:always",
            ..leaf("root-id")
        },
    ),
];

const fn issuer(subject: &'static str, issuer: &'static str, extensions: &'static str) -> Made {
    Made { extensions, ..authority(subject, issuer, LONG) }
}

const fn between(extensions: &'static str) -> Made {
    issuer("between", "root", extensions)
}

const fn with(extensions: &'static str) -> Made {
    Made { extensions, ..leaf("root") }
}
