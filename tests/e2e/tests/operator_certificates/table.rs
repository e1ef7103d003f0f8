//! The table: one row for each rule, with all findings. `a+b` is a concatenation of two files.

/// The given files and the expected findings.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) certificate: &'static str,
    pub(crate) key: &'static str,
    pub(crate) authority: &'static str,
    /// The ids of all findings; empty if there are none.
    pub(crate) told: &'static [&'static str],
}

pub(crate) const ROWS: &[Row] = &[
    row("nothing is wrong", "good.crt", &[]),
    // Keys.
    Row { key: "rsa1024.key", ..row("RSA-1024", "rsa1024.crt", &["certificate.key-too-short"]) },
    Row { key: "rsa2047.key", ..row("RSA-2047", "rsa2047.crt", &["certificate.key-too-short"]) },
    Row { key: "rsa2048.key", ..row("RSA-2048", "rsa2048.crt", &["certificate.key-short"]) },
    Row { key: "rsa4096.key", ..row("RSA-4096", "rsa4096.crt", &[]) },
    Row { key: "pss.key", ..row("RSA-PSS", "pss.crt", &["certificate.key-type"]) },
    Row { key: "p256.key", ..row("P-256", "p256.crt", &["certificate.key-type"]) },
    Row { key: "p384.key", ..row("P-384", "p384.crt", &["certificate.key-type"]) },
    Row { key: "ed25519.key", ..row("Ed25519", "ed25519.crt", &["certificate.key-type"]) },
    Row { key: "dsa.key", ..row("DSA", "dsa.crt", &["certificate.key-type"]) },
    // Signatures.
    row("MD5", "md5.crt", &["certificate.signature-weak"]),
    row("SHA-1", "sha1.crt", &["certificate.signature-weak"]),
    row("SHA-512", "sha512.crt", &[]),
    row("RSA-PSS with the longest salt", "pss-signed.crt", &["certificate.strict-clients"]),
    row("MD5 between", "chained.crt+between-md5.crt", &["certificate.signature-weak"]),
    row("SHA-1 between", "chained.crt+between-sha1.crt", &["certificate.signature-weak"]),
    Row { authority: "root-md5.crt", ..row("MD5 on the root", "good.crt", &[]) },
    Row { authority: "root-sha1.crt", ..row("SHA-1 on the root", "good.crt", &[]) },
    Row {
        authority: "own-sha1.crt",
        ..row(
            "SHA-1 on a self-signed one",
            "own-sha1.crt",
            &["certificate.signature-weak", "certificate.not-authority"],
        )
    },
    // Dates.
    row("expired", "expired.crt", &["certificate.expired"]),
    row("not yet valid", "future.crt", &["certificate.not-yet-valid"]),
    row("29 days left", "days29.crt", &["certificate.expires-soon"]),
    row("31 days left", "days31.crt", &[]),
    row("expired between", "chained.crt+between-expired.crt", &["certificate.expired"]),
    Row {
        authority: "root-expired.crt",
        ..row("expired root", "good.crt", &["certificate.expired", "certificate.authority-expired"])
    },
    Row { authority: "root-expired.crt+root.crt", ..row("renewed root", "good.crt", &[]) },
    // Usages, names, versions.
    row("for clients", "client.crt", &["certificate.usage"]),
    row("for both", "both-usages.crt", &[]),
    row("no usages", "no-usage.crt", &[]),
    row("wildcard", "wildcard.crt", &[]),
    row("wildcard for one part", "deep-wildcard.crt", &["certificate.name-missing"]),
    row("no address", "no-address.crt", &["certificate.name-missing"]),
    row("no names", "nameless.crt", &["certificate.name-missing", "certificate.name-missing"]),
    row(
        "version 1",
        "version1.crt",
        &[
            "certificate.version",
            // The certificate is valid for 30 days.
            "certificate.expires-soon",
            "certificate.name-missing",
            "certificate.name-missing",
        ],
    ),
    row("itself an authority", "is-authority.crt", &["certificate.is-authority"]),
    // Chains.
    row("right order", "chained.crt+between.crt", &[]),
    row("root included", "chained.crt+between.crt+root.crt", &[]),
    row("wrong order", "between.crt+chained.crt", &["certificate.order"]),
    row("root before", "chained.crt+root.crt+between.crt", &["certificate.order"]),
    row("none between", "chained.crt", &["certificate.chain-incomplete"]),
    Row {
        authority: "between.crt+root.crt",
        ..row("listed only", "chained.crt", &["certificate.intermediate-not-sent"])
    },
    Row { authority: "between.crt", ..row("up to the listed", "chained.crt", &[]) },
    row("unrelated", "good.crt+unrelated.crt", &["certificate.unrelated"]),
    row("twice", "good.crt+good.crt", &["certificate.unrelated"]),
    Row {
        authority: "unrelated.crt",
        ..row("another authority", "good.crt", &["certificate.chain-incomplete"])
    },
    Row {
        authority: "unrelated.crt",
        ..row("another root", "good.crt+root.crt", &["certificate.chain-incomplete"])
    },
    Row {
        authority: "namesake.crt",
        ..row("a namesake", "good.crt", &["certificate.chain-incomplete"])
    },
    row("cross-signed", "chained.crt+between.crt+cross.crt", &[]),
    Row {
        authority: "unrelated.crt",
        ..row("cross-signed by it", "chained.crt+between.crt+cross.crt", &[])
    },
    row(
        "no authority between",
        "chained.crt+between-plain.crt",
        &["certificate.issuer-not-authority"],
    ),
    row("for clients between", "chained.crt+between-client.crt", &["certificate.usage"]),
    row("short between", "by-short.crt+short.crt", &["certificate.key-too-short"]),
    row("EC between", "by-elliptic.crt+elliptic.crt", &[]),
    Row { authority: "own.crt", ..row("self-signed", "own.crt", &["certificate.not-authority"]) },
    Row {
        authority: "good.crt+root.crt",
        ..row("more than authorities", "good.crt", &["certificate.not-authority"])
    },
    row("500 certificates", "many.crt", &["certificate.too-many"]),
    Row { authority: "many.crt", ..row("500 listed", "good.crt", &["certificate.not-authority"]) },
    // Encodings of the certificate.
    row("CRLF", "crlf-good.crt", &[]),
    row("byte order mark", "bom-good.crt", &[]),
    row("text around", "surrounded-good.crt", &[]),
    row("UTF-16", "utf16-good.crt", &[]),
    row("UTF-16 unmarked", "utf16-unmarked-good.crt", &["certificate.unreadable"]),
    row("glued", "glued-good.crt+root.crt", &["certificate.skipped"]),
    row("mark between", "good.crt+bom-good.crt", &["certificate.skipped"]),
    row("indented", "good.crt+indented-good.crt", &["certificate.skipped"]),
    row("four dashes", "good.crt+no-begin-good.crt", &["certificate.skipped"]),
    row("trusted beside", "good.crt+trusted.crt", &["certificate.skipped"]),
    row("trusted", "trusted.crt", &["certificate.label"]),
    row("X509", "x509.crt", &["certificate.label"]),
    row("PKCS#7 beside", "good.crt+good.p7b", &["certificate.skipped"]),
    row("PKCS#7 of Java", "signed-data.p7b", &["certificate.pkcs7"]),
    row("PKCS#7 of CMS", "cms.p7b", &["certificate.pkcs7"]),
    Row {
        authority: "glued-good.crt+root.crt",
        ..row("glued authorities", "good.crt", &["certificate.skipped"])
    },
    row("cut off", "cut-good.crt", &["certificate.unreadable"]),
    row("DER", "good.der", &["certificate.der"]),
    row("PKCS#12", "good.p12", &["certificate.pkcs12"]),
    row("PKCS#7", "good.p7b", &["certificate.pkcs7"]),
    row("a request", "good.csr", &["certificate.is-request"]),
    row("a key", "good.key", &["certificate.is-key"]),
    row("certificate and key", "good.crt+good.key", &["certificate.holds-key"]),
    row("key and certificate", "good.key+good.crt", &["certificate.holds-key"]),
    Row { authority: "good.key", ..row("a key listed", "good.crt", &["certificate.is-key"]) },
    // Encodings of the key.
    Row { key: "crlf-good.key", ..row("key: CRLF", "good.crt", &[]) },
    Row { key: "bom-good.key", ..row("key: byte order mark", "good.crt", &[]) },
    Row { key: "surrounded-good.key", ..row("key: text around", "good.crt", &[]) },
    Row { key: "pkcs1.key", ..row("key: PKCS#1", "good.crt", &[]) },
    Row { key: "good.crt+good.key", ..row("key: with certificate", "good.crt", &[]) },
    Row { key: "utf16-good.key", ..row("key: UTF-16", "good.crt", &[]) },
    Row {
        key: "utf16-unmarked-good.key",
        ..row("key: UTF-16 unmarked", "good.crt", &["key.unreadable"])
    },
    Row { key: "glued-good.key+p256.key", ..row("key: glued", "good.crt", &["key.skipped"]) },
    Row { key: "good.key+p256.key", ..row("key: two", "good.crt", &["key.several"]) },
    Row { key: "cut-good.key", ..row("key: cut off", "good.crt", &["key.unreadable"]) },
    Row { key: "good-key.der", ..row("key: DER", "good.crt", &["key.der"]) },
    Row { key: "good.p12", ..row("key: PKCS#12", "good.crt", &["key.pkcs12"]) },
    Row { key: "encrypted.key", ..row("key: encrypted PKCS#8", "good.crt", &["key.encrypted"]) },
    Row { key: "legacy.key", ..row("key: encrypted PKCS#1", "good.crt", &["key.encrypted"]) },
    Row { key: "encrypted.der", ..row("key: encrypted DER", "good.crt", &["key.encrypted"]) },
    Row { key: "good.pub", ..row("key: public", "good.crt", &["key.unreadable"]) },
    Row { key: "good.crt", ..row("key: certificate", "good.crt", &["key.is-certificate"]) },
    Row { key: "good.der", ..row("key: DER certificate", "good.crt", &["key.is-certificate"]) },
    Row { key: "rsa2048.key", ..row("key: another", "good.crt", &["key.mismatch"]) },
    Row { key: "p256.key", ..row("key: another kind", "good.crt", &["key.mismatch"]) },
    Row { key: "open-good.key", ..row("key: open to others", "good.crt", &["key.exposed"]) },
    // All problems are reported, not only the first.
    Row {
        key: "legacy.key",
        authority: "unrelated.crt",
        ..row(
            "much at once",
            "expired.crt+between.crt",
            &[
                "certificate.expired",
                "certificate.unrelated",
                "certificate.chain-incomplete",
                "key.encrypted",
            ],
        )
    },
];

/// Keys that sign announcements, certificates that verify them, and the findings about both.
pub(crate) const PAIRS: &[(&str, &str, &[&str])] = &[
    ("p256.key", "p256.crt", &[]),
    ("rsa2048.key", "rsa2048.crt", &[]),
    ("pkcs1.key", "expired.crt", &[]),
    ("p256.key", "good.crt+p256.crt", &[]),
    ("p256.key", "good.crt", &["key.mismatch"]),
    ("p384.key", "p384.crt", &["certificate.key-type", "key.type"]),
    ("rsa1024.key", "rsa1024.crt", &["certificate.key-type", "key.type"]),
    ("pss.key", "pss.crt", &["certificate.key-type", "key.type"]),
    ("encrypted.key", "p256.crt", &["key.encrypted"]),
    ("good-key.der", "good.der", &["certificate.der", "key.der"]),
    ("open-good.key", "good.crt", &["key.exposed"]),
    ("p256.key", "glued-good.crt+p256.crt", &["certificate.skipped"]),
    ("p256.key", "good.crt+trusted.crt", &["certificate.skipped"]),
    ("utf16-good.key", "utf16-good.crt", &[]),
    ("good.key+p256.key", "good.crt", &["key.several"]),
];

pub(crate) const fn row(
    what: &'static str,
    certificate: &'static str,
    told: &'static [&'static str],
) -> Row {
    Row { what, certificate, key: "good.key", authority: "root.crt", told }
}
