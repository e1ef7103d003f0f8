//! A concurrent installer, and files and disks that fail.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use e2e::{
    binaries,
    installer::{document, plain},
    machine::Machine,
    needs::{Need, met},
};
use serde_json::{Value, json};

use crate::site::{INSTALL, PURGE, Site, differences};

fn last_finding(output: &Output) -> Value {
    let document = document(output);
    document["findings"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default()
}

#[test]
fn a_second_installer_is_refused_and_the_first_goes_on() {
    let site = Site::fresh();
    let before = site.tree();
    let mut first = site.start(&INSTALL);
    assert!(first.after(3));
    let during = site.tree();
    let what = format!(
        "another installer (process {}) is running under `{}`",
        first.id(),
        site.root().display()
    );

    for words in [&INSTALL[..], &["install"], &PURGE] {
        let second = site.run(words);

        assert_eq!(second.status.code(), Some(3), "{words:?}");
        let finding = last_finding(&second);
        assert_eq!([&finding["id"], &finding["what"]], ["installation.busy", &what], "{words:?}");
        assert_eq!(differences(&during, &site.tree()), [""; 0], "{words:?}");
    }
    let (output, said) = first.end();
    assert_eq!(output.status.code(), Some(0), "{said}");
    site.is_live();
    site.is_gone_without_trace(&before);
}

#[test]
fn a_daemon_that_is_gone_before_it_is_copied_is_told_and_everything_undone() {
    let site = Site::fresh();
    let before = site.tree();
    let daemon = site.beside("daemon");
    fs::copy(binaries::path("pcoip-cmsgd"), &daemon).expect("it can be copied");
    let named = format!("--daemon={}", daemon.display());
    let mut installer = site.start(&[&INSTALL[..], &[&named]].concat());
    assert!(installer.after(1));

    fs::remove_file(&daemon).expect("it can be removed");
    let (output, said) = installer.end();

    assert_eq!(output.status.code(), Some(1), "{said}");
    let finding = last_finding(&output);
    assert_eq!(finding["id"], json!("step.failed"));
    assert_eq!(
        finding["what"],
        json!(format!(
            "failed to read `{}`: No such file or directory (os error 2)",
            daemon.display()
        ))
    );
    site.is_as(&before);
}

#[test]
fn a_certificate_that_is_gone_once_it_was_read_is_installed_as_it_was() {
    let site = Site::installed();
    let given = ["crt", "key"].map(|kind| {
        let path = site.beside(&format!("given.{kind}"));
        let from = site.paths().certs().join(format!("cmsg.{kind}"));
        fs::copy(from, &path).expect("it can be copied");
        path
    });
    let certificate = fs::read(&given[0]).expect("it can be read");
    let words = [("ssl-cert", 0), ("ssl-key", 1), ("ca-cert", 0)]
        .map(|(flag, file)| format!("--{flag}={}", given[file].display()));
    site.done(&PURGE);
    let unsigned = INSTALL.iter().copied().filter(|word| *word != "--self-signed");
    let words: Vec<_> = unsigned.chain(words.iter().map(String::as_str)).collect();
    let mut installer = site.start(&words);
    assert!(installer.after(1));

    given.iter().for_each(|file| fs::remove_file(file).expect("it can be removed"));
    let (output, said) = installer.end();

    assert_eq!(output.status.code(), Some(0), "{said}");
    let installed = fs::read(site.paths().certs().join("cmsg.crt")).expect("it is installed");
    assert_eq!(installed, certificate);
}

#[test]
fn a_file_that_is_gone_before_it_is_replaced_is_told_and_everything_else_undone() {
    let site = Site::installed();
    let answers = site.paths().data().join("answers.yaml");
    let mut installer = site.start(&["configure", "--agent-port=6000"]);
    assert!(installer.after(1));

    fs::remove_file(&answers).expect("it can be removed");
    let mut before = site.installed_tree();
    let (output, said) = installer.end();

    assert_eq!(output.status.code(), Some(1), "{said}");
    let gone = format!("`{}` was removed after it was read", answers.display());
    assert!(said.contains(&format!("error: {gone}\n")), "{said}");
    before.retain(|path, _| !path.starts_with(".pcoip-cmsg-setup.journal"));
    before.retain(|path, _| !path.starts_with(".pcoip-cmsg-setup.lock"));
    assert_eq!(differences(&before, &site.installed_tree()), [""; 0]);
    site.is_live();
}

#[test]
fn an_installation_that_others_could_exchange_is_refused_and_nothing_is_changed() {
    let site = Site::fresh();
    let folder = site.root().parent().expect("it lies in one").to_owned();
    let open = |mode| {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    let before = site.tree();
    for words in [&INSTALL[..], &["validate"], &["status"], &PURGE] {
        open(0o775);
        let refused = site.run(words);
        open(0o1777);

        assert_eq!(refused.status.code(), Some(3), "{words:?}");
        let finding = document(&refused)["findings"][0].clone();
        assert_eq!(finding["id"], "installation.untrusted", "{words:?}");
        let what = finding["what"].as_str().unwrap_or_default();
        let start = format!("`{}` is writable by users other than its owner", folder.display());
        assert!(what.starts_with(&start) && what.ends_with("mode 0775"), "{what}");
        assert_eq!(differences(&before, &site.tree()), [""; 0], "{words:?}");
    }
    site.done(&INSTALL);
    site.is_gone_without_trace(&before);
}

/// Every path under a folder of a machine, with its mode, size and time.
fn listed(machine: &Machine, root: &str) -> String {
    let find = "find \"$1\" -printf '%P %m %s\\n' | sort";
    machine.tell("bash", &["-c", find, "bash", root])
}

fn install_on(machine: &Machine, root: &str) -> Output {
    let mut command = machine.command(binaries::path("pcoip-cmsg-setup"));
    command.arg("--output=json").args(INSTALL).args(["--root", root]);
    plain(&mut command).output().expect("the installer can be run")
}

fn machine() -> Option<Machine> {
    let tools = ["unshare", "nsenter", "mount", "find", "ip"].map(Need::Tool);
    met(&[&[Need::Root, Need::Namespace][..], &tools].concat()).then(Machine::start)
}

#[test]
fn a_disk_that_becomes_full_at_any_step_is_told_and_everything_undone() {
    let Some(machine) = machine() else { return };
    let daemon = binaries::path("pcoip-cmsgd").metadata().expect("it is built").len();
    let root = "/opt/small";
    let mut steps = std::collections::BTreeSet::new();
    machine.tell("mkdir", &[root]);
    // Inodes, then bytes: with more of them, more steps succeed before the disk is full.
    let files = (4..=24).step_by(5).map(|files| format!("size=1g,nr_inodes={files}"));
    let bytes = [4, 16, 1024, (daemon / 1024) - 64];
    let bytes = bytes.iter().map(|kib| format!("size={kib}k"));
    for size in files.chain(bytes) {
        machine.tell("mount", &["-t", "tmpfs", "-o", &format!("mode=755,{size}"), "tmpfs", root]);
        let before = listed(&machine, root);

        let output = install_on(&machine, root);

        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        assert!(code == Some(1) || code == Some(3), "{size}: {code:?} {complaint}");
        let document = document(&output);
        let findings = document["findings"].as_array().expect("there are findings");
        let errors: Vec<_> = findings.iter().filter(|it| it["level"] == "error").collect();
        const TOLD: [&str; 3] =
            ["No space left on device", "MB free, but the installation needs", "no free inodes"];
        let is_told = |what: &str| TOLD.iter().any(|told| what.contains(told));
        let told = errors.iter().any(|it| it["what"].as_str().is_some_and(is_told));
        assert!(told && errors.len() == 1, "{size}: {errors:#?}");
        assert_eq!(listed(&machine, root), before, "{size}");
        let last = complaint.lines().rfind(|line| line.contains(" failed (")).unwrap_or("none");
        steps.insert(last.to_owned());
        machine.tell("umount", &[root]);
    }
    assert!(steps.len() >= 4, "the disk was full at {steps:?}");
    assert_eq!(machine.processes(), [""; 0]);
}

#[test]
fn an_installation_whose_disk_becomes_full_says_so() {
    let Some(machine) = machine() else { return };
    let root = "/opt/filled";
    machine.tell("mkdir", &[root]);
    machine.tell("mount", &["-t", "tmpfs", "-o", "mode=755,size=2g", "tmpfs", root]);
    assert_eq!(install_on(&machine, root).status.code(), Some(0));
    let run = |words: &[&str]| {
        let mut command = machine.command(binaries::path("pcoip-cmsg-setup"));
        command.arg("--output=json").args(words).args(["--root", root]);
        document(&plain(&mut command).output().expect("the installer can be run"))
    };
    let of_disk = |document: &Value| {
        let findings = document["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().find(|finding| finding["id"] == "host.disk")
    };
    assert_eq!(of_disk(&run(&["status"])), None);
    machine.tell("bash", &["-c", "cat /dev/zero >\"$1\"/fill; true", "bash", root]);

    let status = run(&["status"]);
    let change = run(&["configure", "--agent-port=6000"]);

    let full = of_disk(&status).expect("the disk is full");
    let what = format!("0 MB of disk space is free for `{root}/opt/teradici/pcoipcm_data/state`");
    assert!(full["what"].as_str().is_some_and(|it| it.starts_with(&what)), "{full}");
    let finding = &change["findings"][0];
    assert!(finding["what"].to_string().contains("No space left on device"), "{finding}");
    let cure = "free some space on that file system and run the command again";
    assert_eq!(finding["cure"], json!(cure));
}

#[test]
fn a_root_that_takes_no_files_or_runs_no_programs_is_refused() {
    let Some(machine) = machine() else { return };
    for (options, id) in [("ro", "target.read-only"), ("noexec", "target.noexec")] {
        let root = format!("/opt/{options}");
        let options = format!("{options},mode=755");
        machine.tell("mkdir", &[&root]);
        machine.tell("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", &root]);

        let output = install_on(&machine, &root);

        assert_eq!(output.status.code(), Some(3), "{options}");
        let document = document(&output);
        let findings = document["findings"].as_array().expect("there are findings");
        let ids = findings.iter().filter(|it| it["level"] == "error").map(|it| it["id"].clone());
        assert_eq!(ids.collect::<Vec<_>>(), [json!(id)], "{options}");
        assert_eq!(listed(&machine, &root).lines().count(), 1, "{options}");
    }
}

#[test]
fn an_installation_whose_disk_became_read_only_is_changed_by_nothing() {
    let Some(machine) = machine() else { return };
    let root = "/opt/read-only";
    machine.tell("mkdir", &[root]);
    machine.tell("mount", &["-t", "tmpfs", "-o", "mode=755", "tmpfs", root]);
    assert_eq!(install_on(&machine, root).status.code(), Some(0));
    // Killed processes keep their log open for a moment.
    let ended = "pkill -9 pcoip-cmsgd; while pgrep -r R,S,D pcoip-cmsgd; do sleep 0.02; done";
    machine.tell("timeout", &["60", "bash", "-c", ended]);
    let before = listed(&machine, root);
    machine.tell("mount", &["-o", "remount,ro", root]);

    for words in [&["configure", "--agent-port=6000"][..], &PURGE] {
        let mut command = machine.command(binaries::path("pcoip-cmsg-setup"));
        command.arg("--output=json").args(words).args(["--root", root]);
        let output = plain(&mut command).output().expect("the installer can be run");

        let code = output.status.code();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(code == Some(1) || code == Some(3), "{words:?}: {code:?} {said}");
        assert!(said.to_lowercase().contains("read-only"), "{words:?}: {said}");
        assert_eq!(listed(&machine, root), before, "{words:?}");
    }
}
