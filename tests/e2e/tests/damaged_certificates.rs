//! Installed certificates and keys that a disk, a tool or an editor damaged.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use e2e::{
    installation::Installation,
    installer::{document, told},
    needs::{Need, met},
};
use serde_json::{Value, json};

const ID: &str = "certificate.damaged";

fn put(path: &Path, text: &str) {
    let mut file = File::create(path).expect("the file can be opened");
    file.write_all(text.as_bytes()).expect("the file can be written");
}

/// Truncates a file to half its size.
fn truncate(path: &Path) -> String {
    let whole = fs::read_to_string(path).expect("the file can be read");
    put(path, &whole[..whole.len() / 2]);
    whole
}

fn certificate(site: &Installation) -> PathBuf {
    site.paths().certs().join("cmsg.crt")
}

fn key(site: &Installation) -> PathBuf {
    site.paths().certs().join("cmsg.key")
}

/// The levels and texts of the findings with an id.
fn found(document: &Value, id: &str) -> Vec<(String, String, String)> {
    let findings = document["findings"].as_array().expect("there are findings").iter();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    findings
        .filter(|finding| finding["id"] == id)
        .map(|it| (text(it, "level"), text(it, "what"), text(it, "cure")))
        .collect()
}

fn texts(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_damaged_self_signed_certificate_is_reported_and_its_key_stays() {
    let site = Installation::start();
    let (path, key) = (certificate(&site), key(&site));
    let own_key = fs::read(&key).expect("the key can be read");
    truncate(&path);
    let name = path.display().to_string();

    let (code, status) = told(&site.run(&["status"]));
    assert_eq!(code, Some(1), "{status:#}");
    let row = status["certificates"].as_array().expect("a list").iter();
    let mut row = row.filter(|row| row["path"] == json!(name));
    let why = row.next().expect("the certificate is listed")["error"].clone();
    assert!(why.as_str().is_some_and(|why| !why.is_empty()), "{status:#}");
    assert_eq!(found(&status, ID).len(), 1, "{status:#}");
    let shown = texts(&site.run(&["status", "--output=text"]));
    assert!(
        shown.contains(&format!("{name}: unreadable ({})", why.as_str().unwrap_or(""))),
        "{shown}"
    );

    for words in [&["validate"][..], &["configure", "--agent-port=6000"]] {
        let (code, refused) = told(&site.run(words));
        let found = found(&refused, ID);
        assert_eq!((code, found.len()), (Some(3), 1), "{words:?} {refused:#}");
        assert_eq!(found[0].0, "error");
        assert!(found[0].1.contains(&format!("the installed `{name}` is damaged: ")), "{found:?}");
        assert!(found[0].2.contains("backup"), "{found:?}");
    }
    assert_eq!(fs::read(&key).ok(), Some(own_key.clone()), "nothing makes a new key");

    fs::remove_file(&path).expect("the certificate can be removed");
    site.done(&["configure", "--agent-port=6000"]);
    assert_eq!(fs::read(&key).ok(), Some(own_key), "the new certificate is for the same key");
    let status = site.done(&["status"]);
    assert_eq!(status["certificates"][0]["error"], json!(null), "{status:#}");
}

#[test]
fn a_damaged_key_of_a_self_signed_certificate_is_not_replaced_silently() {
    let site = Installation::start();
    let (path, key) = (certificate(&site), key(&site));
    let whole = truncate(&key);

    let (code, refused) = told(&site.run(&["configure", "--agent-port=6000"]));
    let damaged = found(&refused, ID);
    assert_eq!((code, damaged.len()), (Some(3), 1), "{refused:#}");
    assert!(damaged[0].1.contains(&key.display().to_string()), "{damaged:?}");

    fs::remove_file(&key).expect("the key can be removed");
    let (code, refused) = told(&site.run(&["configure", "--agent-port=6000"]));
    assert_eq!((code, found(&refused, ID).len()), (Some(3), 1), "{refused:#}");

    fs::remove_file(&path).expect("the certificate can be removed");
    site.done(&["configure", "--agent-port=6000"]);
    assert_ne!(fs::read_to_string(&key).ok(), Some(whole));
}

const MAKE: &str = "set -e; cd $0
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 300 \
  -addext keyUsage=keyCertSign,cRLSign
printf 'subjectAltName=DNS:old.example,IP:192.0.2.1\nextendedKeyUsage=serverAuth\n' >names
openssl req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=old.example
openssl x509 -req -in own.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 300 -extfile names \
  -out own.crt";

#[test]
fn a_damaged_copy_of_an_own_certificate_is_named_and_not_the_file_that_is_gone() {
    if !met(&[Need::Tool("openssl"), Need::Tool("bash")]) {
        return;
    }
    let made = tempfile::tempdir().expect("a temporary folder can be made");
    let make = Command::new("bash").args(["-c", MAKE]).arg(made.path()).output();
    assert!(make.expect("`bash` starts").status.success());
    let site = Installation::start();
    let [cert, own_key, ca] =
        [("ssl-cert", "own.crt"), ("ssl-key", "own.key"), ("ca-cert", "ca.crt")]
            .map(|(flag, name)| format!("--{flag}={}/{name}", made.path().display()));
    site.done(&["configure", &cert, &own_key, &ca]);
    let path = certificate(&site);
    truncate(&path);

    // The original still exists, and replaces the copy.
    let checked = document(&site.run(&["validate"]));
    let damaged = found(&checked, ID);
    assert_eq!(damaged.len(), 1, "{checked:#}");
    assert_eq!(damaged[0].0, "warning");
    assert!(damaged[0].2.contains("own.crt"), "{damaged:?}");

    let original = fs::read_to_string(made.path().join("own.crt")).expect("it can be read");
    fs::remove_file(made.path().join("own.crt")).expect("it can be removed");
    let (code, refused) = told(&site.run(&["configure", "--agent-port=6000"]));
    let unreadable = found(&refused, "certificate.unreadable");
    assert_eq!((code, unreadable.len()), (Some(3), 1), "{refused:#}");
    let [(_, what, cure)] = &unreadable[..] else { unreachable!("there is one") };
    assert!(what.starts_with(&format!("the installed `{}` is damaged", path.display())), "{what}");
    assert!(cure.contains("--ssl-cert FILE") && cure.contains("backup"), "{cure}");

    put(&path, &original);
    site.done(&["configure", "--agent-port=6000"]);
}
