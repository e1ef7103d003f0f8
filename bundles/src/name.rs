//! The name of a package's file: `NAME-VERSION-RELEASE.ARCHITECTURE.rpm`.

/// The parts of a package's file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageName {
    pub name: String,
    pub version: String,
    pub release: String,
    /// Architecture, for example `x86_64` or `noarch`.
    pub architecture: String,
}

impl PackageName {
    /// Parses a file name, without its directory.
    #[must_use]
    pub fn parse(file: &str) -> Option<Self> {
        let (rest, architecture) = file.strip_suffix(".rpm")?.rsplit_once('.')?;
        let (rest, release) = rest.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        let parts = [name, version, release, architecture];
        let all = parts.iter().all(|part| !part.is_empty()).then_some(parts)?;
        let [name, version, release, architecture] = all.map(str::to_owned);
        Some(Self { name, version, release, architecture })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packages_name_is_read_from_its_end() {
        let table = [
            ("docker-ce-cli-28.0.1-1.el9.x86_64.rpm", Some("docker-ce-cli 28.0.1 1.el9 x86_64")),
            ("a-1-2.noarch.rpm", Some("a 1 2 noarch")),
            ("a-1.noarch.rpm", None),
            ("a-1-2.rpm.txt", None),
            ("a-1-2.rpm", None),
            ("-1-2.x86_64.rpm", None),
        ];
        for (file, parts) in table {
            let read = PackageName::parse(file);
            let read = read.map(|it| [it.name, it.version, it.release, it.architecture].join(" "));

            assert_eq!(read.as_deref(), parts, "{file}");
        }
    }
}
