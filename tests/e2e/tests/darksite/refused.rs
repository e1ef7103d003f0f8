//! The findings of `install` for a damaged or hostile bundle, which change nothing.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use cmsg_bundles::{Contents, build};
use e2e::{
    installation::Installation,
    installer::{INSTALL_ON_HOST as FLAGS, document},
    needs::{Need, met},
};
use serde_json::Value;

const OWN: &str = env!("CARGO_PKG_VERSION");
const PACKAGE: &str = "dependencies/pcoip-cmsg-setup-1-1.el9.x86_64.rpm";

fn put(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::create(path).expect("a file can be made");
    file.write_all(bytes).expect("it can be written");
}

/// A bundle of a version and an architecture, and its unpacked directory.
fn bundle(folder: &Path, version: &str, architecture: &str) -> PathBuf {
    let images = folder.join("images");
    let package = folder.join("pcoip-cmsg-setup-1-1.el9.x86_64.rpm");
    put(&images, &[7; 200_000]);
    put(&package, &[8; 100_000]);
    let to = folder.join("whole.tar.gz");
    let packages = if architecture == "x86_64" { vec![package] } else { vec![] };
    let packages = &packages;
    let contents = Contents { version, architecture, images: &images, packages, sign: None };
    build(&contents, &to, &mut |_, _| true).expect("a bundle can be made");
    shell(folder, "tar xzf whole.tar.gz");
    to
}

fn shell(folder: &Path, script: &str) {
    let output = Command::new("bash").args(["-ec", script]).current_dir(folder).output();
    let output = output.expect("`bash` starts");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The findings of a refused run.
fn refused(site: &Installation, words: &[&str], bundle: &Path) -> Value {
    let bundle = format!("--darksite-bundle-path={}", bundle.display());
    let output = site.run(&[words, &[&bundle]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    document(&output)["findings"].clone()
}

/// The ids and texts of the errors about the bundle.
fn errors(findings: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = findings.as_array().expect("they are a list").iter();
    all.filter(|it| it["level"] == "error").map(|it| (text(&it["id"]), text(&it["what"]))).collect()
}

/// A script in the directory of a bundle that creates `damaged.tar.gz`, the id of the only error,
/// and a part of its text.
type Harm = (String, &'static str, &'static str);

/// Packs the directory again after this script, with these additional files.
fn changed(script: &str, besides: &str) -> String {
    let all = "$(find teradici-pcoip-cmsg-bundle -type f ! -name manifest.json | sort)";
    format!(
        "cd teradici-pcoip-cmsg-bundle; {script}; cd ..
         tar --format=ustar -P -czf damaged.tar.gz \
             teradici-pcoip-cmsg-bundle/manifest.json {all} {besides}"
    )
}

fn all_are_refused<const N: usize>(table: [Harm; N]) {
    if !met(&[Need::Root, Need::Tool("tar"), Need::Tool("mknod")]) {
        return;
    }
    for (harm, id, what) in table {
        let folder = tempfile::tempdir().expect("a folder can be made");
        bundle(folder.path(), OWN, "x86_64");
        shell(folder.path(), &harm);
        let site = Installation::nothing();

        let found = errors(&refused(&site, &FLAGS, &folder.path().join("damaged.tar.gz")));

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == id && found[0].1.contains(what), "{harm}: {found:?}");
        assert!(!site.root().exists(), "{harm}");
    }
}

#[test]
fn an_archive_of_other_files_than_its_manifest_says_is_refused_by_their_names() {
    all_are_refused([
        (changed(&format!("rm {PACKAGE}"), ""), "bundle.missing", PACKAGE),
        (changed("echo > more", ""), "bundle.besides", "`more`"),
        (
            changed(&format!("printf x | dd of={PACKAGE} conv=notrunc"), ""),
            "bundle.changed",
            PACKAGE,
        ),
        (
            changed("truncate -s 1G pcoip-cmsg-images.tar", ""),
            "bundle.changed",
            "the size of `pcoip-cmsg-images.tar` is 1073741824, but `manifest.json` says 200000",
        ),
        (
            changed("sed -i 's/:200000,/:20000000000,/' manifest.json", ""),
            "bundle.too-large",
            "more than a bundle can contain",
        ),
    ]);
}

#[test]
fn an_archive_with_links_devices_or_ways_out_is_refused_by_their_names() {
    let package = &format!("teradici-pcoip-cmsg-bundle/{PACKAGE}");
    all_are_refused([
        (
            changed(&format!("ln -sf /etc/passwd {PACKAGE}"), package),
            "bundle.kind",
            "is a symbolic link",
        ),
        (
            changed(&format!("rm {PACKAGE}; mknod {PACKAGE} c 1 3"), package),
            "bundle.kind",
            "is a device",
        ),
        (
            changed("echo > ../out", "teradici-pcoip-cmsg-bundle/../out"),
            "bundle.path",
            "`teradici-pcoip-cmsg-bundle/../out` is outside the directory",
        ),
        (changed("echo > ../out", "$PWD/out"), "bundle.path", "/out` is outside the directory"),
    ]);
}

#[test]
fn what_is_no_whole_archive_is_refused() {
    all_are_refused([
        ("head -c 2000 whole.tar.gz > damaged.tar.gz".to_owned(), "bundle.truncated", "ends early"),
        (
            "gzip -c images > damaged.tar.gz".to_owned(),
            "bundle.not-one",
            "it does not contain a tar archive",
        ),
        ("echo > damaged.tar.gz".to_owned(), "bundle.not-one", "it is not a gzip archive"),
        (String::new(), "bundle.unreadable", "No such file or directory"),
    ]);
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let whole = fs::read(bundle(folder.path(), OWN, "x86_64")).expect("it is there");
    let damaged = folder.path().join("damaged.tar.gz");
    let site = Installation::nothing();
    for place in [whole.len() / 4, whole.len() / 2, whole.len() - 6] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        put(&damaged, &bytes);

        let found = errors(&refused(&site, &FLAGS, &damaged));

        assert!(found.len() == 1 && found[0].0.starts_with("bundle."), "{place}: {found:?}");
        assert!(!site.root().exists());
    }
}

#[test]
fn a_folder_that_is_not_what_was_packed_is_refused_too() {
    let table = [
        (format!("rm {PACKAGE}"), "bundle.missing"),
        ("echo > dependencies/more.rpm".to_owned(), "bundle.besides"),
        (format!("printf x | dd of={PACKAGE} conv=notrunc"), "bundle.changed"),
        (format!("ln -sf /etc/passwd {PACKAGE}"), "bundle.kind"),
        ("rm manifest.json".to_owned(), "bundle.not-one"),
    ];
    for (harm, id) in table {
        let folder = tempfile::tempdir().expect("a folder can be made");
        bundle(folder.path(), OWN, "x86_64");
        let out = folder.path().join("teradici-pcoip-cmsg-bundle");
        shell(&out, &harm);
        let site = Installation::nothing();

        let found = errors(&refused(&site, &FLAGS, &out));

        assert!(found.len() == 1 && found[0].0 == id, "{harm}: {found:?}");
        assert!(!site.root().exists(), "{harm}");
    }
}

#[test]
fn a_bundle_for_other_machines_or_of_another_version_is_refused() {
    let table = [(OWN, "aarch64", "bundle.architecture"), ("9.0.0", "x86_64", "bundle.newer")];
    for (version, architecture, id) in table {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let bundle = bundle(folder.path(), version, architecture);
        let site = Installation::nothing();

        let found = errors(&refused(&site, &FLAGS, &bundle));

        assert!(found.len() == 1 && found[0].0 == id, "{found:?}");
    }
}

#[test]
fn a_bundle_older_than_what_is_installed_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let older = bundle(folder.path(), "0.0.9", "x86_64");
    let site = Installation::start();
    let before = contents(&site.root());

    for words in [&FLAGS[..], &["update", "--runtime=host"]] {
        let findings = refused(&site, words, &older);

        let what =
            format!("the bundle has version 0.0.9, but the newer version {OWN} is installed");
        assert_eq!(errors(&findings), [("bundle.older".to_owned(), what)]);
    }
    assert!(contents(&site.root()) == before);
}

/// All files of the installer below a directory.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let data = root.join("opt/teradici/pcoipcm_data/data");
    let files = fs::read_dir(data).expect("it can be read").map(|it| it.expect("so can it").path());
    let files = files.filter(|path| path.is_file());
    files.map(|path| (path.clone(), fs::read(&path).expect("it can be read"))).collect()
}
