//! Certificates and keys of administrators, created with `openssl`: the installer's findings, and a
//! check that the daemon can load what is accepted.

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use pcoip_cmsgd::{
    reload::Files,
    tls::server_config,
    token::{Signer, Verifier},
};
use serde_json::Value;

use chains::{CHAINS, compare};
use e2e::{
    binaries,
    needs::{Need, met},
};
use openssl::Workshop;
use table::{PAIRS, ROWS, Row};

#[path = "operator_certificates/chains.rs"]
mod chains;
#[allow(dead_code, reason = "the other table uses the rest")]
#[path = "odd_certificates/openssl.rs"]
mod openssl;
#[path = "operator_certificates/stock.rs"]
mod stock;
#[path = "operator_certificates/table.rs"]
mod table;

#[test]
fn every_certificate_is_told_all_that_is_wrong_with_it() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let workshop = stock::stocked();

    let wrong: Vec<_> = ROWS.iter().filter_map(|row| judge(&workshop, row)).collect();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_chain_is_judged_as_clients_do() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let workshop = stock::stocked();

    let wrong: Vec<_> = CHAINS.iter().filter_map(|chain| compare(&workshop, chain)).collect();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_fix_of_a_file_that_is_not_read_makes_one_that_is() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let workshop = stock::stocked();
    // The host's own certificate is not a CA.
    let plain = "certificate.not-authority";
    for (file, id) in [
        ("glued-good.crt+root.crt", "certificate.skipped"),
        ("indented-good.crt+root.crt", "certificate.skipped"),
        ("good.crt+bom-good.crt+root.crt", "certificate.skipped"),
        ("root.crt+trusted.crt", "certificate.skipped"),
        ("x509.crt+trusted.crt", "certificate.label"),
        ("utf16-unmarked-good.crt", "certificate.unreadable"),
        ("good.p7b", "certificate.pkcs7"),
        ("signed-data.p7b", "certificate.pkcs7"),
        ("cms.p7b", "certificate.pkcs7"),
    ] {
        let found = listed(&workshop, &joined(&workshop, file));
        assert!(ids(&found).contains(&id), "{file}: {found:?}");
        let cure = found.iter().find(|it| it["id"] == id).and_then(|it| it["cure"].as_str());
        let command = cure.and_then(|cure| cure.split('`').nth(1)).expect("the fix is a command");

        let done = Command::new("sh").args(["-c", command]).status().expect("`sh` starts");

        assert!(done.success(), "{command}");
        let ending = if id == "certificate.unreadable" { "utf8" } else { "pem" };
        let fixed = listed(&workshop, &workshop.path(&format!("{file}.{ending}")));
        assert!(ids(&fixed).contains(&plain), "{file}: {fixed:?}");
        assert!(ids(&fixed).iter().all(|id| [plain, INCOMPLETE].contains(id)), "{file}: {fixed:?}");
    }
}

/// The finding for a file without the root.
const INCOMPLETE: &str = "certificate.chain-incomplete";

/// The findings for a file of CA certificates.
fn listed(workshop: &Workshop, path: &Path) -> Vec<Value> {
    told(
        workshop,
        &[
            format!("--ssl-cert={}", workshop.path("good.crt").display()),
            format!("--ssl-key={}", workshop.path("good.key").display()),
            format!("--ca-cert={}", path.display()),
            "--host-address=cm.example.com".to_owned(),
            jwt(workshop),
        ],
    )
}

#[test]
fn every_pair_for_announcements_is_told_all_that_is_wrong_with_it() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let workshop = stock::stocked();

    for (key, certificates, expected) in PAIRS {
        let [key, certificates] = [key, certificates].map(|files| joined(&workshop, files));
        let told = told(
            &workshop,
            &[
                "--self-signed".to_owned(),
                format!("--jwt-signing-key={}", key.display()),
                format!("--jwt-verifying-cert={}", certificates.display()),
            ],
        );

        assert_eq!(ids(&told), *expected, "{}, {}", key.display(), certificates.display());
        if expected.is_empty() {
            Signer::load(&key).expect("the daemon signs with what is accepted");
            Verifier::load(&certificates).expect("the daemon verifies with what is accepted");
        }
    }
}

#[test]
fn a_hostile_file_gets_its_answer_at_once_and_takes_no_memory() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let workshop = stock::stocked();
    hostile(&workshop);
    let table = [
        ("empty", "is empty"),
        ("folder", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("huge", "is larger than 1048576 bytes"),
        ("/dev/zero", "is not a regular file"),
        ("loop", "Too many levels of symbolic links"),
        ("none", "No such file or directory"),
        ("garbage", "contains no PEM"),
        ("ten-thousand", "is larger than 1048576 bytes"),
    ];
    for (file, why) in table {
        let path = workshop.path(file);
        let flags = ["ssl-cert", "ssl-key", "ca-cert"];
        let words = flags.map(|flag| format!("--{flag}={}", path.display()));

        let asked = Instant::now();
        let told = told(&workshop, &[&words[..], &[jwt(&workshop)]].concat());
        let elapsed = asked.elapsed();

        assert_eq!(
            ids(&told),
            ["certificate.unreadable", "certificate.unreadable", "key.unreadable"]
        );
        assert!(told.iter().all(|finding| finding["what"].to_string().contains(why)), "{told:?}");
        assert!(elapsed < PATIENCE, "{file}: {elapsed:?}");
    }
}

/// Each run takes less than a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks a row, and returns the differences.
fn judge(workshop: &Workshop, row: &Row) -> Option<String> {
    let [certificate, key, authority] =
        [row.certificate, row.key, row.authority].map(|files| joined(workshop, files));
    let mut expected = row.told.to_vec();
    expected.sort_unstable();

    let found = told(
        workshop,
        &[
            format!("--ssl-cert={}", certificate.display()),
            format!("--ssl-key={}", key.display()),
            format!("--ca-cert={}", authority.display()),
            "--host-address=cm.example.com".to_owned(),
            jwt(workshop),
        ],
    );

    if ids(&found) != expected {
        return Some(format!("{}: {found:#?}, not {expected:?}", row.what));
    }
    let silent = found.iter().find(|finding| finding["cure"].as_str().is_none_or(str::is_empty));
    if let Some(finding) = silent {
        return Some(format!("{}: no cure: {finding}", row.what));
    }
    let is_accepted = found.iter().all(|finding| finding["level"] == "warning");
    let refused =
        server_config(&certificate, &key, &Files::default()).err().filter(|_| is_accepted);
    refused.map(|error| format!("{}: accepted, but {error:#}", row.what))
}

/// The installer's findings about certificates and keys, with a memory limit of 512 MiB.
fn told(workshop: &Workshop, words: &[String]) -> Vec<Value> {
    let root = workshop.path("site");
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 524288; exec \"$@\"", "sh"])
        .arg(binaries::path("pcoip-cmsg-setup"))
        .args(["install", "--dry-run", "--output=json", "--non-interactive", "--runtime=host"])
        .args(["--accept-policies", "--ignore-disk-req", "--daemon=/bin/true"])
        .args(["--enable-connection-manager=false", "--external-pcoip-ip=192.0.2.1"])
        .arg(format!("--root={}", root.display()))
        .args(words)
        .output()
        .expect("the installer can be run");
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = document["findings"].as_array().expect("findings are a list").iter();
    let is_ours = |finding: &&Value| {
        let id = finding["id"].as_str().unwrap_or_default();
        id.starts_with("certificate.") || id.starts_with("key.")
    };
    let ours: Vec<Value> = findings.filter(is_ours).cloned().collect();
    let refuses = ours.iter().any(|finding| finding["level"] == "error");
    assert_eq!(output.status.code(), Some(if refuses { 3 } else { 0 }), "{document:#}");
    ours
}

fn ids(findings: &[Value]) -> Vec<&str> {
    let mut ids: Vec<_> = findings.iter().filter_map(|finding| finding["id"].as_str()).collect();
    ids.sort_unstable();
    ids
}

fn jwt(workshop: &Workshop) -> String {
    format!("--jwt-verifying-cert={}", workshop.path("p256.crt").display())
}

/// A concatenation of files, named `a+b`.
fn joined(workshop: &Workshop, files: &str) -> PathBuf {
    if !files.contains('+') {
        return workshop.path(files);
    }
    let parts = files.split('+').map(|file| fs::read(workshop.path(file)).expect("it was made"));
    let joined = workshop.path(files);
    put(&joined, &parts.collect::<Vec<_>>().concat());
    joined
}

/// Writes a file that only its owner can read.
fn put(path: &PathBuf, bytes: &[u8]) {
    let mut file = File::create(path).expect("a file can be made");
    file.set_permissions(Permissions::from_mode(0o600)).expect("its owner sets its mode");
    file.write_all(bytes).expect("a file can be written");
}

fn hostile(workshop: &Workshop) {
    let path = |name| workshop.path(name);
    put(&path("empty"), b"");
    fs::create_dir(path("folder")).expect("a folder can be made");
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe can be made");
    File::create(path("huge")).and_then(|file| file.set_len(3 << 30)).expect("it is sparse");
    symlink(path("loop"), path("loop")).expect("a link can be made");
    put(
        &path("garbage"),
        &(0..100_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect::<Vec<_>>(),
    );
    let one = fs::read(path("good.crt")).expect("it was made");
    put(&path("ten-thousand"), &one.repeat(10_000));
}
