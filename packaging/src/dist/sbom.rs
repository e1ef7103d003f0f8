//! The software bill of materials of the packages, in CycloneDX 1.6.

use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::metadata::{Crate, Crates};
use crate::{binaries::output, statics};

/// Reference of the package in the document.
const PACKAGE: &str = "package";

pub(super) fn list(crates: &Crates, version: &str, epoch: u32) -> anyhow::Result<Value> {
    let printed = output(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let printed = String::from_utf8_lossy(&printed);
    let library = printed.trim().strip_prefix("glibc ").context("which glibc is linked with")?;
    let time = OffsetDateTime::from_unix_timestamp(epoch.into())?.format(&Rfc3339)?;
    Ok(render(crates, version, library, &time))
}

fn render(crates: &Crates, version: &str, library: &str, time: &str) -> Value {
    let library_ref = format!("pkg:generic/glibc@{library}");
    let library = json!({
        "type": "library",
        "bom-ref": library_ref,
        "name": "glibc",
        "version": library,
        "purl": library_ref,
        "licenses": [{ "expression": "LGPL-2.1-or-later" }],
    });
    let is_program = |one: &Crate| [statics::INSTALLER, statics::DAEMON].contains(&&*one.name);
    let uses = crates.0.iter().map(|one| {
        let used = one.uses.iter().map(|(name, version)| reference(name, version));
        let linked = is_program(one).then(|| library_ref.clone());
        let used: Vec<_> = used.chain(linked).collect();
        json!({ "ref": reference(&one.name, &one.version), "dependsOn": used })
    });
    let programs = crates.0.iter().filter(|one| is_program(one));
    let programs: Vec<_> = programs.map(|one| reference(&one.name, &one.version)).collect();
    let package = json!({ "ref": PACKAGE, "dependsOn": programs });
    let dependencies: Vec<_> = [package].into_iter().chain(uses).collect();
    let components: Vec<_> = crates.0.iter().map(component).chain([library]).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "tools": {
                "components": [{ "type": "application", "name": "cargo xtask", "version": version }],
            },
            "component": {
                "type": "application",
                "bom-ref": PACKAGE,
                "name": statics::INSTALLER,
                "version": version,
                "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(one: &Crate) -> Value {
    let reference = reference(&one.name, &one.version);
    let mut value = json!({
        "type": "library",
        "bom-ref": reference,
        "name": one.name,
        "version": one.version,
        "purl": reference,
    });
    if let Some(licence) = &one.licence {
        // Older crates use `/` for `OR`.
        value["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    if let Some(checksum) = &one.checksum {
        value["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    value
}

/// The package URL of a crate; a `+` in the version is escaped.
fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests;
