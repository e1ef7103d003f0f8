//! Keys, certificates and files for the table.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use super::{
    chains,
    openssl::{ITSELF, Made, Workshop},
    put,
};

/// A workshop with everything.
pub(crate) fn stocked() -> Workshop {
    let workshop = Workshop::open();
    keys(&workshop);
    for (name, key, made) in CERTIFICATES.iter().chain(chains::CERTIFICATES) {
        // Further certificates with the same key need a copy of it to issue others.
        if name != key {
            fs::copy(workshop.path(&format!("{key}.key")), workshop.path(&format!("{name}.key")))
                .expect("a key can be copied");
        }
        workshop.certify(name, key, made);
    }
    files(&workshop);
    workshop
}

fn keys(workshop: &Workshop) {
    workshop.run("genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.param");
    for (name, arguments) in KEYS {
        workshop.run(&format!("genpkey {arguments} -out {name}.key"));
    }
}

/// Other forms of the good certificate and its key.
fn files(workshop: &Workshop) {
    for command in [
        "x509 -in good.crt -outform DER -out good.der",
        "pkey -in good.key -outform DER -out good-key.der",
        "pkcs12 -export -in good.crt -inkey good.key -passout pass: -out good.p12",
        "crl2pkcs7 -nocrl -certfile good.crt -out good.p7b",
        "rsa -in good.key -traditional -out pkcs1.key",
        "pkcs8 -topk8 -in good.key -passout pass:secret -out encrypted.key",
        "rsa -in good.key -traditional -aes256 -passout pass:secret -out legacy.key",
        "pkcs8 -topk8 -in good.key -passout pass:secret -outform DER -out encrypted.der",
        "pkey -in good.key -pubout -out good.pub",
        "x509 -in good.crt -trustout -out trusted.crt",
    ] {
        workshop.run(command);
    }
    relabelled(workshop);
    for name in ["good.crt", "good.key"] {
        let text = fs::read_to_string(workshop.path(name)).expect("it was made");
        let put =
            |prefix: &str, bytes: &[u8]| put(&workshop.path(&format!("{prefix}-{name}")), bytes);
        put("crlf", text.replace('\n', "\r\n").as_bytes());
        put("bom", format!("\u{feff}{text}").as_bytes());
        put("surrounded", format!("Bag Attributes\n  name: x\n{text}\nThat is all.\n").as_bytes());
        put("utf16", &utf16(&text));
        put("utf16-unmarked", &utf16(&text)[2..]);
        put("glued", text.trim_end().as_bytes());
        put("no-begin", text.replace("-----BEGIN", "----BEGIN").as_bytes());
        put("indented", format!("  {text}").as_bytes());
        put("cut", &text.as_bytes()[..text.len() / 2]);
        put("open", text.as_bytes());
    }
    put(
        &workshop.path("many.crt"),
        &fs::read(workshop.path("good.crt")).expect("it was made").repeat(500),
    );
    let open = Permissions::from_mode(0o644);
    fs::set_permissions(workshop.path("open-good.key"), open).expect("its owner sets its mode");
}

/// Sections under other labels.
fn relabelled(workshop: &Workshop) {
    let text = |name| fs::read_to_string(workshop.path(name)).expect("it was made");
    for (name, label, of) in [
        ("x509.crt", "X509 CERTIFICATE", "good.crt"),
        ("signed-data.p7b", "PKCS #7 SIGNED DATA", "good.p7b"),
        ("cms.p7b", "CMS", "good.p7b"),
    ] {
        let from = if of == "good.crt" { "CERTIFICATE" } else { "PKCS7" };
        put(&workshop.path(name), text(of).replace(from, label).as_bytes());
    }
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

const KEYS: &[(&str, &str)] = &[
    ("good", "-algorithm RSA -pkeyopt rsa_keygen_bits:3072"),
    ("root", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ("unrelated", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ("between", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ("rsa1024", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"),
    ("short", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"),
    ("rsa2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ("elliptic", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
    ("rsa2047", "-algorithm RSA -pkeyopt rsa_keygen_bits:2047"),
    ("rsa4096", "-algorithm RSA -pkeyopt rsa_keygen_bits:4096"),
    ("pss", "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048"),
    ("p256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
    ("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
    ("ed25519", "-algorithm ED25519"),
    ("dsa", "-paramfile dsa.param"),
];

const CERTIFICATES: &[(&str, &str, Made)] = &[
    // Authorities.
    ("root", "root", authority("root", ITSELF, LONG)),
    ("root-md5", "root", authority("root", ITSELF, "-days 300 -md md5")),
    ("root-sha1", "root", authority("root", ITSELF, "-days 300 -md sha1")),
    ("root-expired", "root", authority("root", ITSELF, PAST)),
    ("unrelated", "unrelated", authority("unrelated", ITSELF, LONG)),
    ("namesake", "unrelated", authority("root", ITSELF, LONG)),
    ("cross", "root", authority("root", "unrelated", LONG)),
    ("between", "between", authority("between", "root", LONG)),
    ("between-sha1", "between", authority("between", "root", "-days 300 -md sha1")),
    ("between-md5", "between", authority("between", "root", "-days 300 -md md5")),
    ("between-expired", "between", authority("between", "root", PAST)),
    ("between-plain", "between", Made { subject: "between", ..leaf("root") }),
    (
        "between-client",
        "between",
        Made { extensions: CLIENT_AUTHORITY, ..authority("between", "root", LONG) },
    ),
    ("short", "short", authority("short", "root", LONG)),
    ("elliptic", "elliptic", authority("elliptic", "root", LONG)),
    // The host's, by the root.
    ("good", "good", leaf("root")),
    ("rsa1024", "rsa1024", leaf("root")),
    ("rsa2047", "rsa2047", leaf("root")),
    ("rsa2048", "rsa2048", leaf("root")),
    ("rsa4096", "rsa4096", leaf("root")),
    ("pss", "pss", leaf("root")),
    ("p256", "p256", leaf("root")),
    ("p384", "p384", leaf("root")),
    ("ed25519", "ed25519", leaf("root")),
    ("dsa", "dsa", leaf("root")),
    ("md5", "good", signed("-days 300 -md md5")),
    ("sha1", "good", signed("-days 300 -md sha1")),
    ("sha512", "good", signed("-days 300 -md sha512")),
    ("pss-signed", "good", signed("-days 300 -sigopt rsa_padding_mode:pss")),
    ("expired", "good", signed(PAST)),
    ("future", "good", signed("-startdate 20900101000000Z -enddate 20910101000000Z")),
    ("days29", "good", signed("-days 29")),
    ("days31", "good", signed("-days 31")),
    (
        "client",
        "good",
        with("subjectAltName=DNS:cm.example.com,IP:192.0.2.1\nextendedKeyUsage=clientAuth"),
    ),
    ("no-usage", "good", with("subjectAltName=DNS:cm.example.com,IP:192.0.2.1")),
    (
        "both-usages",
        "good",
        with(
            "subjectAltName=DNS:cm.example.com,IP:192.0.2.1\nextendedKeyUsage=clientAuth,serverAuth",
        ),
    ),
    ("wildcard", "good", with("subjectAltName=DNS:*.EXAMPLE.com,IP:192.0.2.1")),
    ("deep-wildcard", "good", with("subjectAltName=DNS:*.com,IP:192.0.2.1")),
    ("no-address", "good", with("subjectAltName=DNS:cm.example.com")),
    ("nameless", "good", with("basicConstraints=CA:FALSE")),
    ("version1", "good", with("")),
    (
        "is-authority",
        "good",
        with("subjectAltName=DNS:cm.example.com,IP:192.0.2.1\nbasicConstraints=critical,CA:TRUE"),
    ),
    // The host's, by others.
    ("own", "good", leaf(ITSELF)),
    ("own-sha1", "good", Made { options: "-days 300 -md sha1", ..leaf(ITSELF) }),
    ("chained", "good", leaf("between")),
    ("by-short", "good", leaf("short")),
    ("by-elliptic", "good", leaf("elliptic")),
];

pub(crate) const LONG: &str = "-days 300";
const PAST: &str = "-startdate 20200101000000Z -enddate 20210101000000Z";
const CLIENT_AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nextendedKeyUsage=clientAuth";

pub(crate) const fn leaf(issuer: &'static str) -> Made {
    Made {
        key: "",
        subject: "cm.example.com",
        issuer,
        extensions: "subjectAltName=DNS:cm.example.com,IP:192.0.2.1\nextendedKeyUsage=serverAuth",
        options: LONG,
    }
}

const fn signed(options: &'static str) -> Made {
    Made { options, ..leaf("root") }
}

const fn with(extensions: &'static str) -> Made {
    Made { extensions, ..leaf("root") }
}

pub(crate) const fn authority(
    subject: &'static str,
    issuer: &'static str,
    options: &'static str,
) -> Made {
    Made { key: "", subject, issuer, extensions: "basicConstraints=critical,CA:TRUE", options }
}
