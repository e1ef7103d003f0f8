//! The licences of the crates in both programs, which must be distributed with them.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;

use super::metadata::Crates;

/// Prefixes of licence and notice files.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// All texts, each with the crates that it applies to.
pub(super) fn texts(crates: &Crates) -> anyhow::Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in crates.foreign() {
        let found = of(&one.folder)
            .with_context(|| format!("reading the licenses of the crate `{}`", one.name))?;
        for text in found {
            texts.entry(text).or_default().push(format!("{} {}", one.name, one.version));
        }
    }
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    let sections = texts.into_iter().map(|(mut names, text)| {
        names.dedup();
        format!("{}\n{}\n\n{}\n", "=".repeat(78), names.join(", "), text.trim_end())
    });
    Ok(sections.collect())
}

fn of(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        if NAMES.iter().any(|start| name.starts_with(start)) && entry.file_type()?.is_file() {
            texts.push(String::from_utf8_lossy(&fs::read(entry.path())?).replace('\r', ""));
        }
    }
    Ok(texts)
}
