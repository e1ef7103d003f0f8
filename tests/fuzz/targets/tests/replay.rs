//! The committed inputs, without a fuzzer.

use std::{collections::BTreeSet, fs, panic::catch_unwind, path::PathBuf};

use fuzz_targets::ALL;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(self::folder(folder)).expect("the folder is committed");
    let name = |entry: fs::DirEntry| entry.path().file_stem()?.to_str().map(str::to_owned);
    entries.filter_map(|entry| name(entry.expect("it can be listed"))).collect()
}

#[test]
fn every_committed_input_keeps_every_promise() {
    let mut broken = Vec::new();
    for (name, target) in ALL {
        let inputs = fs::read_dir(folder("corpus").join(name)).expect("every target has inputs");
        let mut paths: Vec<_> =
            inputs.map(|input| input.expect("it can be listed").path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "`{name}` has no input");
        for path in paths {
            let input = fs::read(&path).expect("it can be read");
            if catch_unwind(|| target(&input)).is_err() {
                broken.push(path);
            }
        }
    }

    assert_eq!(broken, Vec::<PathBuf>::new());
}

#[test]
fn every_target_has_a_binary_and_inputs_and_nothing_else_has() {
    let targets: BTreeSet<_> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();

    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}

#[test]
fn the_committed_inputs_stay_small() {
    let mut bytes = 0;
    for (name, _) in ALL {
        for input in fs::read_dir(folder("corpus").join(name)).expect("every target has inputs") {
            bytes += input.and_then(|input| input.metadata()).expect("it can be listed").len();
        }
    }

    assert!(bytes < 300 * 1024, "{bytes} bytes");
}
