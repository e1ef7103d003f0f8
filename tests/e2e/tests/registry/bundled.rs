//! A bundle for sites without a network, created on a host whose images come from a registry.

use std::{
    fs,
    io::Write as _,
    ops::ControlFlow::{Break, Continue},
    path::PathBuf,
    process::Output,
};

use cmsg_config::socket::Role;
use cmsg_engine::{Pull, PullError, Pulling, Refusal};
use e2e::{
    binaries,
    installer::{self, INSTALL, PURGE},
    needs::met,
};
use serde_json::Value;

use super::{
    NEEDS, REGISTRY, VERSION, image,
    installed::{install, interrupt_the_pull, is_untouched, prepared, refusal, run, setup},
    proxy::Proxy,
    site::Site,
};

const PASSWORD: &str = "right-5b2e";
const FROM: &str = "--docker-registry=127.0.0.1:5000";

/// A staging host with a package, and without an image archive.
struct Staging {
    site: Site,
    /// Where the installer's own files are moved.
    room: PathBuf,
    package: String,
    to: PathBuf,
}

impl Staging {
    fn start() -> Self {
        let site = prepared();
        let room = site.machine.folder().join("room");
        fs::create_dir(&room).expect("a folder can be made");
        let package = format!("pcoip-cmsg-setup-{VERSION}-1.el9.x86_64.rpm");
        let package = site.machine.folder().join(package);
        let mut file = fs::File::create(&package).expect("a file can be made");
        file.write_all(b"a package").expect("it can be written");
        let package = format!("--pcoip-cmsg-rpm-path={}", package.display());
        let to = site.machine.folder().join("bundle.tar.gz");
        Self { site, room, package, to }
    }

    fn words<'a>(&'a self, to: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["create-darksite-bundle", &self.package, to][..], more].concat()
    }

    fn create(&self, more: &[&str]) -> Output {
        let to = format!("--to={}", self.to.display());
        let mut command =
            installer::command(&self.site.machine, &setup(&self.site), &self.words(&to, more));
        command.env("TMPDIR", &self.room).output().expect("the installer can be run")
    }

    /// All images, with names and without.
    fn images(&self) -> String {
        self.site.bash("/usr/bin/docker images --all --no-trunc --format '{{.ID}} {{.Repository}}'")
    }

    /// Checks that nothing has changed.
    fn is_as_before(&self) {
        assert_eq!(self.images(), "");
        assert_eq!(fs::read_dir(&self.room).expect("it is ours").count(), 0);
        assert!(!self.to.exists());
    }
}

fn made(output: &Output) -> Value {
    let (code, document) = installer::told(output);
    assert_eq!(code, Some(0), "{document:#}");
    document
}

#[test]
fn a_bundle_from_a_registry_is_the_same_as_from_the_package_and_installs() {
    if !met(NEEDS) {
        return;
    }
    let mut staging = Staging::start();
    staging.site.serve(REGISTRY, "");
    staging.site.push(REGISTRY);
    let to = staging.site.machine.folder().join("packaged.tar.gz");
    let to = format!("--to={}", to.display());
    let own = binaries::path("pcoip-cmsg-setup");
    let packaged = installer::run(&staging.site.machine, &own, &staging.words(&to, &[]));

    let first = made(&staging.create(&[FROM]));

    assert_eq!(first["bundle"]["sha256"], made(&packaged)["bundle"]["sha256"]);
    assert_eq!(first["findings"], serde_json::json!([]));
    assert_eq!(staging.images(), "");
    assert_eq!(fs::read_dir(&staging.room).unwrap().count(), 0);

    // Images that the engine had before are kept.
    let pull = image(REGISTRY, Role::Cm);
    staging.site.engine.pull(&pull, &mut |_| Continue(())).unwrap();
    let before = staging.images();
    let second = made(&staging.create(&[FROM]));
    assert_eq!(second["bundle"]["sha256"], first["bundle"]["sha256"]);
    assert_eq!(staging.images(), before);
    assert_eq!(before.lines().count(), 1);
    staging.site.engine.remove_image(&format!("{REGISTRY}/pcoip-cm:{VERSION}")).unwrap();

    // The registry is not contacted again.
    staging.site.stop();
    let bundle = format!("--darksite-bundle-path={}", staging.to.display());
    let validating = [&["validate"], &INSTALL[1..], &[&bundle]].concat();
    made(&run(&staging.site, &validating));
    let (code, document) = install(&staging.site, &[&bundle]);
    assert_eq!(code, Some(0), "{document:#}");
    for (role, service) in [("pcoip-cm", "pcoipcm_cm"), ("sg", "pcoipcm_sg")] {
        let name = format!("localhost/pcoip-cmsg/{role}:{VERSION}");
        let id = staging.site.engine.image_id(&name).unwrap().unwrap();
        let running = staging.site.engine.running(service).unwrap();
        assert_eq!(running.iter().map(|it| &it.image).collect::<Vec<_>>(), [&id]);
    }
    let removed = run(&staging.site, &PURGE);
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    is_untouched(&staging.site);
}

#[test]
fn a_wrong_password_makes_no_bundle_and_the_right_one_is_in_nothing_that_is_left() {
    if !met(NEEDS) {
        return;
    }
    let mut staging = Staging::start();
    staging.site.serve(REGISTRY, "");
    staging.site.push(REGISTRY);
    staging.site.stop();
    staging.site.bash(&format!("htpasswd -Bbn me {PASSWORD} > /run/htpasswd"));
    staging.site.bash(&format!("echo {PASSWORD} > /run/right"));
    staging.site.serve(REGISTRY, "auth: {htpasswd: {realm: test, path: /run/htpasswd}}");
    let from = |password: &str| {
        let password = format!("--docker-password={password}");
        let output = staging.create(&[FROM, "--docker-username=me", &password]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (code, document) = installer::told(&output);
        (code, document, said)
    };

    let (code, document, said) = from("wrong-5b2e");

    assert_eq!(code, Some(1), "{document:#}");
    let [id, what, cure] = refusal(&document);
    let told = format!(
        "pulling the image `{REGISTRY}/pcoip-cm:{VERSION}`: the registry rejected the user name or the \
         password"
    );
    assert_eq!((id, cure), ("failed", "check `--docker-username` and `--docker-password`"));
    assert!(what.starts_with(&told), "{what}");
    let warning = "warning: every user of this host could read the value of `--docker-password`";
    assert!(said.contains(warning), "{said}");
    assert!(!said.contains("wrong-5b2e") && !document.to_string().contains("wrong-5b2e"));
    staging.is_as_before();

    let (code, document, said) = from("@/run/right");

    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["findings"], serde_json::json!([]));
    assert!(!said.contains(PASSWORD) && !document.to_string().contains(PASSWORD));
    let unpacked = format!("tar xzOf {} | grep -c {PASSWORD}; true", staging.to.display());
    assert_eq!(staging.site.bash(&unpacked).trim(), "0");
    fs::remove_file(&staging.to).unwrap();
    staging.is_as_before();
}

#[test]
fn an_operator_who_interrupts_it_leaves_no_image_and_no_bundle() {
    if !met(NEEDS) {
        return;
    }
    let mut staging = Staging::start();
    staging.site.serve(REGISTRY, "");
    staging.site.push(REGISTRY);
    let proxy = Proxy::start(&staging.site.machine, REGISTRY);
    proxy.stall_after(300_000);
    let to = format!("--to={}", staging.to.display());
    let registry = format!("--docker-registry={}", proxy.address());

    let ended = interrupt_the_pull(&staging.site, &staging.words(&to, &[&registry]));

    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert_eq!(said, "interrupted; nothing is changed\n");
    staging.is_as_before();
}

#[test]
fn an_engine_that_saved_in_vain_keeps_nothing_either() {
    let Some(site) = Site::serving() else { return };
    let take = |second: &'static str, tell: &mut cmsg_engine::Tell<'_>| {
        let second = Pull { version: second, ..image(REGISTRY, Role::Sg) };
        let mut file = tempfile::tempfile().expect("a file can be made");
        let error = site.engine.take(&[image(REGISTRY, Role::Cm), second], &mut file, tell);
        let why = error.expect_err("it ends early").downcast::<PullError>().expect("it is one").why;
        (why, site.bash("/usr/bin/docker images --all --quiet"))
    };
    let mut saved = 0;

    let missing = take("9.9.9", &mut |_| Continue(()));
    let interrupted = take(VERSION, &mut |news| match news {
        // The total size of the saved images is unknown.
        Pulling::Progress { there, all: 0 } if there > 0 => {
            saved = there;
            Break(())
        }
        _ => Continue(()),
    });

    assert_eq!(missing, (Refusal::NotFound, String::new()));
    assert_eq!(interrupted, (Refusal::Cancelled, String::new()));
    assert!(saved > 0);
}
