//! An installation with images from a registry, without an image archive.

use std::{
    fs,
    path::PathBuf,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use cmsg_engine::SwarmFact;
use e2e::{
    binaries,
    installer::{self, INSTALL, PURGE},
    needs::met,
    stepped::kill_in,
};
use serde_json::Value;

use super::{NEEDS, VERSION, proxy::Proxy, site::Site};

const PASSWORD: &str = "right-8d1f";

/// A machine that meets the requirements, with only the installer.
pub(super) fn prepared() -> Site {
    let site = Site::start();
    let alone = site.machine.folder().join("alone");
    fs::create_dir(&alone).expect("a folder can be made");
    fs::copy(binaries::path("pcoip-cmsg-setup"), alone.join("pcoip-cmsg-setup"))
        .expect("the installer can be copied");
    site
}

pub(super) fn setup(site: &Site) -> PathBuf {
    site.machine.folder().join("alone/pcoip-cmsg-setup")
}

pub(super) fn run(site: &Site, words: &[&str]) -> Output {
    installer::run(&site.machine, &setup(site), words)
}

pub(super) fn install(site: &Site, more: &[&str]) -> (Option<i32>, Value) {
    installer::told(&run(site, &[&INSTALL[..], more].concat()))
}

/// Checks that no part of an installation exists.
pub(super) fn is_untouched(site: &Site) {
    let facts = site.engine.facts().expect("the engine answers");
    assert_eq!((facts.swarm, facts.services.len()), (SwarmFact::Inactive, 0));
    assert_eq!(site.names(), Vec::<String>::new());
    let left = "ls -d /opt/teradici /var/log/Teradici 2>/dev/null; getent passwd pcoip-cmsg; true";
    assert_eq!(site.bash(left), "");
}

/// The error and its fix.
pub(super) fn refusal(document: &Value) -> [&str; 3] {
    let findings = document["findings"].as_array().into_iter().flatten();
    let mut errors = findings.filter(|finding| finding["level"] == "error");
    let error = errors.next().expect("there is an error");
    ["id", "what", "cure"].map(|key| error[key].as_str().expect("it is a text"))
}

#[test]
fn an_installation_from_an_open_registry_needs_no_archive_and_leaves_no_image() {
    if !met(NEEDS) {
        return;
    }
    let mut site = prepared();
    site.serve("127.0.0.1:5000", "");
    site.push("127.0.0.1:5000/team");

    let (code, document) = install(&site, &["--docker-registry=127.0.0.1:5000/team"]);

    assert_eq!(code, Some(0), "{document:#}");
    let step = &document["plan"][0];
    assert_eq!(step["step"], "pull the images", "{step}");
    let [cm, sg] = ["pcoip-cm", "sg"].map(|role| format!("127.0.0.1:5000/team/{role}:{VERSION}"));
    assert_eq!(step["changes"], format!("new: {cm}, {sg}"));
    let mut names = site.names();
    names.sort();
    assert_eq!(names, [cm.clone(), sg]);
    let id = site.engine.image_id(&cm).unwrap().unwrap();
    let running = site.engine.running("pcoipcm_cm").unwrap();
    assert_eq!(running.iter().map(|it| &it.image).collect::<Vec<_>>(), [&id]);

    // Images that were pulled do not need the registry again.
    site.stop();
    let (code, document) = install(&site, &["--agent-port=60444"]);
    assert_eq!(code, Some(0), "{document:#}");
    assert_ne!(document["plan"][0]["step"], "pull the images");

    let removed = run(&site, &PURGE);
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    is_untouched(&site);
}

#[test]
fn a_wrong_password_is_undone_and_the_right_one_stays_between_installer_and_registry() {
    if !met(NEEDS) {
        return;
    }
    let mut site = prepared();
    site.serve("127.0.0.1:5000", "");
    site.push("127.0.0.1:5000");
    site.stop();
    site.bash(&format!("htpasswd -Bbn me {PASSWORD} > /run/htpasswd"));
    site.bash(&format!("echo {PASSWORD} > /run/right; echo wrong-8d1f > /run/wrong"));
    site.serve("127.0.0.1:5000", "auth: {htpasswd: {realm: test, path: /run/htpasswd}}");
    let from = |password: &str| {
        let password = format!("--docker-password=@/run/{password}");
        let words = ["--docker-registry=127.0.0.1:5000", "--docker-username=me", &password];
        install(&site, &words)
    };

    let (code, document) = from("wrong");

    assert_eq!(code, Some(1), "{document:#}");
    let [id, what, cure] = refusal(&document);
    assert_eq!(id, "step.failed");
    let image = format!("127.0.0.1:5000/pcoip-cm:{VERSION}");
    let told =
        format!("pulling the image `{image}`: the registry rejected the user name or the password");
    assert!(what.starts_with(&told), "{what}");
    let expected = "all changes were undone; check `--docker-username` and `--docker-password` and \
                    run the command again";
    assert_eq!(cure, expected);
    assert!(!document.to_string().contains("wrong-8d1f"), "{document:#}");
    is_untouched(&site);

    let (code, document) = from("right");

    assert_eq!(code, Some(0), "{document:#}");
    let inspected = site.bash(
        "/usr/bin/docker inspect $(/usr/bin/docker ps -q) $(/usr/bin/docker service ls -q) \
         $(/usr/bin/docker images -q); ps -e -o args=; cat /proc/[0-9]*/environ; \
         grep -r . /var/log/Teradici; cat /root/.docker/config.json; true",
    );
    assert!(inspected.contains("pcoip-cmsg.installed-by"), "{inspected}");
    for secret in [PASSWORD, "bWU6cmlnaHQt"] {
        assert!(!inspected.contains(secret) && !document.to_string().contains(secret));
    }
    let kept = "cd /opt/teradici/pcoipcm_data/data/secrets && stat -c '%U %a' docker-password && \
                cat docker-password";
    assert_eq!(site.bash(kept), format!("root 600\n{PASSWORD}"));
}

#[test]
fn a_registry_of_an_unknown_authority_is_told_with_where_its_certificate_goes() {
    if !met(NEEDS) {
        return;
    }
    let mut site = prepared();
    site.bash(
        "ip address add 192.0.2.10/32 dev lo; \
         openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry \
         -addext subjectAltName=IP:192.0.2.10 -keyout /run/tls.key -out /run/tls.crt",
    );
    site.serve_tls("192.0.2.10:5443");

    let (code, document) = install(&site, &["--docker-registry=192.0.2.10:5443"]);

    assert_eq!(code, Some(1), "{document:#}");
    let [_, _, cure] = refusal(&document);
    assert!(cure.contains("`/etc/docker/certs.d/192.0.2.10:5443/ca.crt`"), "{cure}");
    is_untouched(&site);
}

/// Interrupts the installer while it pulls from a stalled registry.
pub(super) fn interrupt_the_pull(site: &Site, words: &[&str]) -> Output {
    let mut command = site.machine.command("bash");
    let run = format!("echo $$ > /run/setup.pid; exec {} \"$@\"", setup(site).display());
    installer::plain(&mut command).args(["-c", &run, "bash"]).args(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let installer = command.spawn().expect("`nsenter` starts");
    let begun = Instant::now();
    while site.bash("ls /var/lib/docker/tmp").trim().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is pulled");
    }
    site.bash("kill -INT $(cat /run/setup.pid)");
    installer.wait_with_output().expect("it is our child")
}

#[test]
fn an_operator_who_interrupts_the_pull_finds_everything_as_it_was() {
    if !met(NEEDS) {
        return;
    }
    let mut site = prepared();
    site.serve("127.0.0.1:5000", "");
    site.push("127.0.0.1:5000");
    let proxy = Proxy::start(&site.machine, "127.0.0.1:5000");
    proxy.stall_after(300_000);
    let registry = format!("--docker-registry={}", proxy.address());

    let ended = interrupt_the_pull(&site, &[&INSTALL[..], &[&registry]].concat());

    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted") && said.contains("all changes were undone"), "{said}");
    is_untouched(&site);
}

#[test]
fn an_installation_from_a_registry_that_was_killed_is_carried_out_by_the_next() {
    if !met(NEEDS) {
        return;
    }
    let mut site = prepared();
    site.serve("127.0.0.1:5000", "");
    site.push("127.0.0.1:5000");
    let proxy = Proxy::start(&site.machine, "127.0.0.1:5000");
    let flag = format!("--docker-registry={}", proxy.address());
    for (step, stall) in [("pull the images", 300_000), ("deploy the stack", 0)] {
        proxy.stall_after(stall);
        kill_in(&site.machine, &setup(&site), &[&INSTALL[..], &[&flag]].concat(), step);
        proxy.stall_after(0);

        let (code, document) = install(&site, &[&flag]);

        assert_eq!(code, Some(0), "{step}: {document:#}");
        assert_eq!(document["findings"][0]["id"], "installation.interrupted", "{step}");
        let mut names = site.names();
        names.sort_unstable();
        let ours = ["pcoip-cm", "sg"].map(|it| format!("{}/{it}:{VERSION}", proxy.address()));
        assert_eq!(names, ours, "{step}");
        let removed = run(&site, &PURGE);
        assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
        is_untouched(&site);
    }
}
