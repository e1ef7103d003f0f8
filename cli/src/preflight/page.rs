//! Every finding stands on a page, `docs/validation.md` or `docs/certificates.md`, with its fix; and
//! what stands there is a finding.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What begins an id.
const FAMILIES: [&str; 28] = [
    "adopt",
    "agent",
    "broker",
    "bundle",
    "certificate",
    "clock",
    "compose",
    "configuration",
    "daemon",
    "docker",
    "gateway",
    "host",
    "images",
    "installation",
    "jwt",
    "key",
    "license-server",
    "network",
    "port",
    "registry",
    "role",
    "runtime",
    "settings",
    "stack",
    "step",
    "swarm",
    "target",
    "usage",
];

#[test]
fn every_finding_stands_on_a_page() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ids = sources(&home.join("src")).iter().flat_map(|text| ids(text)).collect::<BTreeSet<_>>();
    let pages = ["validation", "certificates"].map(|name| {
        fs::read_to_string(home.join(format!("../docs/{name}.md"))).unwrap_or_default()
    });

    let is_told = |id: &&String| pages.iter().any(|page| page.contains(&format!("`{id}`")));
    let missing: Vec<_> = ids.iter().filter(|id| !is_told(id)).collect();

    assert!(ids.len() > 30, "only {} ids were found in the source", ids.len());
    assert_eq!(missing, [""; 0]);
    for (id, cells) in pages.iter().flat_map(|page| rows(page)) {
        assert!(ids.contains(id), "`{id}` is on a page, and no finding has that id");
        assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "`{id}` lacks words: {cells:?}");
    }
}

/// The rows of a page's tables that begin with an id, with their other cells.
fn rows(page: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    page.lines().filter_map(|line| {
        let (id, rest) = line.strip_prefix("| `")?.split_once("` |")?;
        id.contains('.').then(|| (id, rest.trim_end().trim_end_matches('|').split(" | ").collect()))
    })
}

/// The program's own files, without tests.
fn sources(folder: &Path) -> Vec<String> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            texts.push(code.to_owned());
        }
    }
    texts
}

/// Literals of the form `"family.kind"`.
fn ids(text: &str) -> Vec<String> {
    let is_kind = |kind: &str| {
        !kind.is_empty()
            && kind.chars().all(|c| c.is_ascii_lowercase() || "-0123456789".contains(c))
    };
    let is_id = |literal: &&str| {
        let parts = literal.split_once('.');
        parts.is_some_and(|(family, kind)| {
            FAMILIES.contains(&family) && is_kind(kind) && !["json", "yaml", "rs"].contains(&kind)
        })
    };
    text.split('"').filter(is_id).map(str::to_owned).collect()
}
