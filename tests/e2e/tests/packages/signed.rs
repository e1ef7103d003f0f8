//! Signatures, and that unsigned packages are refused.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::{
    is_ready,
    made::{Made, VERSION, rpm, tell, try_to},
    root::Root,
};

const NAME: &str = "Packages <packages@example.com>";

/// Keys of a test's own.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        let keys = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        let make = ["--batch", "--passphrase", "", "--quick-generate-key", NAME, "rsa3072", "sign"];
        tell(keys.gpg().args(make));
        keys
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", self.0.path());
        gpg
    }
}

impl Drop for Keys {
    /// An agent runs until it is stopped.
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        let _ = end.args(["--kill", "all"]).env("GNUPGHOME", self.0.path()).status();
    }
}

#[test]
fn what_is_signed_is_verified_and_what_is_not_signed_so_is_refused() {
    if !is_ready() {
        return;
    }
    let keys = Keys::new();
    let made = Made::by(|dist| {
        dist.args(["--for", "el9", "--sign", NAME]).env("GNUPGHOME", keys.0.path())
    });
    let folder = made.folder().join("el9");

    let mut verify = keys.gpg();
    verify.arg("--verify").arg(made.folder().join("SHA256SUMS.asc"));
    assert!(tell(&mut verify).contains(&format!("Good signature from \"{NAME}\"")));
    let database = tempfile::tempdir().expect("a temporary folder can be made");
    let check = || try_to(rpm(database.path()).arg("-K").arg(made.package("el9")));
    let (is_good, said) = check();
    assert!(!is_good && said.ends_with(": digests SIGNATURES NOT OK\n"), "{said}");
    tell(rpm(database.path()).arg("--import").arg(folder.join("RPM-GPG-KEY-pcoip-cmsg")));
    let (is_good, said) = check();
    assert!(is_good && said.ends_with(": digests signatures OK\n"), "{said}");

    let root = Root::new();
    root.add(&folder.join("pcoip-cmsg.repo"));
    root.done("install pcoip-cmsg-setup");
    assert!(root.installed().contains(&format!("pcoip-cmsg-setup-1:{VERSION}-1.el9")));

    unsigned_is_refused(&folder);
}

/// The same repository with an unsigned package is refused.
fn unsigned_is_refused(folder: &Path) {
    let unsigned = Made::with(&["--for", "el9"]);
    let root = Root::new();
    let text = fs::read_to_string(folder.join("pcoip-cmsg.repo")).expect("it can be read");
    let there = format!("baseurl=file://{}", folder.display());
    let here = format!("baseurl=file://{}/el9", unsigned.folder().display());
    let moved = text.replace(&there, &here);
    assert_ne!(moved, text);
    let write = |text: &str| {
        let file = unsigned.folder().join("el9/pcoip-cmsg.repo");
        let mut file = fs::File::create(&file).expect("it can be written");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("it can be written");
    };
    write(&moved);
    root.add(&unsigned.folder().join("el9/pcoip-cmsg.repo"));

    let said = root.refused("install pcoip-cmsg-setup");
    assert!(said.contains("repomd.xml"), "{said}");
    write(&moved.replace("repo_gpgcheck=1", "repo_gpgcheck=0"));
    root.add(&unsigned.folder().join("el9/pcoip-cmsg.repo"));
    let said = root.refused("install pcoip-cmsg-setup");
    assert!(said.contains("is not signed"), "{said}");
    assert_eq!(root.installed(), Vec::<String>::new());
}
