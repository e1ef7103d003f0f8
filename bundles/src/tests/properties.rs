//! Properties of all bundles, and of changed bytes.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
};

use proptest::prelude::*;

use super::{super::*, Staging, put};

fn packages() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let name = "[a-z][a-z0-9+.]{0,8}-[0-9.~^]{1,6}-[0-9]{1,3}\\.el[89]\\.(x86_64|noarch)\\.rpm";
    let bytes = prop::collection::vec(any::<u8>(), 0..2000);
    prop::collection::btree_map(name, bytes, 0..6)
}

fn staging(images: &[u8], packages: &BTreeMap<String, Vec<u8>>) -> Staging {
    let packages: Vec<_> =
        packages.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    Staging::of(images, &packages)
}

/// The files of an unpacked archive.
fn unpacked(archive: &Path) -> Result<(Manifest, Vec<Vec<u8>>), Problem> {
    let room = tempfile::tempdir().unwrap();
    let unpacked = unpack(archive, room.path(), &|_| true, &mut |_, _| true)?;
    let read = |listed: &Listed| fs::read(unpacked.folder().join(&listed.path)).unwrap();
    let files = unpacked.manifest.files.iter().map(read).collect();
    Ok((unpacked.manifest.clone(), files))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_built_bundle_can_be_unpacked(images in prop::collection::vec(any::<u8>(), 0..3000), packages in packages()) {
        let staging = staging(&images, &packages);
        let (archive, manifest) = staging.build("one.tar.gz");
        let (again, _) = staging.build("two.tar.gz");

        let (read, files) = unpacked(&archive).unwrap();

        prop_assert_eq!(&read, &manifest);
        for (listed, bytes) in read.files.iter().zip(files) {
            let expected = match listed.kind {
                Kind::Images => &images[..],
                Kind::Script => SCRIPT_TEXT.as_bytes(),
                Kind::Package => &packages[listed.path.trim_start_matches("dependencies/")],
            };
            prop_assert_eq!(bytes, expected);
        }
        prop_assert!(fs::read(archive).unwrap() == fs::read(again).unwrap());
    }

    #[test]
    fn a_changed_byte_is_refused_or_changes_nothing(packages in packages(), place in any::<prop::sample::Index>(), change in 1_u8..) {
        let staging = staging(b"images", &packages);
        let (archive, _) = staging.build("one.tar.gz");
        let whole = unpacked(&archive).unwrap();
        let mut bytes = fs::read(&archive).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        put(&archive, &bytes);

        if let Ok(read) = unpacked(&archive) {
            prop_assert_eq!(read, whole);
        }
    }

    /// Changes inside the gzip stream, whose checksum would detect them. They may change the
    /// version in the manifest.
    #[test]
    fn changed_bytes_of_the_archive_itself_are_refused_or_change_no_file(
        packages in packages(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let staging = staging(b"images", &packages);
        let (archive, _) = staging.build("one.tar.gz");
        let whole = unpacked(&archive).unwrap();
        let mut plain = Vec::new();
        let mut gzip = flate2::read::GzDecoder::new(File::open(&archive).unwrap());
        gzip.read_to_end(&mut plain).unwrap();
        for (place, byte) in changes {
            let place = place.index(plain.len());
            plain[place] = byte;
        }
        let fast = flate2::Compression::fast();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), fast);
        gzip.write_all(&plain).unwrap();
        put(&archive, &gzip.finish().unwrap());

        match unpacked(&archive) {
            Ok(read) => prop_assert_eq!(read.1, whole.1),
            Err(problem) => prop_assert!(!problem.to_string().contains(char::is_control)),
        }
    }

    #[test]
    fn a_truncated_archive_is_refused(packages in packages(), length in any::<prop::sample::Index>()) {
        let staging = staging(b"images", &packages);
        let (archive, _) = staging.build("one.tar.gz");
        let bytes = fs::read(&archive).unwrap();
        put(&archive, &bytes[..length.index(bytes.len())]);

        prop_assert!(unpacked(&archive).is_err());
    }

    #[test]
    fn no_bytes_make_the_manifest_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Manifest::parse(&bytes).is_err());
    }
}
