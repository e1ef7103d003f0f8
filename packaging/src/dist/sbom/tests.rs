use std::collections::BTreeSet;

use super::*;

const TIME: &str = "2026-11-26T20:00:00Z";

/// Violations of the CycloneDX 1.6 schema, for the parts that are used here.
fn complaints(list: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut claim = |holds: bool, what: String| {
        if !holds {
            complaints.push(what);
        }
    };
    claim(list["bomFormat"] == "CycloneDX", "bomFormat".into());
    claim(list["specVersion"] == "1.6", "specVersion".into());
    claim(list["version"].as_u64().is_some_and(|version| version > 0), "version".into());
    let time = list["metadata"]["timestamp"].as_str().unwrap_or_default();
    let shape = time.replace(|digit: char| digit.is_ascii_digit(), "0");
    claim(shape == "0000-00-00T00:00:00Z", format!("timestamp {time}"));
    let of = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let subject = list["metadata"]["component"].clone();
    let components: Vec<_> = of(&list["components"]).into_iter().chain([subject]).collect();
    let mut references = BTreeSet::new();
    for component in &components {
        let text = |key: &str| component[key].as_str().unwrap_or_default().to_owned();
        let name = text("name");
        claim(!name.is_empty() && !text("version").is_empty(), format!("name of {component}"));
        claim(["application", "library"].contains(&&*text("type")), format!("type of {name}"));
        claim(references.insert(text("bom-ref")), format!("{name} twice"));
        for licence in of(&component["licenses"]) {
            let words = licence["expression"].as_str().unwrap_or_default();
            let is_word = |word: char| word.is_ascii_alphanumeric() || " .-()+".contains(word);
            claim(!words.is_empty() && words.chars().all(is_word), format!("licence {words}"));
        }
        for hash in of(&component["hashes"]) {
            let digest = hash["content"].as_str().unwrap_or_default();
            let is_hex = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            claim(hash["alg"] == "SHA-256" && is_hex, format!("hash of {name}"));
        }
    }
    let mut printed = BTreeSet::new();
    for dependency in of(&list["dependencies"]) {
        let one = dependency["ref"].as_str().unwrap_or_default();
        claim(printed.insert(one.to_owned()), format!("{one} depends twice"));
        let used: Vec<_> = of(&dependency["dependsOn"]);
        let all = used.iter().filter_map(Value::as_str).chain([one]);
        for reference in all {
            claim(references.contains(reference), format!("{reference} is not there"));
        }
        let unique: BTreeSet<_> = used.iter().map(Value::to_string).collect();
        claim(unique.len() == used.len(), format!("{one} uses something twice"));
    }
    complaints
}

#[test]
fn the_list_of_this_workspace_is_as_the_specification_wants_it() {
    let crates = Crates::read().unwrap();
    let list = render(&crates, "0.1.0", "2.36", TIME);

    assert_eq!(complaints(&list), Vec::<String>::new());
    let names: Vec<_> = crates.0.iter().map(|one| &*one.name).collect();
    for linked in ["pcoip-cmsg-setup", "pcoip-cmsgd", "cmsg-proto", "aws-lc-sys", "rustls"] {
        assert!(names.contains(&linked), "{linked}");
    }
    // Development and build dependencies are not in the programs.
    for other in ["proptest", "trycmd", "pcoip-sim", "cc", "xtask"] {
        assert!(!names.contains(&other), "{other}");
    }
    assert!(crates.foreign().all(|one| one.licence.is_some()));
    assert_eq!(list, render(&Crates::read().unwrap(), "0.1.0", "2.36", TIME));
}

#[test]
fn a_crate_has_its_digest_its_licence_and_what_it_uses() {
    let printed = json!({
        "packages": [
            { "id": "d", "name": "pcoip-cmsgd", "version": "1.0.0", "license": "Apache-2.0",
              "manifest_path": "/ours/Cargo.toml" },
            { "id": "a", "name": "a", "version": "1.2.0+3", "license": "MIT/Apache-2.0",
              "manifest_path": "/a/Cargo.toml" },
            { "id": "t", "name": "t", "version": "1.0.0", "license": "MIT",
              "manifest_path": "/t/Cargo.toml" },
        ],
        "resolve": { "nodes": [
            { "id": "d", "deps": [
                { "pkg": "a", "dep_kinds": [{ "kind": "dev" }, { "kind": null }] },
                { "pkg": "t", "dep_kinds": [{ "kind": "dev" }, { "kind": "build" }] },
            ] },
            { "id": "a", "deps": [] },
            { "id": "t", "deps": [] },
        ] },
    });
    let checksum = "0123456789abcdef".repeat(4);
    let lock = format!(
        "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.0+3\"\n\
         source = \"registry\"\nchecksum = \"{checksum}\"\n\n\
         [[package]]\nname = \"pcoip-cmsgd\"\nversion = \"1.0.0\"\ndependencies = [\n \"a\",\n]\n"
    );

    let list = render(&Crates::parse(&printed, &lock).unwrap(), "1.0.0", "2.36", TIME);

    assert_eq!(complaints(&list), Vec::<String>::new());
    let expected = json!({
        "type": "library",
        "bom-ref": "pkg:cargo/a@1.2.0%2B3",
        "name": "a",
        "version": "1.2.0+3",
        "purl": "pkg:cargo/a@1.2.0%2B3",
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        "hashes": [{ "alg": "SHA-256", "content": checksum }],
    });
    assert_eq!(list["components"][0], expected);
    assert_eq!(list["components"].as_array().unwrap().len(), 3);
    let expected = json!([
        { "ref": "package", "dependsOn": ["pkg:cargo/pcoip-cmsgd@1.0.0"] },
        { "ref": "pkg:cargo/a@1.2.0%2B3", "dependsOn": [] },
        { "ref": "pkg:cargo/pcoip-cmsgd@1.0.0",
          "dependsOn": ["pkg:cargo/a@1.2.0%2B3", "pkg:generic/glibc@2.36"] },
    ]);
    assert_eq!(list["dependencies"], expected);
}

#[test]
fn what_the_specification_forbids_is_noticed() {
    let crates = Crates::read().unwrap();
    let good = render(&crates, "0.1.0", "2.36", TIME);
    let spoil = |pointer: &str, value: Value| {
        let mut list = good.clone();
        *list.pointer_mut(pointer).unwrap() = value;
        complaints(&list)
    };

    assert_eq!(spoil("/bomFormat", json!("SPDX")), ["bomFormat"]);
    assert_eq!(spoil("/metadata/timestamp", json!("today")), ["timestamp today"]);
    assert_eq!(spoil("/dependencies/0/dependsOn/0", json!("x")), ["x is not there"]);
    assert!(!spoil("/components/0/bom-ref", json!("package")).is_empty());
}
