//! The installer in a terminal: a person answers every question.

use std::{io::Write as _, path::Path, process::Command};

use e2e::{
    binaries,
    installation::Installation,
    installer::document,
    needs::{Need, met},
    terminal::{CTRL_C, DOWN, Terminal},
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

/// Every question of an installation of both roles, with its answer.
const ANSWERS: [(&str, &str); 5] = [
    ("(--accept-policies)? [y/N] ", "y"),
    ("  --broker-url\r\n> ", "https://127.0.0.1:1"),
    ("  --external-pcoip-ip\r\n> ", "192.0.2.1"),
    ("A self-signed certificate, for testing (--self-signed)\r\n", DOWN),
    ("(--yes)? [y/N] ", "y"),
];

/// The installer, with a command for an installation under that root.
fn setup(words: &[&str], root: &Path) -> Command {
    let mut command = binaries::command("pcoip-cmsg-setup");
    command.args(words).arg("--root").arg(root);
    command
}

fn install(root: &Path) -> Command {
    setup(&["install", "--runtime=host", "--ignore-disk-req"], root)
}

fn is_ready() -> bool {
    met(&[Need::Tool("setsid")])
}

#[test]
fn an_installation_is_answered_by_hand_and_asks_nothing_twice() {
    if !is_ready() {
        return;
    }
    let site = Installation::nothing();
    let mut terminal = Terminal::run(&install(&site.root()));

    let [policies, broker, gateway, certificate, plan] = ANSWERS;
    terminal.answer(policies.0, policies.1);
    terminal.answer(broker.0, "broker.example");
    terminal.expect("`--broker-url`: `broker.example` is not a URL of the form");
    terminal.answer("> ", broker.1);
    for (question, answer) in [gateway, certificate, plan] {
        terminal.answer(question, answer);
    }
    terminal.expect("Directories created");
    terminal.expect("Both services are running");
    terminal.expect("Installation complete");
    let (code, shown) = terminal.ended();

    assert_eq!(code, 0, "{shown}");
    let planned = site.done(&["install", "--dry-run"]);
    assert_eq!(
        planned["settings"]["broker-url"],
        json!({ "value": "https://127.0.0.1:1", "from": "saved" })
    );
    let again = Terminal::run(&setup(&["install", "--ignore-disk-req"], &site.root()));
    let (code, shown) = again.ended();
    assert_eq!(code, 0, "{shown}");
}

#[test]
fn who_is_asked_holds_the_installation() {
    if !is_ready() {
        return;
    }
    let site = Installation::start();
    let change = setup(&["configure", "--ignore-disk-req", "--agent-port=60000"], &site.root());
    let mut terminal = Terminal::run(&change);
    terminal.expect("agent-port");
    terminal.expect("Restarts    connection manager");
    terminal.expect("(--yes)? [y/N] ");

    let other = site.run(&["configure", "--agent-port=60001"]);

    assert_eq!(other.status.code(), Some(3));
    let what = document(&other)["findings"][0]["what"].to_string();
    assert!(what.contains("another installer (process"), "{what}");
    terminal.press("y\r");
    let (code, shown) = terminal.ended();
    assert_eq!(code, 0, "{shown}");
    let conf = site.paths().connection_manager_conf();
    assert_eq!(site.values(&conf, "AgentPort"), ["60000"]);
}

#[test]
fn who_leaves_at_a_question_leaves_nothing_behind() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    for last in 0..ANSWERS.len() {
        let mut terminal = Terminal::run(&install(&root));

        for (question, answer) in &ANSWERS[..last] {
            terminal.answer(question, answer);
        }
        terminal.expect(ANSWERS[last].0);
        terminal.press(CTRL_C);

        let (code, shown) = terminal.ended();
        assert_eq!(code, 130, "{shown}");
        assert!(shown.contains("interrupted; nothing is changed"), "{shown}");
        assert!(!root.exists(), "{shown}");
    }
}

#[test]
fn a_no_leaves_nothing_behind_and_silence_is_one() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    for (declined, code, why) in
        [(0, 3, "the policies are not accepted"), (4, 1, "the plan was not confirmed")]
    {
        for no in ["", "n"] {
            let mut terminal = Terminal::run(&install(&root));

            for (question, answer) in &ANSWERS[..declined] {
                terminal.answer(question, answer);
            }
            terminal.answer(ANSWERS[declined].0, no);

            let (ended, shown) = terminal.ended();
            assert_eq!(ended, code, "{shown}");
            assert!(shown.contains(why), "{shown}");
            assert!(!root.exists(), "{shown}");
        }
    }
}

#[test]
fn a_broker_that_cannot_be_verified_is_pinned_listed_or_not_verified() {
    if !is_ready() {
        return;
    }
    const LAST: &str = "(--broker-cert-check=false)\r\n";
    // The Connection Manager presents a self-signed certificate, like such a broker.
    let site = Installation::start();
    let conf = site.paths().connection_manager_conf();
    let value = |key| site.values(&conf, key).remove(0);
    let broker = format!("--broker-url=https://{}", value("ListenAddress"));
    let certificate = value("SslCertificate");
    let folder = tempfile::tempdir().unwrap();
    let other = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(other.pem().as_bytes()).unwrap();
    let wrong = file.path().display().to_string();
    let begin = || {
        let mut command = install(&folder.path().join("site"));
        command.args(["--accept-policies", "--self-signed", "--enable-security-gateway=false"]);
        command.args([&*broker, "--dry-run"]);
        let mut terminal = Terminal::run(&command);
        terminal.expect("key:\r\n    sha256:");
        terminal.expect("How should it be trusted?");
        terminal
    };
    let plan = |mut terminal: Terminal, answers: &[(&str, &str)]| {
        answers.iter().for_each(|(question, answer)| terminal.answer(question, answer));
        let (code, shown) = terminal.ended();
        assert_eq!(code, 0, "{shown}");
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };

    let pinned = plan(begin(), &[(LAST, "")]);
    let listed = plan(begin(), &[(LAST, DOWN), ("  --ca-cert\r\n> ", &certificate)]);
    let unverified = plan(begin(), &[(LAST, &format!("{DOWN}{DOWN}"))]);
    let mut mistaken = begin();
    mistaken.answer(LAST, DOWN);
    mistaken.answer("  --ca-cert\r\n> ", &wrong);
    mistaken.expect("the broker's certificate cannot be verified with");
    mistaken.expect(&format!("`{wrong}`: "));
    let pinned_then = plan(mistaken, &[(LAST, "")]);

    const WARNING: &str = "so its key is trusted without verification: sha256:";
    assert!(pinned.contains(WARNING), "{pinned}");
    assert!(listed.contains("Write ca.crt") && !listed.contains(WARNING), "{listed}");
    assert!(!unverified.contains(WARNING), "{unverified}");
    assert!(pinned_then.contains(WARNING), "{pinned_then}");
    assert!(!pinned_then.contains(&format!("--ca-cert {wrong}")), "{pinned_then}");
    assert!(!pinned_then.contains("Write ca.crt"), "{pinned_then}");
}

#[test]
fn a_removal_is_confirmed_by_hand() {
    if !is_ready() {
        return;
    }
    let site = Installation::start();
    let remove = |answer: &str| {
        let mut terminal = Terminal::run(&setup(&["uninstall", "--purge"], &site.root()));
        terminal.expect("(--yes)? [y/N] ");
        terminal.press(answer);
        terminal.ended()
    };

    for (answer, code) in [("\r", 1), (CTRL_C, 130)] {
        let (ended, shown) = remove(answer);

        assert_eq!(ended, code, "{shown}");
        let _ = site.pids();
    }
    let (code, shown) = remove("yes\r");
    assert_eq!(code, 0, "{shown}");
    assert!(!site.root().exists());
}
