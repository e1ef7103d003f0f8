//! A machine with an installed engine that is not running. Test machines do not run systemd, so a
//! script simulates `systemctl`.

use std::{
    fs::{File, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::Command,
};

use e2e::{
    binaries,
    installer::{self, INSTALL},
    machine::Machine,
    needs::met,
    terminal::Terminal,
};
use serde_json::Value;

use super::NEEDS;

const QUESTION: &str = "Start it now and at every boot (--yes)? [y/N] ";

struct Site(Machine);

impl Site {
    fn boot() -> Self {
        let machine = Machine::start();
        machine.tell("ip", &["address", "add", "192.0.2.1/32", "dev", "lo"]);
        machine.tell("mkdir", &["-p", "/run/systemd/system"]);
        let tools = machine.folder().join("tools");
        std::fs::create_dir(&tools).expect("the machine's folder can be written to");
        let mut script = File::create(tools.join("systemctl")).expect("a script can be made");
        script.write_all(include_bytes!("systemctl.sh")).expect("it can be written");
        script.set_permissions(Permissions::from_mode(0o755)).expect("it can be run");
        Self(machine)
    }

    fn command(&self) -> Command {
        let mut command = self.0.command("env");
        let path = std::env::var("PATH").expect("there is a path");
        installer::plain(&mut command);
        command.arg(format!("PATH={}:{path}", self.0.folder().join("tools").display()));
        command.arg(binaries::path("pcoip-cmsg-setup"));
        command
    }

    fn setup(&self, words: &[&str]) -> (Option<i32>, Value) {
        let mut command = self.command();
        let output = command.arg("--output=json").args(words).output();
        installer::told(&output.expect("the installer can be run"))
    }

    /// The changes requested from `systemctl` since the last query.
    fn calls(&self) -> String {
        let take = "cd /run/systemd/docker 2>/dev/null || exit 0; touch calls; cat calls; rm calls";
        self.0.tell("bash", &["-c", take])
    }
}

/// The errors with their fixes.
fn errors(document: &Value) -> Vec<(&str, &str)> {
    let findings = document["findings"].as_array().into_iter().flatten();
    let errors = findings.filter(|finding| finding["level"] == "error");
    errors.filter_map(|it| Some((it["id"].as_str()?, it["cure"].as_str()?))).collect()
}

#[test]
fn an_engine_that_does_not_run_is_started_where_that_is_agreed_to_and_not_else() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::boot();

    for words in
        [&INSTALL[..], &["validate", "--yes"], &[&INSTALL[..], &["--dry-run", "--yes"]].concat()]
    {
        let (code, document) = site.setup(words);
        assert_eq!(code, Some(3), "{words:?} {document:#}");
        let told = errors(&document);
        let (_, cure) =
            told.iter().find(|(id, _)| *id == "docker.not-running").expect("it is told");
        assert!(cure.starts_with("have `install` start it with `--yes`"), "{cure}");
    }
    assert_eq!(site.calls(), "");

    let (code, document) = site.setup(&[&INSTALL[..], &["--yes"]].concat());
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(site.calls(), "enable --now docker\n");

    // The administrator disables the engine at boot, and thereby the services.
    site.0.tell("rm", &["/run/systemd/docker/enabled"]);
    let (code, document) = site.setup(&["configure", "--agent-port=60444"]);
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["plan"][0]["step"], "enable Docker", "{document:#}");
    assert_eq!(site.calls(), "enable docker\n");
    let (_, document) = site.setup(&["configure"]);
    assert!(!document["plan"].to_string().contains("enable Docker"), "{document:#}");
}

#[test]
fn at_a_terminal_silence_leaves_a_stopped_engine_alone_and_a_yes_starts_it() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::boot();
    let mut command = site.command();
    command.args(INSTALL);

    let mut terminal = Terminal::run(&command);
    terminal.answer(QUESTION, "");
    let (code, shown) = terminal.ended();
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("Docker is not installed"), "{shown}");
    assert_eq!(site.calls(), "");

    let mut terminal = Terminal::run(&command);
    terminal.answer(QUESTION, "y");
    terminal.answer("Perform this plan (--yes)? [y/N] ", "");
    let (code, shown) = terminal.ended();
    assert_eq!(code, 1, "{shown}");
    assert_eq!(site.calls(), "enable --now docker\n");
}

#[test]
fn who_leaves_the_engine_stopped_is_asked_nothing_else() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::boot();
    let mut command = site.command();
    command.args(["install", "--ignore-disk-req"]);

    let mut terminal = Terminal::run(&command);
    terminal.answer(QUESTION, "");

    let (code, shown) = terminal.ended();
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("Docker is not installed"), "{shown}");
    assert!(!shown.contains("--accept-policies)?"), "{shown}");
}
