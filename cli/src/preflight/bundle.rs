//! The bundle that is installed from: whether it is whole, for this machine, and of this version.

use std::{cmp::Ordering, env::consts::ARCH};

use cmsg_bundles::{Manifest, Problem};
use cmsg_config::cause;

use crate::{
    finding::Finding,
    host::{
        Facts,
        bundle::{BundleFact, room},
    },
    installation::record::Record,
    wanted::Wanted,
};

const OWN: &str = env!("CARGO_PKG_VERSION");
const AGAIN: &str = "copy the bundle to this host again";
const ANOTHER: &str = "get the bundle again from a source that you trust";

/// Judges it, where one is given.
pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let Some(bundle) = &facts.bundle else { return Vec::new() };
    let manifest = match &bundle.manifest {
        Ok(manifest) => manifest,
        Err(problem) => return vec![of_problem(bundle, problem)],
    };
    let installed = Record::of(&facts.installed, &wanted.place.paths()).version;
    let mut findings: Vec<_> = architecture(manifest).into_iter().collect();
    findings.extend(version(&manifest.version, OWN, &installed));
    if wanted.docker.registry.is_some() {
        findings.push(Finding::error(
            "bundle.registry",
            "both a bundle and a registry are set",
            "remove the registry with `--docker-registry=`, or omit the bundle",
        ));
    }
    findings
}

/// What is wrong with it.
fn of_problem(bundle: &BundleFact, problem: &Problem) -> Finding {
    let (why, path) = (cause::chain(problem), format!("`{}`", bundle.path.display()));
    // A bundle that cannot be read at all is named by its problem.
    let what = if why.starts_with(&format!("{path} ")) { why } else { format!("{path}: {why}") };
    let (id, cure) = match problem {
        Problem::Unreadable { .. } => (
            "bundle.unreadable",
            "specify the bundle, or the directory it was unpacked to".to_owned(),
        ),
        Problem::Unwritable { .. } => ("bundle.room", no_room()),
        Problem::NotOne(_) => (
            "bundle.not-one",
            "specify a bundle created by `pcoip-cmsg-setup create-darksite-bundle`".to_owned(),
        ),
        Problem::Truncated => ("bundle.truncated", AGAIN.to_owned()),
        Problem::Damaged(_) | Problem::Size { .. } | Problem::Digest { .. } => {
            ("bundle.changed", AGAIN.to_owned())
        }
        Problem::Missing(_) => ("bundle.missing", AGAIN.to_owned()),
        Problem::Besides(_) => (
            "bundle.besides",
            "remove that file from the directory, or unpack the bundle again".to_owned(),
        ),
        Problem::NotRegular { .. } => ("bundle.kind", ANOTHER.to_owned()),
        Problem::LeadsOut(_) => ("bundle.path", ANOTHER.to_owned()),
        Problem::TooLarge(_) => ("bundle.too-large", ANOTHER.to_owned()),
        Problem::Package { .. } | Problem::Unsigned(_) | Problem::Interrupted => {
            ("bundle.unreadable", AGAIN.to_owned())
        }
    };
    Finding::error(id, what, cure)
}

fn no_room() -> String {
    format!(
        "free space in `{}`, set `TMPDIR` to a directory with more space, or unpack the bundle \
         (`tar xzf`) and specify its directory",
        room().display()
    )
}

fn architecture(manifest: &Manifest) -> Option<Finding> {
    (manifest.architecture != ARCH).then(|| {
        Finding::error(
            "bundle.architecture",
            format!("the bundle is for {}, but this host is {ARCH}", manifest.architecture),
            format!("use the bundle for {ARCH}"),
        )
    })
}

/// Images fit the program of their own version.
fn version(bundle: &str, own: &str, installed: &str) -> Option<Finding> {
    if !installed.is_empty() && compare(bundle, installed) == Ordering::Less {
        return Some(Finding::error(
            "bundle.older",
            format!(
                "the bundle has version {bundle}, but the newer version {installed} is installed"
            ),
            "run `pcoip-cmsg-setup rollback` to return to the previous version; for an older one, run `pcoip-cmsg-setup uninstall`, which keeps settings and keys, and install from the bundle",
        ));
    }
    let (what, cure) = match compare(bundle, own) {
        Ordering::Equal => return None,
        Ordering::Greater => (
            "bundle.newer",
            "install the program of the bundle first: `sudo ./pcoip-cmsg-setup-offline.sh -d` in its directory",
        ),
        Ordering::Less => ("bundle.old", "use the bundle of this program's version"),
    };
    let told = format!("the bundle has version {bundle}, but this program has version {own}");
    Some(Finding::error(what, told, cure))
}

fn compare(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| -> Vec<u64> {
        text.split(['.', '-']).map(|part| part.parse().unwrap_or_default()).collect()
    };
    parts(one).cmp(&parts(other))
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf, sync::Arc};

    use super::*;
    use crate::plan::tests::{facts, wanted};

    const GATEWAY: &str = "runtime: host\nroot: /r\naccept-policies: true\nself-signed: true\n\
                           enable-connection-manager: false\nexternal-pcoip-ip: 192.0.2.1\n\
                           jwt-verifying-cert: /c\n";

    fn found(manifest: Result<Manifest, Problem>, more: &str) -> Vec<(&'static str, String)> {
        let (wanted, _) = wanted(&format!("{GATEWAY}{more}"));
        let mut facts = facts(&wanted);
        facts.bundle = Some(BundleFact {
            path: PathBuf::from("/b"),
            manifest: manifest.map_err(Arc::new),
            images: None,
        });
        check(&wanted, &facts).into_iter().map(|it| (it.id, it.what)).collect()
    }

    fn manifest(version: &str, architecture: &str) -> Manifest {
        let text = format!(
            r#"{{"schema":1,"product":"pcoip-cmsg","version":"{version}",
                 "architecture":"{architecture}","files":[]}}"#
        );
        Manifest::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_bundle_of_this_version_and_machine_has_no_findings() {
        assert_eq!(found(Ok(manifest(OWN, ARCH)), ""), []);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_causes() {
        let full = io::Error::from_raw_os_error(28);
        let table = [
            (
                Problem::Unwritable { path: PathBuf::from("/t"), source: full },
                "bundle.room",
                "`/b`: `/t` cannot be written: the disk is full (No space left on device, os error 28)",
            ),
            (Problem::Truncated, "bundle.truncated", "`/b`: the archive ends early"),
            (
                Problem::Missing("a".to_owned()),
                "bundle.missing",
                "`/b`: `a` is listed in `manifest.json` but is missing",
            ),
        ];
        for (problem, id, what) in table {
            assert_eq!(found(Err(problem), ""), [(id, what.to_owned())]);
        }
    }

    #[test]
    fn another_machine_or_a_registry_besides_is_told() {
        let foreign = manifest(OWN, "aarch64");

        let found = found(Ok(foreign), "docker-registry: registry.example\n");

        let ids: Vec<_> = found.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, ["bundle.architecture", "bundle.registry"]);
    }

    #[test]
    fn a_bundle_fits_the_program_of_its_version_and_nothing_newer() {
        let table = [
            ("1.2.0", "1.2.0", "", None),
            ("1.2.0", "1.2.0", "1.2.0", None),
            ("1.10.0", "1.10.0", "1.9.0", None),
            ("1.9.0", "1.10.0", "1.10.0", Some("bundle.older")),
            ("1.9.0", "1.9.0", "1.10.0", Some("bundle.older")),
            ("1.9.0", "1.10.0", "1.8.0", Some("bundle.old")),
            ("1.10.0", "1.9.0", "1.9.0", Some("bundle.newer")),
        ];
        for (bundle, own, installed, id) in table {
            let found = version(bundle, own, installed).map(|it| it.id);

            assert_eq!(found, id, "{bundle} {own} {installed}");
        }
    }
}
