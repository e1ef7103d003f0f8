//! Damaged and hostile bundles: each is refused with its problem, and leaves nothing.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use super::{super::*, Staging, judge, put};

const RPM: &str = "dependencies/pcoip-cmsg-setup-0.1.0-1.el9.x86_64.rpm";

struct Crafted<'a> {
    kind: EntryType,
    path: String,
    bytes: &'a [u8],
}

fn file<'a>(path: &str, bytes: &'a [u8]) -> Crafted<'a> {
    Crafted { kind: EntryType::Regular, path: format!("{FOLDER}/{path}"), bytes }
}

fn odd(kind: EntryType, path: &str) -> Crafted<'static> {
    Crafted { kind, path: format!("{FOLDER}/{path}"), bytes: b"" }
}

/// An archive with these entries and names.
fn craft(folder: &Path, entries: &[Crafted<'_>]) -> PathBuf {
    let path = folder.join("crafted.tar.gz");
    let mut archive =
        Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
    for Crafted { kind, path, bytes } in entries {
        let mut header = Header::new_ustar();
        // The method of `tar` would refuse this name.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
    path
}

fn digest_of(bytes: &[u8]) -> String {
    let mut progress = digest::Progress { done: 0, total: 0, watch: &mut |_, _| true };
    let copied = digest::copy(&mut &bytes[..], &mut std::io::sink(), &mut progress);
    copied.unwrap_or_else(|_| panic!("nothing here fails")).sha256
}

fn manifest(files: &[(&str, &[u8])]) -> String {
    let listed = files.iter().map(|(path, bytes)| Listed {
        path: (*path).to_owned(),
        size: bytes.len() as u64,
        sha256: digest_of(bytes),
        kind: Kind::Package,
        version: "1-1".to_owned(),
    });
    Manifest::of("0.1.0", "x86_64", listed.collect()).text().unwrap()
}

/// The problem of a bundle that can neither be verified nor unpacked.
fn refused(bundle: &Path) -> String {
    let said = judge(bundle).unwrap_err().to_string();
    if bundle.is_file() {
        let room = tempfile::tempdir().unwrap();
        let unpacked = unpack(bundle, room.path(), &|_| true, &mut |_, _| true);
        assert_eq!(unpacked.unwrap_err().to_string(), said);
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
    }
    said
}

/// Checks that archives with the manifest of `a` and `b` and these entries are refused with this
/// text.
fn all_are_refused<const N: usize>(table: [(Vec<Crafted<'_>>, &str); N]) {
    for (entries, expected) in table {
        let folder = tempfile::tempdir().unwrap();
        let text = manifest(&[("a", b"aa"), ("b", b"bb")]);
        let mut all = vec![file(MANIFEST, text.as_bytes())];
        all.extend(entries);

        assert_eq!(refused(&craft(folder.path(), &all)), expected);
    }
}

#[test]
fn files_that_differ_from_the_manifest_are_refused_by_name() {
    let digests = format!(
        "`a` has the SHA-256 digest {}, but `manifest.json` says {}",
        digest_of(b"ab"),
        digest_of(b"aa")
    );
    all_are_refused([
        (vec![file("a", b"aa")], "`b` is listed in `manifest.json` but is missing"),
        (
            vec![file("a", b"aa"), file("b", b"bb"), file("c", b"cc")],
            "`c` is not in `manifest.json`",
        ),
        (vec![file("a", b"aa"), file("a", b"aa")], "`a` is not in `manifest.json`"),
        (vec![file("a", b"aaa")], "the size of `a` is 3, but `manifest.json` says 2"),
        (vec![file("a", b"ab")], &digests),
    ]);
}

#[test]
fn entries_other_than_regular_files_are_refused_by_name() {
    let table = [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Block, "a device"),
        (EntryType::Char, "a device"),
        (EntryType::Fifo, "a pipe"),
        (EntryType::Directory, "a directory entry"),
        (EntryType::GNULongName, "an extension entry"),
        (EntryType::XHeader, "an extension entry"),
    ];
    for (kind, what) in table {
        let said = format!("`a` is {what}; a bundle contains only regular files");
        all_are_refused([(vec![odd(kind, "a")], &said)]);
    }
}

#[test]
fn entries_outside_the_directory_are_refused_by_name() {
    for path in ["/etc/passwd", "../a", "teradici-pcoip-cmsg-bundle/../a", "a", ""] {
        let outside = Crafted { kind: EntryType::Regular, path: path.to_owned(), bytes: b"aa" };
        let said = format!("`{path}` is outside the directory `{FOLDER}`");

        all_are_refused([(vec![outside], &said)]);
    }
}

#[test]
fn an_archive_that_does_not_begin_with_its_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();

    assert_eq!(
        refused(&craft(folder.path(), &[file("a", b"aa")])),
        "it is not a bundle: its first file is `a`, not `manifest.json`"
    );
    assert_eq!(refused(&craft(folder.path(), &[])), "it is not a bundle: it is empty");
}

/// The problem of a bundle with this replacement in its manifest.
fn refused_with(from: &str, to: &str) -> String {
    let whole = manifest(&[("a", b"aa"), ("b", b"bb")]);
    assert!(whole.contains(from), "{from}");
    let text = whole.replace(from, to);
    let folder = tempfile::tempdir().unwrap();
    refused(&craft(folder.path(), &[file(MANIFEST, text.as_bytes())]))
}

#[test]
fn a_manifest_with_control_characters_is_refused() {
    let texts =
        [(r#""version": "0.1.0""#, "version"), (r#""architecture": "x86_64""#, "architecture")];
    for (whole, name) in texts {
        for odd in [r"\u001b[2J", r"\n", r"\u009b", r"\u202e", r"\u2028"] {
            let said = refused_with(whole, &format!(r#""{name}": "1{odd}""#));

            assert!(said.ends_with("has a control character"), "{said}");
            assert!(!said.contains(|c: char| c.is_control() || c == '\u{202e}'), "{said:?}");
        }
    }
    let said = refused_with(r#""version":"1-1""#, r#""version":"1\u001b]0;""#);
    assert!(said.ends_with("has a control character"), "{said}");
}

#[test]
fn an_invalid_manifest_is_refused_with_its_problem() {
    for path in ["../a", "/a", r"a\nb", "-a", ".a", "a/b/c", "a b", "", "manifest.json"] {
        let said = refused_with(r#""path":"a""#, &format!(r#""path":"{path}""#));

        let expected =
            format!(r#"it is not a bundle: `manifest.json`: "{path}" is not a valid path"#);
        assert_eq!(said, expected);
    }
    let table = [
        (r#""path":"a""#, r#""path":"b""#, "`b` is listed twice"),
        (r#""path":"a""#, r#""path":"b/c""#, "`b` is a file and a directory"),
        (&digest_of(b"aa"), "aa", r#""aa" is not a SHA-256 digest"#),
        (r#""schema": 1"#, r#""schema": 2"#, "it has schema 2, but this program reads schema 1"),
        ("pcoip-cmsg", "nginx", r#"it is for a different product, "nginx""#),
    ];
    for (from, to, why) in table {
        let expected = format!("it is not a bundle: `manifest.json`: {why}");
        assert_eq!(refused_with(from, to), expected);
    }
}

#[test]
fn a_manifest_above_the_size_limit_is_refused() {
    for size in [1_u64 << 40, u64::MAX] {
        let said = refused_with(r#""size":2"#, &format!(r#""size":{size}"#));

        let total = size.saturating_add(size);
        let expected =
            format!("its files would need {total} bytes, more than a bundle can contain");
        assert_eq!(said, expected);
    }
}

#[test]
fn unpacking_stops_where_an_entry_exceeds_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.tar.gz");
    let mut gzip = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    let text = manifest(&[("a", b"aa")]);
    let mut add = |name: &str, size: u64, bytes: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_path(format!("{FOLDER}/{name}")).unwrap();
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        header.set_cksum();
        gzip.write_all(header.as_bytes()).unwrap();
        gzip.write_all(bytes).unwrap();
        gzip.write_all(&vec![0; (512 - bytes.len() % 512) % 512]).unwrap();
    };
    add(MANIFEST, text.len() as u64, text.as_bytes());
    add("a", 1 << 40, &vec![0; 64 << 20]);
    gzip.finish().unwrap();

    let said = format!("the size of `a` is {}, but `manifest.json` says 2", 1_u64 << 40);
    assert_eq!(refused(&path), said);
}

#[test]
fn data_after_the_end_is_refused() {
    let staging = Staging::usual();
    let (archive, _) = staging.build("whole.tar.gz");
    let whole = fs::read(&archive).unwrap();
    let more = staging.folder.path().join("more.tar.gz");

    put(&more, &[&whole[..], b"x"].concat());
    assert_eq!(refused(&more), "the archive is damaged: there is data after its end");

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&manifest_only()).unwrap();
    gzip.write_all(&vec![0; 2 << 20]).unwrap();
    put(&more, &gzip.finish().unwrap());
    assert_eq!(refused(&more), "the archive is damaged: there is data after its end");
}

/// The tar archive of a bundle with an empty manifest, without gzip.
fn manifest_only() -> Vec<u8> {
    let text = manifest(&[]);
    let mut archive = Builder::new(Vec::new());
    let mut header = Header::new_ustar();
    header.set_path(format!("{FOLDER}/{MANIFEST}")).unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_size(text.len() as u64);
    header.set_cksum();
    archive.append(&header, text.as_bytes()).unwrap();
    archive.into_inner().unwrap()
}

#[test]
fn a_truncated_archive_or_another_file_is_refused() {
    let staging = Staging::usual();
    let (archive, _) = staging.build("whole.tar.gz");
    let whole = fs::read(&archive).unwrap();
    let part = staging.folder.path().join("part.tar.gz");

    for length in [whole.len() / 2, whole.len() - 1] {
        put(&part, &whole[..length]);
        assert_eq!(refused(&part), "the archive ends early", "{length}");
    }
    for (bytes, said) in [(&b""[..], "gzip"), (b"PK\x03\x04", "gzip"), (&whole[..1], "gzip")] {
        put(&part, bytes);
        assert_eq!(refused(&part), format!("it is not a bundle: it is not a {said} archive"));
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&[7; 2000]).unwrap();
    put(&part, &gzip.finish().unwrap());
    assert_eq!(refused(&part), "it is not a bundle: it does not contain a tar archive");
    let none = staging.folder.path().join("none.tar.gz");
    assert_eq!(refused(&none), format!("`{}` cannot be read", none.display()));
    assert_eq!(refused(Path::new("/dev/zero")), "`/dev/zero` cannot be read");
}

/// Damages a directory.
type Harm = fn(&Path);

#[test]
fn a_damaged_directory_is_refused_with_the_file_name() {
    let missing: Harm = |it| fs::remove_file(it.join(RPM)).unwrap();
    let besides: Harm = |it| put(&it.join("dependencies/more.rpm"), b"x");
    let folder: Harm = |it| fs::create_dir(it.join("more")).unwrap();
    let other: Harm = |it| put(&it.join(RPM), b"a packagf");
    let shorter: Harm = |it| put(&it.join(RPM), b"a packag");
    let link: Harm = |it| {
        fs::rename(it.join(IMAGES), it.with_extension("x")).unwrap();
        symlink(it.with_extension("x"), it.join(IMAGES)).unwrap();
    };
    let pipe: Harm = |it| {
        fs::remove_file(it.join(IMAGES)).unwrap();
        nix::unistd::mkfifo(&it.join(IMAGES), nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    let folder_instead: Harm = |it| {
        fs::remove_file(it.join(IMAGES)).unwrap();
        fs::create_dir(it.join(IMAGES)).unwrap();
    };
    let none: Harm = |it| fs::remove_file(it.join(MANIFEST)).unwrap();
    let only = |what: &str| format!("`{IMAGES}` is {what}; a bundle contains only regular files");
    let table = [
        (missing, format!("`{RPM}` is listed in `manifest.json` but is missing")),
        (besides, "`dependencies/more.rpm` is not in `manifest.json`".to_owned()),
        (folder, "`more` is not in `manifest.json`".to_owned()),
        (other, format!("`{RPM}` has the SHA-256 digest ")),
        (shorter, format!("the size of `{RPM}` is 8, but `manifest.json` says 9")),
        (link, only("a symbolic link")),
        (pipe, only("a pipe")),
        (folder_instead, only("a directory")),
        (none, "it is not a bundle: it has no `manifest.json`".to_owned()),
    ];
    for (harm, expected) in table {
        let staging = Staging::usual();
        let folder = staging.extracted();
        harm(&folder);

        let said = refused(&folder);

        assert!(said.starts_with(&expected), "{said}");
    }
}
