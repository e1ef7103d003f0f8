//! A bundle is unpacked as its manifest says or not at all, for any archive, and never outside the
//! directory.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use cmsg_bundles::{Problem, unpack, verify};
use flate2::{Compression, write::GzEncoder};

/// Reads bytes as an archive before it is compressed, and as a compressed one.
pub fn run(data: &[u8]) {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(data).expect("memory can be written to");
    is_whole_or_nothing(&gzip.finish().expect("memory can be written to"));
    is_whole_or_nothing(data);
}

fn is_whole_or_nothing(bytes: &[u8]) {
    let own = tempfile::tempdir().expect("a folder can be made");
    let (archive, room) = (own.path().join("archive"), own.path().join("room"));
    let mut file = fs::File::create(&archive).expect("a file can be made");
    file.write_all(bytes).expect("it can be written");
    fs::create_dir(&room).expect("a folder can be made");

    let unpacked = unpack(&archive, &room, &|_| true, &mut |_, _| true);
    match (unpacked, verify(&archive, &mut |_, _| true)) {
        (Ok(unpacked), Ok(manifest)) => {
            assert_eq!(unpacked.manifest, manifest);
            let mut listed: Vec<_> = manifest.files.iter().map(|file| file.path.clone()).collect();
            listed.sort();
            assert_eq!(files(unpacked.folder()), listed);
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.to_string(), other.to_string());
            assert!(!matches!(one, Problem::Unwritable { .. }), "{one}");
            assert!(!one.to_string().contains(char::is_control), "{one}");
        }
        (one, other) => panic!("{one:?}, and {other:?}"),
    }
    assert_eq!(files(own.path()), ["archive"]);
}

/// All files below a folder, by their paths from there.
fn files(folder: &Path) -> Vec<String> {
    let mut left = vec![folder.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() { left.push(path) } else { files.push(path) }
        }
    }
    let name = |path: PathBuf| {
        let inside = path.strip_prefix(folder).expect("it is below");
        inside.display().to_string()
    };
    let mut names: Vec<_> = files.into_iter().map(name).collect();
    names.sort();
    names
}
