//! `manifest.json`, the list of files in a bundle. It has one line for each file, so that `sed` and
//! `sha256sum` can check it on hosts where the installer is not installed.

use std::{collections::BTreeSet, fmt::Write as _, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

use crate::{MANIFEST, Problem, SIGNATURE};

/// Maximum size of a manifest in bytes.
pub(crate) const LONGEST: u64 = 1024 * 1024;
/// Maximum number of files.
const MOST_FILES: usize = 2000;
/// Maximum total size of the files in bytes.
const LARGEST: u64 = 16 << 30;
/// The version of the format that this program reads and writes.
const SCHEMA: u32 = 1;
const PRODUCT: &str = "pcoip-cmsg";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    schema: u32,
    product: String,
    /// Version of the product.
    pub version: String,
    /// Architecture of the hosts, as RPM calls it.
    pub architecture: String,
    /// All files except the manifest and its signature.
    pub files: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Path in the bundle's directory.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    pub kind: Kind,
    /// Version of the package, image or script.
    pub version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The archive of both images.
    Images,
    /// An RPM package.
    Package,
    /// The script that installs from the bundle.
    Script,
}

/// The fields that manifests of all format versions have.
#[derive(Deserialize)]
struct AnyForm {
    schema: u32,
    product: String,
}

impl Manifest {
    /// A manifest of these files, which are sorted.
    pub(crate) fn of(version: &str, architecture: &str, mut files: Vec<Listed>) -> Self {
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let (version, architecture) = (version.to_owned(), architecture.to_owned());
        Self { schema: SCHEMA, product: PRODUCT.to_owned(), version, architecture, files }
    }

    /// Parses a manifest.
    ///
    /// # Errors
    ///
    /// [`Problem::NotOne`] with the reason.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let not_one = |why: String| Problem::NotOne(format!("`{MANIFEST}`: {why}"));
        let form: AnyForm =
            serde_json::from_slice(bytes).map_err(|why| not_one(why.to_string()))?;
        if form.product != PRODUCT {
            return Err(not_one(format!("it is for a different product, {:?}", form.product)));
        }
        if form.schema != SCHEMA {
            return Err(not_one(format!(
                "it has schema {}, but this program reads schema {SCHEMA}",
                form.schema
            )));
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|why| not_one(why.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as JSON, with one line for each file.
    pub(crate) fn text(&self) -> Result<String, serde_json::Error> {
        let Self { schema, product, version, architecture, files } = self;
        let [product, version, architecture] = [
            serde_json::to_string(product)?,
            serde_json::to_string(version)?,
            serde_json::to_string(architecture)?,
        ];
        let mut text = format!(
            "{{\n  \"schema\": {schema},\n  \"product\": {product},\n  \"version\": {version},\n  \
             \"architecture\": {architecture},\n  \"files\": [\n"
        );
        for (index, file) in files.iter().enumerate() {
            let comma = if index + 1 < files.len() { "," } else { "" };
            let _ = writeln!(text, "    {}{comma}", serde_json::to_string(file)?);
        }
        text += "  ]\n}\n";
        Ok(text)
    }

    /// Total size of all files in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// All files of this kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Listed> {
        self.files.iter().filter(move |file| file.kind == kind)
    }

    /// Checks the values in the manifest.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let not_one = |why: String| Err(Problem::NotOne(format!("`{MANIFEST}`: {why}")));
        if self.files.len() > MOST_FILES {
            return not_one(format!("it has {} files", self.files.len()));
        }
        let texts = [&self.version, &self.architecture].into_iter();
        let mut texts = texts.chain(self.files.iter().map(|file| &file.version));
        if let Some(text) = texts.find(|text| text.contains(is_odd)) {
            return not_one(format!("{text:?} has a control character"));
        }
        let total = self.files.iter().try_fold(0, |sum: u64, file| sum.checked_add(file.size));
        if total.is_none_or(|total| total > LARGEST) {
            return Err(Problem::TooLarge(total.unwrap_or(u64::MAX)));
        }
        let mut paths = BTreeSet::new();
        for file in &self.files {
            if !is_path(&file.path) || [MANIFEST, SIGNATURE].contains(&file.path.as_str()) {
                return not_one(format!("{:?} is not a valid path", file.path));
            }
            if !is_digest(&file.sha256) {
                return not_one(format!("{:?} is not a SHA-256 digest", file.sha256));
            }
            if !paths.insert(&file.path) {
                return not_one(format!("`{}` is listed twice", file.path));
            }
        }
        let is_below = |path: &str, other: &str| {
            path.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
        };
        let both = self.files.iter().find(|file| paths.iter().any(|it| is_below(it, &file.path)));
        match both {
            Some(file) => not_one(format!("`{}` is a file and a directory", file.path)),
            None => Ok(()),
        }
    }
}

/// Whether the path stays in the directory, and needs no quoting in a shell, in JSON or in `sed`.
fn is_path(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+~^-".contains(c);
    let is_part = |part: &str| {
        let first = part.chars().next();
        first.is_some_and(|first| first.is_ascii_alphanumeric())
            && part.len() <= 100
            && part.chars().all(is_plain)
    };
    let parts: Vec<_> = path.split('/').collect();
    parts.len() <= 2 && parts.into_iter().all(is_part)
}

/// Whether a terminal would interpret the character as a command or a change of direction.
fn is_odd(c: char) -> bool {
    const DIRECTIONS: [RangeInclusive<char>; 3] =
        ['\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    c.is_control() || DIRECTIONS.iter().any(|range| range.contains(&c))
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
