//! Complete bundles, and every way in which a bundle can be incomplete.

mod damaged;
mod opened;
mod properties;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::*;

/// The files from which a bundle is built.
pub(super) struct Staging {
    pub(super) folder: TempDir,
    images: PathBuf,
    packages: Vec<PathBuf>,
}

impl Staging {
    pub(super) fn of(images: &[u8], packages: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lay = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            put(&path, bytes);
            path
        };
        let images = lay("made-elsewhere.tar", images);
        let packages = packages.iter().map(|(name, bytes)| lay(name, bytes)).collect();
        Self { images, packages, folder }
    }

    pub(super) fn usual() -> Self {
        let packages: [(&str, &[u8]); 2] = [
            ("pcoip-cmsg-setup-0.1.0-1.el9.x86_64.rpm", b"a package"),
            ("container-selinux-2.229-1.el9.noarch.rpm", b"another one"),
        ];
        Self::of(&[7; 100_000], &packages)
    }

    fn contents(&self) -> Contents<'_> {
        Contents {
            version: "0.1.0",
            architecture: "x86_64",
            images: &self.images,
            packages: &self.packages,
            sign: None,
        }
    }

    pub(super) fn build(&self, name: &str) -> (PathBuf, Manifest) {
        let to = self.folder.path().join(name);
        let built = build(&self.contents(), &to, &mut |_, _| true).unwrap();
        assert_eq!(built.bytes, to.metadata().unwrap().len());
        let mut progress = digest::Progress { done: 0, total: 0, watch: &mut |_, _| true };
        let whole = digest::copy(&mut File::open(&to).unwrap(), &mut io::sink(), &mut progress);
        assert_eq!(whole.ok().unwrap().sha256, built.sha256);
        (to, built.manifest)
    }

    /// The unpacked directory, as `tar xzf` creates it.
    pub(super) fn extracted(&self) -> PathBuf {
        let (archive, _) = self.build("whole.tar.gz");
        let plain = flate2::read::GzDecoder::new(File::open(archive).unwrap());
        tar::Archive::new(plain).unpack(self.folder.path()).unwrap();
        self.folder.path().join(FOLDER)
    }
}

pub(super) fn put(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

pub(super) fn judge(bundle: &Path) -> Result<Manifest, Problem> {
    verify(bundle, &mut |_, _| true)
}

#[test]
fn a_bundle_contains_its_input_as_archive_and_as_directory() {
    let staging = Staging::usual();

    let (archive, manifest) = staging.build(ARCHIVE);

    let listed: Vec<_> = manifest
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.size, file.kind, file.version.as_str()))
        .collect();
    let script = SCRIPT_TEXT.len() as u64;
    assert_eq!(
        listed,
        [
            (
                "dependencies/container-selinux-2.229-1.el9.noarch.rpm",
                11,
                Kind::Package,
                "2.229-1.el9"
            ),
            (
                "dependencies/pcoip-cmsg-setup-0.1.0-1.el9.x86_64.rpm",
                9,
                Kind::Package,
                "0.1.0-1.el9"
            ),
            ("pcoip-cmsg-images.tar", 100_000, Kind::Images, "0.1.0"),
            ("pcoip-cmsg-setup-offline.sh", script, Kind::Script, "0.1.0"),
        ]
    );
    assert_eq!(judge(&archive).unwrap(), manifest);
    assert_eq!(judge(&staging.extracted()).unwrap(), manifest);
}

#[test]
fn only_wanted_files_are_unpacked_and_removed_on_drop() {
    let staging = Staging::usual();
    let (archive, _) = staging.build(ARCHIVE);
    let room = tempfile::tempdir().unwrap();
    let wants = |listed: &Listed| listed.kind == Kind::Images;

    let unpacked = unpack(&archive, room.path(), &wants, &mut |_, _| true).unwrap();

    let files: Vec<_> = fs::read_dir(unpacked.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, [IMAGES]);
    assert_eq!(fs::read(unpacked.folder().join(IMAGES)).unwrap(), [7; 100_000]);
    drop(unpacked);
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
}

#[test]
fn the_bytes_do_not_depend_on_owner_and_time_of_the_files() {
    let (one, other) = (Staging::usual(), Staging::usual());
    for path in &other.packages {
        let day = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
        File::open(path).unwrap().set_modified(day).unwrap();
    }
    let mut contents = other.contents();
    let turned: Vec<_> = other.packages.iter().rev().cloned().collect();
    contents.packages = &turned;
    let second = other.folder.path().join("second.tar.gz");

    let (first, _) = one.build("first.tar.gz");
    build(&contents, &second, &mut |_, _| true).unwrap();

    assert!(fs::read(first).unwrap() == fs::read(second).unwrap());
}

#[test]
fn the_manifest_has_one_line_per_file_and_the_signature_follows() {
    let staging = Staging::of(b"images", &[("a-1-2.noarch.rpm", b"a")]);
    let to = staging.folder.path().join("signed.tar.gz");
    let sign = |bytes: &[u8]| Ok([b"signed: ", bytes].concat());
    let contents = Contents { sign: Some(&sign), ..staging.contents() };

    let manifest = build(&contents, &to, &mut |_, _| true).unwrap().manifest;

    let plain = flate2::read::GzDecoder::new(File::open(&to).unwrap());
    tar::Archive::new(plain).unpack(staging.folder.path()).unwrap();
    let folder = staging.folder.path().join(FOLDER);
    let text = fs::read_to_string(folder.join(MANIFEST)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    assert_eq!(
        lines[..6],
        [
            "{",
            r#"  "schema": 1,"#,
            r#"  "product": "pcoip-cmsg","#,
            r#"  "version": "0.1.0","#,
            r#"  "architecture": "x86_64","#,
            r#"  "files": ["#,
        ]
    );
    let path = "dependencies/a-1-2.noarch.rpm";
    let line = format!(
        r#"    {{"path":"{path}","size":1,"sha256":"{digest}","kind":"package","version":"1-2"}},"#
    );
    assert_eq!(lines[6], line);
    assert_eq!(lines[9..], ["  ]", "}"]);
    assert_eq!(fs::read_to_string(folder.join(SIGNATURE)).unwrap(), format!("signed: {text}"));
    assert_eq!(judge(&to).unwrap(), manifest);
    assert_eq!(judge(&folder).unwrap(), manifest);
}

#[test]
fn an_unsuitable_package_is_refused() {
    let long = format!("{}-1-2.noarch.rpm", "a".repeat(100));
    let table = [
        ("setup.rpm", "its file is not named `NAME-VERSION-RELEASE.ARCHITECTURE.rpm`"),
        ("a-1-2.aarch64.rpm", "it is for `aarch64`, not for `x86_64`"),
        (&long, "its file's name is longer than 100 bytes"),
    ];
    for (name, why) in table {
        let staging = Staging::of(b"images", &[(name, b"a")]);
        let to = staging.folder.path().join("none.tar.gz");

        let problem = build(&staging.contents(), &to, &mut |_, _| true).unwrap_err();

        assert_eq!(
            problem.to_string(),
            format!("the package `{name}` cannot be in a bundle: {why}")
        );
        assert!(!to.exists());
    }
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let staging = Staging::usual();
    let (archive, _) = staging.build(ARCHIVE);
    let room = tempfile::tempdir().unwrap();
    let before = fs::read_dir(staging.folder.path()).unwrap().count();
    let to = staging.folder.path().join("other.tar.gz");

    // The first half of the progress is for digests, the second for writing.
    let built = build(&staging.contents(), &to, &mut |done, total| done < total / 2 + 1);
    let unpacked = unpack(&archive, room.path(), &|_| true, &mut |done, _| done < 50_000);

    assert!(matches!(built, Err(Problem::Interrupted)), "{built:?}");
    assert!(matches!(unpacked, Err(Problem::Interrupted)), "{unpacked:?}");
    assert_eq!(fs::read_dir(staging.folder.path()).unwrap().count(), before);
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
}

#[test]
fn the_script_prints_its_help_and_not_its_source() {
    for flags in [&["--help"][..], &["-h"], &["-d", "--help"]] {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join(SCRIPT);
        put(&script, SCRIPT_TEXT.as_bytes());
        let output = std::process::Command::new("bash").arg(&script).args(flags).output().unwrap();

        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{flags:?}");
        assert!(help.contains("Usage: sudo ./pcoip-cmsg-setup-offline.sh [-d]"), "{help}");
        // Nothing of the source, and no line wider than 80 columns.
        assert!(!help.contains("printf") && !help.contains("env bash"), "{help}");
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    }
}
