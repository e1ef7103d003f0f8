//! The crates in both programs, according to cargo.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    binaries::{cargo, output},
    statics,
};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licence: Option<String>,
    /// SHA-256 of the downloaded crate; `None` for crates of the workspace.
    pub(super) checksum: Option<String>,
    pub(super) folder: PathBuf,
    /// Names and versions of its dependencies.
    pub(super) uses: BTreeSet<(String, String)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crates(pub(super) Vec<Crate>);

impl Crates {
    /// Queries cargo. Features are unified across the workspace, so the list may contain an unused
    /// crate.
    pub(super) fn read() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
        let mut metadata = cargo();
        metadata.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root);
        let printed = output(metadata.args(["--filter-platform", statics::TARGET]))?;
        let printed =
            serde_json::from_slice(&printed).context("reading the output of `cargo metadata`")?;
        let lock =
            std::fs::read_to_string(root.join("Cargo.lock")).context("reading `Cargo.lock`")?;
        Self::parse(&printed, &lock)
            .context("the output of `cargo metadata` has an unexpected format")
    }

    /// The crates outside the workspace.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &Crate> {
        self.0.iter().filter(|one| one.checksum.is_some())
    }

    pub(super) fn parse(printed: &Value, lock: &str) -> Option<Self> {
        let packages = printed["packages"].as_array()?.iter();
        let packages: BTreeMap<_, _> =
            packages.map(|it| Some((it["id"].as_str()?, it))).collect::<Option<_>>()?;
        let nodes = printed["resolve"]["nodes"].as_array()?.iter();
        let nodes: BTreeMap<_, _> =
            nodes.map(|it| Some((it["id"].as_str()?, it))).collect::<Option<_>>()?;
        let checksums = checksums(lock);

        let is_program = |it: &Value| [statics::INSTALLER, statics::DAEMON].iter().any(|n| it == n);
        let roots = packages.iter().filter(|(_, it)| is_program(&it["name"]));
        let mut next: Vec<&str> = roots.map(|(id, _)| *id).collect();
        let (mut seen, mut crates) = (BTreeSet::new(), Vec::new());
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            let package = packages.get(id)?;
            let used = linked(nodes.get(id)?)?;
            let key = key(package)?;
            crates.push(Crate {
                licence: package["license"].as_str().map(str::to_owned),
                checksum: checksums.get(&key).cloned(),
                folder: Path::new(package["manifest_path"].as_str()?).parent()?.to_owned(),
                uses: used.iter().map(|id| self::key(packages.get(id)?)).collect::<Option<_>>()?,
                name: key.0,
                version: key.1,
            });
            next.extend(used);
        }
        crates.sort();
        Some(Self(crates))
    }
}

fn key(package: &Value) -> Option<(String, String)> {
    Some((package["name"].as_str()?.to_owned(), package["version"].as_str()?.to_owned()))
}

/// The dependencies that are linked: neither development nor build dependencies.
fn linked(node: &Value) -> Option<Vec<&str>> {
    let is_linked = |it: &&Value| {
        let kinds = it["dep_kinds"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    };
    node["deps"].as_array()?.iter().filter(is_linked).map(|it| it["pkg"].as_str()).collect()
}

/// The checksums in `Cargo.lock` by name and version. Cargo writes one key per line.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let of = |package: &str| {
        let value = |key: &str| {
            let start = format!("{key} = \"");
            let mut lines = package.lines();
            let line = lines.find_map(|line| line.strip_prefix(start.as_str()))?;
            line.strip_suffix('"').map(str::to_owned)
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    };
    lock.split("[[package]]").filter_map(of).collect()
}
