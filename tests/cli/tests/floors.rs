//! Modules only use modules on lower floors, as listed in `docs/ARCHITECTURE.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, File, ItemMod, ItemUse, UseTree,
    visit::{self, Visit},
};

/// The heading of each table, by the sources that it is about.
const SOURCES: [&str; 2] = ["cli/src", "daemon/src"];

#[test]
fn modules_use_lower_floors_only() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(workspace.join("docs/ARCHITECTURE.md")).unwrap();
    for sources in SOURCES {
        let floors = floors(&page, sources);
        let floor = |module: &str| floors.iter().position(|floor| floor.contains(module));
        let mut upward = Vec::new();
        for file in files(&workspace.join(sources)) {
            let place = module_path(file.strip_prefix(workspace.join(sources)).unwrap());
            let Some(module) = place.first() else { continue };
            let on = floor(module).unwrap_or_else(|| panic!("`{module}` is on no floor"));
            let used = used(&fs::read_to_string(&file).unwrap(), &place);
            for other in used.iter().filter(|other| *other != module) {
                if floor(other).is_some_and(|lower| lower >= on) {
                    upward.push(format!("{} uses `{other}`", file.display()));
                }
            }
        }
        assert!(upward.is_empty(), "{sources}: {upward:#?}");
    }
}

#[test]
fn modules_of_a_service_use_each_other_in_no_circle() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../daemon/src");
    for service in ["connection_manager", "security_gateway"] {
        let folder = sources.join(service);
        let mut left: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in files(&folder) {
            let place = module_path(file.strip_prefix(&sources).unwrap());
            let others = left.entry(place[1].clone()).or_default();
            for path in paths(&fs::read_to_string(&file).unwrap(), &place) {
                let Some([root, other]) = path.first_chunk() else { continue };
                if root != service || *other == place[1] {
                    continue;
                }
                let is_module = folder.join(other).with_extension("rs").is_file();
                assert!(is_module, "{} uses `{other}` of the service", file.display());
                others.insert(other.clone());
            }
        }
        assert!(left.len() > 5, "{left:?}");
        let uses_none = |all: &BTreeMap<String, BTreeSet<String>>| {
            let lowest =
                all.iter().find(|(_, others)| !others.iter().any(|it| all.contains_key(it)));
            lowest.map(|(module, _)| module.clone())
        };
        while let Some(lowest) = uses_none(&left) {
            left.remove(&lowest);
        }
        assert!(left.is_empty(), "{service}: {left:#?}");
    }
}

#[test]
fn every_way_to_name_a_module_is_found() {
    let source = "
        use crate::{a::{self, A}, b as c};
        use super::d::D;
        use std::fs;
        fn f(x: crate::e::E) { super::f::g(); self::h(); }
        mod inner { use super::super::g::G; }
        #[cfg(test)] mod tests { use crate::z::Z; }
    ";

    let used = used(source, &["m".to_owned()]);

    assert_eq!(used, ["a", "b", "d", "e", "f", "g", "m"].map(str::to_owned).into());
}

/// The rows of the table below the heading of these sources, each with the modules of a floor.
fn floors(page: &str, sources: &str) -> Vec<BTreeSet<String>> {
    let heading = format!("### `{sources}`");
    let (_, list) = page.split_once(&heading).unwrap_or_else(|| panic!("no `{heading}`"));
    let list = list.split("\n#").next().unwrap_or_default();
    let rows = list.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1));
    let modules = |row: &str| row.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let mut floors: Vec<BTreeSet<String>> = rows.map(modules).collect();
    floors.retain(|floor| !floor.is_empty());
    // The table begins with the highest floor.
    floors.reverse();
    floors
}

/// All sources below a folder but tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it is a folder") {
        let path = entry.expect("it can be read").path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The module that a file is, from the crate's root.
fn module_path(file: &Path) -> Vec<String> {
    let file = file.with_extension("");
    let names: Vec<_> = file.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if [&["main"][..], &["lib"]].iter().any(|root| names == *root) { Vec::new() } else { names }
}

/// The modules of the crate's root that a source names.
fn used(source: &str, place: &[String]) -> BTreeSet<String> {
    paths(source, place).into_iter().filter_map(|path| path.into_iter().next()).collect()
}

/// All paths of the crate that a source names.
fn paths(source: &str, place: &[String]) -> BTreeSet<Vec<String>> {
    let file: File = syn::parse_file(source).expect("it is Rust");
    let mut finder = Finder { place: place.to_vec(), used: BTreeSet::new() };
    finder.visit_file(&file);
    finder.used
}

struct Finder {
    /// The module that is looked at.
    place: Vec<String>,
    /// Paths from the crate's root.
    used: BTreeSet<Vec<String>>,
}

impl Finder {
    fn note(&mut self, path: &[String]) {
        let base = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => {
                let up = path.iter().filter(|name| *name == "super").count();
                self.place[..self.place.len() - up].to_vec()
            }
            _ => return,
        };
        let rest = path.iter().skip_while(|n| ["crate", "self", "super"].contains(&n.as_str()));
        self.used.insert(base.iter().chain(rest).cloned().collect());
    }

    fn tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => self.note(&with(name.ident.to_string())),
            UseTree::Rename(name) => self.note(&with(name.ident.to_string())),
            UseTree::Glob(_) => self.note(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before)),
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.attrs.iter().any(is_for_tests) {
            return;
        }
        self.place.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.place.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if names.len() > 1 {
            self.note(&names);
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
}
