//! The open files of a bundle keep the verified content, even if the files change afterwards.

use std::{fs::Permissions, io::Read as _, os::unix::fs::PermissionsExt as _};

use super::*;

fn is_images(listed: &Listed) -> bool {
    listed.kind == Kind::Images
}

fn opened(bundle: &Path, room: &Path) -> Opened {
    open(bundle, room, &is_images, &mut |_, _| true).unwrap()
}

fn read(opened: &mut Opened) -> Vec<u8> {
    let mut bytes = Vec::new();
    opened.files.get_mut(IMAGES).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_file_that_is_replaced_after_verification_is_not_used() {
    let staging = Staging::usual();
    let folder = staging.extracted();
    let room = tempfile::tempdir().unwrap();

    let mut kept = opened(&folder, room.path());
    put(&folder.join("other"), b"exchanged");
    fs::rename(folder.join("other"), folder.join(IMAGES)).unwrap();

    assert_eq!(kept.files.len(), 1, "nothing else is kept");
    assert_eq!(read(&mut kept), [7; 100_000]);
}

#[test]
fn a_file_that_others_can_write_to_is_copied_during_verification() {
    let staging = Staging::usual();
    let folder = staging.extracted();
    let room = tempfile::tempdir().unwrap();
    let images = folder.join(IMAGES);
    fs::set_permissions(&images, Permissions::from_mode(0o666)).unwrap();

    let mut kept = opened(&folder, room.path());
    let mut file = File::options().write(true).open(&images).unwrap();
    file.write_all(b"changed in place").unwrap();

    assert_eq!(read(&mut kept), [7; 100_000]);
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0, "the copy has no name");
}

#[test]
fn an_archive_that_is_replaced_after_verification_is_not_used() {
    let staging = Staging::usual();
    let (archive, manifest) = staging.build(ARCHIVE);
    let room = tempfile::tempdir().unwrap();

    let mut kept = opened(&archive, room.path());
    put(&archive, b"exchanged");
    let unpacked = fs::read_dir(room.path()).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(unpacked.join(IMAGES)).unwrap();
    put(&unpacked.join(IMAGES), b"exchanged");

    assert_eq!(kept.manifest, manifest);
    assert_eq!(read(&mut kept), [7; 100_000]);
    drop(kept);
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
}
