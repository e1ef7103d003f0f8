//! Output for administrators in case of errors: causes first, commands that can be pasted, and
//! plain text on plain terminals.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
};

use e2e::{
    binaries,
    installation::Installation,
    installer::{document, plain, told},
    needs::{Need, met},
    terminal::Terminal,
};
use serde_json::{Value, json};

/// The installer's text about an installation.
fn texts(site: &Installation, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = binaries::command("pcoip-cmsg-setup");
    command.args(words).arg("--root").arg(site.root());
    let output = plain(&mut command).output().expect("the installer can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn cures(document: &Value, id: &str) -> Vec<String> {
    let findings = document["findings"].as_array().expect("there are findings").iter();
    let own = findings.filter(|finding| finding["id"] == id);
    own.map(|finding| finding["cure"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_dumb_terminal_gets_plain_text() {
    if !met(&[Need::Tool("setsid")]) {
        return;
    }
    let site = Installation::start();
    let mut command = binaries::command("pcoip-cmsg-setup");
    command.args(["configure", "--yes", "--agent-port=6000", "--root"]).arg(site.root());
    command.env("TERM", "dumb");

    let (code, shown) = Terminal::run(&command).ended();

    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("[ok] Both services are running\r\n"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    assert!(!shown.replace("\r\n", "").contains('\r'), "{shown:?}");
}

#[test]
fn lines_are_as_wide_as_the_terminal_and_end_between_words() {
    if !met(&[Need::Tool("setsid")]) {
        return;
    }
    let site = Installation::start();
    // The words are those of a log, where no line is wrapped.
    let words = ["install", "--dry-run", "--agent-port=6000"];
    let (code, planned, found) = texts(&site, &words);
    assert_eq!(code, Some(0), "{found}");
    let expected = format!("{found}{planned}");
    for columns in [80, 120] {
        let mut command = binaries::command("pcoip-cmsg-setup");
        command.args(words).arg("--root").arg(site.root()).env("TERM", "dumb");

        let (code, shown) = Terminal::run_in(columns, &command).ended();

        assert_eq!(code, 0, "{shown}");
        // A path that is longer than a line has one of its own.
        let mut wide =
            shown.lines().filter(|line| line.trim_end().chars().count() > columns.into());
        assert!(wide.all(|line| line.split_whitespace().count() == 1), "{shown}");
        let all = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all(&shown), all(&expected));
        assert!(expected.lines().any(|line| line.len() > columns.into()), "nothing is wrapped");
    }
}

#[test]
fn the_first_error_of_a_change_that_is_undone_says_why_the_role_failed() {
    let site = Installation::start();
    let file = site.root().join("file");
    File::create(&file).expect("a file can be made");
    let path = site.paths().security_gateway_conf();
    let conf = fs::read_to_string(&path).expect("the configuration can be read");
    let logs = site.paths().security_gateway_logs().display().to_string();
    let edited = conf.replace(&logs, &file.join("logs").display().to_string());
    let put = |text: &str| {
        let mut written = File::create(&path).expect("the configuration can be opened");
        written.write_all(text.as_bytes()).expect("the configuration can be written");
    };
    put(&edited);

    let (code, _, said) = texts(&site, &["configure", "--agent-port=6000"]);

    assert_eq!(code, Some(4), "{said}");
    let first = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(
        first.starts_with("error: the security gateway is not healthy: in configuration"),
        "{said}"
    );
    assert!(first.contains("`LogDirectory`: creating log file"), "{said}");
    assert!(first.contains("Not a directory"), "{said}");
    // Otherwise, the role cannot be started again, nor the installation be removed.
    put(&conf);
    site.done(&["configure"]);
}

#[test]
fn an_update_to_the_same_version_says_so_and_does_nothing() {
    let site = Installation::start();
    let before = site.pids();

    let (code, _, said) = texts(&site, &["update"]);

    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("version 0.1.0 is already installed; nothing to do\n"), "{said}");
    assert!(!said.contains("healthy"), "{said}");
    let document = site.done(&["update"]);
    assert_eq!((&document["outcome"], &document["plan"]), (&json!("done"), &json!([])));
    assert_eq!(site.pids(), before);
}

#[test]
fn another_runtime_is_answered_with_the_right_one() {
    let site = Installation::start();
    let (code, refused) = told(&site.run(&["status", "--runtime=swarm"]));

    assert_eq!(code, Some(3), "{refused:#}");
    assert_eq!(cures(&refused, "runtime.other"), ["run the command with `--runtime=host`"]);
}

#[test]
fn commands_in_hints_name_the_root() {
    let site = Installation::start();
    let root = site.root().display().to_string();

    let checked = document(&site.run(&["validate", "--trusted-proxies=0.0.0.0/0"]));
    let cure = format!(
        "list only the networks of your proxies with `pcoip-cmsg-setup configure --root {root} \
         --trusted-proxies IP/BITS`"
    );
    assert_eq!(cures(&checked, "settings.everybody"), [cure]);

    site.done(&["drain"]);
    let changed = site.done(&["configure", "--agent-port=6000"]);
    let cure = format!("run `pcoip-cmsg-setup resume --root {root}` to accept new sessions");
    assert_eq!(cures(&changed, "role.not-ready"), [cure.as_str(), &cure]);
    let (_, shown, _) = texts(&site, &["install", "--verbose"]);
    assert!(shown.contains("pcoip-cmsg-setup install --runtime=host --enable-conn"), "{shown}");
    assert!(shown.contains(&format!("pcoip-cmsg-setup configure --root {root} ")), "{shown}");
}

#[test]
fn a_folder_that_others_can_write_to_hides_no_other_finding() {
    if !met(&[Need::Root]) {
        return;
    }
    let site = Installation::start();
    let folder = site.paths().data();
    let shared = fs::Permissions::from_mode(0o777);
    fs::set_permissions(&folder, shared).expect("the mode can be changed");

    let words = ["validate", "--ssl-cert=/none.crt", "--ssl-key=/none.key", "--ca-cert=/none.ca"];
    let (code, checked) = told(&site.run(&words));
    let (configured, _, said) = texts(&site, &["configure", "--agent-port=6000"]);

    let ids: Vec<_> = checked["findings"].as_array().expect("there are findings").iter().collect();
    let ids: Vec<_> = ids.iter().map(|it| it["id"].as_str().unwrap_or_default()).collect();
    assert_eq!((code, ids[0]), (Some(3), "installation.untrusted"), "{checked:#}");
    assert!(ids.contains(&"certificate.unreadable") && ids.contains(&"key.unreadable"), "{ids:?}");
    assert!(!ids.contains(&"settings.missing"), "{ids:?}");
    assert_eq!(configured, Some(3), "{said}");
    let last = said.trim_end().lines().last();
    assert_eq!(last, Some("refused, nothing is changed: installation.untrusted"));
    let own = fs::Permissions::from_mode(0o700);
    fs::set_permissions(&folder, own).expect("the mode can be changed");
}
