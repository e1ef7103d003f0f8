//! What `uninstall` removes, and what it keeps and reports.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use e2e::{
    installation::Installation,
    installer::{INSTALL_ON_HOST, PURGE, with},
};

fn put(path: &Path) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(b"mine").expect("a file can be written");
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder can be read");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}

#[test]
fn a_purge_leaves_what_the_installation_did_not_create_and_names_it() {
    let site = Installation::start();
    let paths = site.paths();
    let foreign = [
        paths.certs().join("intranet-ca.pem"),
        paths.certs().join("old/cmsg.key"),
        paths.data().join("ConnectionManager.conf.orig"),
        paths.connection_manager_logs().join("ticket-4711.txt"),
    ];
    for path in &foreign {
        put(path);
    }

    let removed = site.run(&PURGE);

    assert_eq!(removed.status.code(), Some(0));
    let told = String::from_utf8_lossy(&removed.stderr);
    let left = files_under(&site.root());
    let mut expected = foreign.to_vec();
    expected.sort();
    assert_eq!(left, expected);
    for path in &foreign {
        // Files in a directory of others are reported by the directory.
        let path = if path.ends_with("old/cmsg.key") { path.parent().expect("old") } else { path };
        let line = format!("kept: `{}`, which the installer did not create", path.display());
        assert!(told.contains(&line), "{line} is not in {told}");
    }
    assert!(!paths.run().exists() && !paths.state().exists());
    assert!(!paths.security_gateway_logs().exists());
}

#[test]
fn a_purge_takes_logs_and_state_of_the_services_with_it() {
    let site = Installation::start();
    let paths = site.paths();
    for path in [
        paths.security_gateway_logs().join("pcoip-sg_2020_01_01T00_00_00_000Z.log.gz"),
        paths.state().join("security-gateway.journal.damaged"),
        paths.certs().join(".cmsg.key.pcoip-cmsg-setup-new"),
    ] {
        put(&path);
    }

    let removed = site.run(&PURGE);

    assert_eq!(removed.status.code(), Some(0));
    assert!(!site.paths().base().exists() && !site.paths().logs().exists());
    let told = String::from_utf8_lossy(&removed.stderr);
    assert!(!told.contains("kept:"), "{told}");
}

#[test]
fn foreign_files_do_not_hinder_the_next_installation() {
    let site = Installation::start();
    let own = site.paths().certs().join("intranet-ca.pem");
    put(&own);
    assert_eq!(site.run(&PURGE).status.code(), Some(0));

    site.done(&with(&INSTALL_ON_HOST, &[]));

    assert_eq!(fs::read_to_string(&own).expect("it is there"), "mine");
    assert_eq!(site.run(&PURGE).status.code(), Some(0));
    assert!(own.exists());
}
