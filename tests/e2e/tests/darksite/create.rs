//! `create-darksite-bundle` on a staging host with a simulated `dnf` and repositories.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use cmsg_bundles::verify;
use e2e::{
    binaries,
    installer::{self, document},
    needs::{Need, met},
};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use tempfile::TempDir;

const OWN: &str = env!("CARGO_PKG_VERSION");

/// A `dnf` with the repository `$REPOSITORY`. It accepts prefixes of package names, and records its
/// downloads.
const DNF: &str = r#"#!/bin/bash
to= url=
while [ $# -gt 0 ]; do case $1 in
  --destdir) to=$(realpath "$2"); shift;;
  --queryformat) shift;;
  --url) url=1;;
  -*) ;;
  repoquery|download) command=$1;;
  *) names+=("$1");;
esac; shift; done
cd "$REPOSITORY" || exit 1
for name in "${names[@]}"; do for file in "$name"-[0-9]*.rpm; do
  if [ ! -e "$file" ]; then
    [ $command = repoquery ] && continue
    echo "Error: Unable to find a match: $name" >&2; exit 1
  fi
  case $command in
    repoquery) echo "$name";;
    *) if [ $url ]; then echo "https://repository.example/9/$file"
       elif [ ! -e "$to/$file" ]; then echo "$file" >> ../downloaded; cp "$file" "$to"; fi;;
  esac
done; done
"#;

struct Site(TempDir);

impl Site {
    fn with(packages: &[&str]) -> Self {
        let site = Self(tempfile::tempdir().expect("a folder can be made"));
        fs::create_dir(site.path("repository")).expect("a folder can be made");
        fs::create_dir(site.path("bin")).expect("a folder can be made");
        packages.iter().for_each(|name| put(&site.path("repository").join(name), name));
        let dnf = site.path("bin").join("dnf");
        put(&dnf, DNF);
        fs::set_permissions(&dnf, fs::Permissions::from_mode(0o755)).expect("it is ours");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn create(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the installer starts")
    }

    fn command(&self, words: &[&str]) -> Command {
        let path = std::env::var("PATH").expect("there is one");
        let mut command = binaries::command("pcoip-cmsg-setup");
        installer::plain(&mut command)
            .args(["create-darksite-bundle", "--output=json", "--pcoip-cmsg-rpm-path"])
            .args(words)
            .current_dir(self.0.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("REPOSITORY", self.path("repository"));
        command
    }

    fn downloaded(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("downloaded")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn put(path: &Path, text: &str) {
    let mut file = fs::File::create(path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("it can be written");
}

fn done(output: &Output) -> Value {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaint}");
    document(output)
}

fn ours() -> String {
    format!("pcoip-cmsg-setup-{OWN}-1.el9.x86_64.rpm")
}

#[test]
fn a_name_is_downloaded_with_docker_and_nothing_from_the_last_time_comes_along() {
    let docker = ["docker-ce-28.0-1.el9.x86_64.rpm", "docker-ce-cli-28.0-1.el9.x86_64.rpm"];
    let own = ours();
    let site = Site::with(&[&own, docker[0], docker[1], "containerd.io-1.7-1.el9.x86_64.rpm"]);
    let downloads = site.path("teradici-pcoip-cmsg-packages");
    fs::create_dir(&downloads).expect("a folder can be made");
    put(&downloads.join("docker-ce-27.0-1.el9.x86_64.rpm"), "of the last time");
    put(&downloads.join(docker[0]), docker[0]);

    let made = done(&site.create(&["pcoip-cmsg-setup"]));

    let files = made["bundle"]["files"].as_array().expect("it lists its files");
    let paths: Vec<_> =
        files.iter().map(|file| file["path"].as_str().unwrap_or_default()).collect();
    assert_eq!(
        paths,
        [
            "dependencies/containerd.io-1.7-1.el9.x86_64.rpm",
            "dependencies/docker-ce-28.0-1.el9.x86_64.rpm",
            "dependencies/docker-ce-cli-28.0-1.el9.x86_64.rpm",
            &format!("dependencies/{own}"),
            "pcoip-cmsg-images.tar",
            "pcoip-cmsg-setup-offline.sh",
        ]
    );
    assert_eq!(made["findings"], json!([]));
    assert_eq!(site.downloaded(), [own.as_str(), docker[1], "containerd.io-1.7-1.el9.x86_64.rpm"]);
    let manifest = verify(&site.path(cmsg_bundles::ARCHIVE), &mut |_, _| true);
    assert_eq!(json!(manifest.expect("it is whole").files), made["bundle"]["files"]);

    // All packages exist already, and the result is the same.
    let again = done(&site.create(&["pcoip-cmsg-setup", "--to=again.tar.gz"]));
    assert_eq!(site.downloaded().len(), 3);
    assert_eq!(again["bundle"]["sha256"], made["bundle"]["sha256"]);
}

#[test]
fn what_no_repository_has_is_told_with_what_to_do() {
    let own = ours();
    let site = Site::with(&[&own, "containerd.io-1.7-1.el9.x86_64.rpm"]);

    let made = done(&site.create(&["pcoip-cmsg-setup"]));
    let finding = &made["findings"][0];
    assert_eq!((&finding["id"], &finding["level"]), (&json!("bundle.docker"), &json!("warning")));
    let what = "no repository has `docker-ce`, `docker-ce-cli`; the bundle does not include them";
    assert_eq!(finding["what"], what);

    let output = site.create(&["of-nobody", "--to=none.tar.gz"]);
    assert_eq!(output.status.code(), Some(1));
    let what = document(&output)["findings"][0]["what"].clone();
    let what = what.as_str().unwrap_or_default();
    assert!(what.ends_with("failed: Error: Unable to find a match: of-nobody"), "{what}");
    assert!(!site.path("none.tar.gz").exists());
}

#[test]
fn a_package_of_another_version_or_none_of_ours_makes_no_bundle() {
    let site = Site::with(&[]);
    let table = [
        ("./pcoip-cmsg-setup-0.0.9-1.el9.x86_64.rpm", "the package has version 0.0.9, but"),
        ("./other-1-1.el9.x86_64.rpm", "there is no package `pcoip-cmsg-setup-VERSION-"),
    ];
    for (file, expected) in table {
        put(&site.path(file), "a package");

        let output = site.create(&[file]);

        assert_eq!(output.status.code(), Some(3), "{file}");
        let finding = &document(&output)["findings"][0];
        assert_eq!(finding["id"], "bundle.package");
        let what = finding["what"].as_str().unwrap_or_default();
        assert!(what.starts_with(expected), "{what}");
    }
    assert!(!site.path(cmsg_bundles::ARCHIVE).exists());
}

#[test]
fn a_registry_is_asked_by_the_engine_of_this_host_and_by_whom_is_said_in_whole() {
    let own = ours();
    let site = Site::with(&[]);
    put(&site.path(&own), "a package");
    put(&site.path("bin/docker"), "a command");
    let refused = |words: &[&str]| {
        let package = format!("./{own}");
        let mut command = site.command(&[&[package.as_str()], words].concat());
        let output = command.env("DOCKER_HOST", "unix:///nowhere.sock").output();
        let output = output.expect("the installer starts");
        let finding = document(&output)["findings"][0].clone();
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        (output.status.code(), text("id"), text("what"), text("cure"))
    };
    let [registry, user] = ["--docker-registry=registry.example", "--docker-username=me"];
    let missing = |flag: &str, other: &str, usage: &str| {
        let what = format!("`--{flag}` is missing, but `--{other}` requires it");
        (Some(3), "settings.missing".to_owned(), what, format!("set it with `--{flag} {usage}`"))
    };

    assert_eq!(
        refused(&[registry]),
        (
            Some(3),
            "docker.not-running".to_owned(),
            "Docker is not running: `/nowhere.sock` does not exist".to_owned(),
            "start it with `systemctl enable --now docker`".to_owned(),
        )
    );
    assert_eq!(
        refused(&[registry, user]),
        missing("docker-password", "docker-username", "@FILE|-")
    );
    assert_eq!(
        refused(&[user, "--docker-password=@./none"]),
        missing("docker-registry", "docker-username", "HOST[:PORT][/PATH]")
    );
    let (code, id, what, _) = refused(&[registry, user, "--docker-password=@./none"]);
    assert_eq!((code, id.as_str()), (Some(3), "settings.secret"), "{what}");
    let (code, id, what, _) = refused(&["--docker-registry=https://registry.example"]);
    assert_eq!((code, id.as_str()), (Some(2), "usage.value"), "{what}");
    assert!(!site.path(cmsg_bundles::ARCHIVE).exists());
}

#[test]
fn memory_does_not_grow_with_the_bundle() {
    let site = Site::with(&[]);
    let own = ours();
    let package = fs::File::create(site.path(&own)).expect("a file can be made");
    package.set_len(512 << 20).expect("it can be long");

    done(&site.create(&[&format!("./{own}")]));
    let bundle = site.path(cmsg_bundles::ARCHIVE);
    for runtime in ["host", "swarm"] {
        let validated = binaries::command("pcoip-cmsg-setup")
            .args(["validate", "--output=json", "--broker-url=https://127.0.0.1:1"])
            .arg(format!("--runtime={runtime}"))
            .arg("--darksite-bundle-path")
            .arg(&bundle)
            .output()
            .expect("the installer starts");
        let findings = document(&validated)["findings"].clone();
        let findings = findings.as_array().expect("they are a list");
        let is_of_bundle =
            |it: &&Value| it["id"].as_str().is_some_and(|id| id.starts_with("bundle."));
        assert_eq!(findings.iter().find(is_of_bundle), None);
    }

    // In kilobytes, of the largest child process.
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system tells").max_rss();
    assert!(peak < 100 * 1024, "{peak} kB");
}

#[test]
fn a_signed_manifest_is_what_openssl_verifies_and_so_are_the_documented_sums() {
    if !met(&[Need::Tool("openssl"), Need::Tool("tar")]) {
        return;
    }
    let site = Site::with(&[]);
    let own = ours();
    put(&site.path(&own), "a package");
    let shell = |script: &str| {
        let output = Command::new("bash").args(["-ec", script]).current_dir(site.0.path()).output();
        let output = output.expect("`bash` starts");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let page = include_str!("../../../../docs/darksite.md");
    let commands = |word: &str| {
        let lines = page.lines().filter(|line| line.starts_with("    ") && line.contains(word));
        lines.map(str::trim).collect::<Vec<_>>().join("\n")
    };
    shell(&commands("openssl genpkey"));
    shell(&commands("openssl pkey"));

    done(&site.create(&[&format!("./{own}"), "--sign=bundle.key"]));

    shell("tar xzf teradici-pcoip-cmsg-bundle.tar.gz");
    let inside = "cd teradici-pcoip-cmsg-bundle;";
    let verifying = commands("openssl dgst -sha256 -verify").replace("bundle.pub", "../bundle.pub");
    assert_eq!(shell(&format!("{inside} {verifying}")), "Verified OK\n");
    let sums = commands("sha256sum -c");
    assert_eq!(
        shell(&format!("{inside} {sums}")),
        format!(
            "dependencies/{own}: OK\npcoip-cmsg-images.tar: OK\npcoip-cmsg-setup-offline.sh: OK\n"
        )
    );
    let output = site.create(&[&format!("./{own}"), "--sign=none.key"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("`manifest.json` cannot be signed"), "{text}");
}
