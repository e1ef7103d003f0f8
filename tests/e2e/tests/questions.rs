//! Every question of the installer, as a person at a terminal sees it.

#[path = "questions/screens.rs"]
mod screens;

use std::{net::TcpListener, path::Path, process::Command, time::Duration};

use e2e::{
    binaries,
    needs::{Need, met},
    terminal::{CTRL_C, CTRL_D, DOWN, Terminal},
};
use nix::sys::{signal::Signal, termios::LocalFlags};

/// Where a question for a value is answered.
const VALUE: &str = "\r\n> ";
const POLICIES: &str = "(--accept-policies)? [y/N] ";
const BROKER: &str = "  --broker-url\r\n> ";
const ADDRESS: &str = "  --external-pcoip-ip\r\n> ";
/// The last line of the list of certificates.
const CERTIFICATES: &str = "for testing (--self-signed)\r\n";

/// An installation on a host whose only address is 192.0.2.7.
fn install(root: &Path, flags: &[&str]) -> Command {
    const HOST: &str =
        "ip link set dev lo up; ip address add 192.0.2.7/32 dev lo; exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", HOST]).arg(binaries::path("pcoip-cmsg-setup"));
    command.args(["install", "--runtime=host", "--ignore-disk-req", "--root"]).arg(root);
    command.args(flags);
    command
}

fn is_ready() -> bool {
    met(&[Need::Root, Need::Namespace, Need::Tool("setsid"), Need::Tool("unshare")])
}

/// Flags and answers that lead to one question of each kind, and where it waits.
type Way = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);
const KINDS: [Way; 3] = [
    (&[], &[], POLICIES),
    (&["--accept-policies"], &[], BROKER),
    (&["--accept-policies"], &[(BROKER, "https://b.example"), (ADDRESS, "")], CERTIFICATES),
];

#[test]
fn leaving_any_question_restores_the_terminal_and_changes_nothing() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    let leave: [&dyn Fn(&mut Terminal); 2] =
        [&|terminal| terminal.press(CTRL_C), &|terminal| terminal.signal(Signal::SIGTERM)];
    for (flags, answers, question) in KINDS {
        for leave in leave {
            let mut terminal = Terminal::run_in(80, &install(&root, flags));
            let modes = terminal.modes();

            answers.iter().for_each(|(question, answer)| terminal.answer(question, answer));
            terminal.expect(question);
            let asked = terminal.modes();
            leave(&mut terminal);
            // A signal between two waits for a key does not end the question; another one does.
            if !terminal.ends_within(Duration::from_secs(2)) {
                leave(&mut terminal);
            }
            let code = terminal.end();

            let screen = terminal.screen();
            assert_eq!(code, 130, "{screen}");
            assert!(screen.ends_with("\ninterrupted; nothing is changed"), "{screen}");
            assert!(terminal.has_cursor(), "{screen}");
            assert!(!asked.local_flags.contains(LocalFlags::ECHO), "{screen}");
            assert_eq!(terminal.modes(), modes, "{screen}");
            assert!(!root.exists(), "{screen}");
        }
    }
}

#[test]
fn a_question_is_asked_again_when_a_shell_has_resumed_the_program() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    for (flags, answers, question) in KINDS {
        let mut terminal = Terminal::run_in(80, &install(&root, flags));
        let modes = terminal.modes();
        answers.iter().for_each(|(question, answer)| terminal.answer(question, answer));
        terminal.expect(question);

        let again = if question == CERTIFICATES { "(arrow keys, Enter)" } else { question };
        terminal.expect_after(again, |terminal| terminal.set_modes(&modes));

        let resumed = terminal.modes();
        assert!(!resumed.local_flags.contains(LocalFlags::ECHO), "{}", terminal.screen());
        terminal.press(CTRL_C);
        assert_eq!(terminal.end(), 130, "{}", terminal.screen());
        assert_eq!(terminal.modes(), modes, "{}", terminal.screen());
    }
}

#[test]
fn a_default_is_accepted_with_enter() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--accept-policies", "--self-signed", "--broker-url=https://b.example"];
    let mut terminal = Terminal::run_in(80, &install(&folder.path().join("site"), &flags));

    terminal.answer("clients reach it [192.0.2.7]  --external-pcoip-ip\r\n> ", "");
    terminal.expect("(--yes)? [y/N] ");

    assert!(terminal.screen().contains("\n> 192.0.2.7\n"), "{}", terminal.screen());
}

#[test]
fn a_wrong_value_is_refused_in_place_until_it_is_right() {
    if !is_ready() {
        return;
    }
    const ERROR: &str = "is not a URL of the form";
    let folder = tempfile::tempdir().unwrap();
    // Longer than a line.
    let long = format!("broker.example/{}", "x".repeat(100));
    let mut terminal =
        Terminal::run_in(80, &install(&folder.path().join("site"), &["--accept-policies"]));

    for wrong in ["broker.example", &long] {
        terminal.answer(VALUE, wrong);
        terminal.expect(ERROR);
        terminal.expect("hint");
        terminal.expect("> ");
        terminal.press("h");
        terminal.expect("h");
        let screen = terminal.screen();
        assert_eq!(screen.matches("Connection broker URL").count(), 1, "{screen}");
        assert_eq!(screen.matches(ERROR).count(), 1, "{screen}");
        assert!(screen.ends_with("\n> h"), "{screen}");
        // Back to the prompt of the next round.
        terminal.press("\u{7f}\r");
        terminal.expect("a value is required");
        terminal.expect("without making changes");
    }
    terminal.answer("> ", "https://b.example");
    terminal.expect("--external-pcoip-ip");

    let screen = terminal.screen();
    assert!(!screen.contains("error"), "{screen}");
    assert!(screen.contains("--broker-url\n> https://b.example\n"), "{screen}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let shown = |variable: Option<(&str, &str)>| {
        let mut command = install(&folder.path().join("site"), &["--accept-policies"]);
        command.envs(variable);
        let mut terminal = Terminal::run_in(80, &command);
        terminal.answer(VALUE, "broker.example");
        terminal.expect("hint");
        terminal.press(CTRL_C);
        terminal.ended().1
    };

    assert!(shown(None).contains("\u{1b}[1m\u{1b}[31merror"), "{:?}", shown(None));
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "unknown"), ("TERM", "")] {
        let shown = shown(Some(variable));
        // A colour is set by a sequence that ends with `m`.
        let has_colour = shown.split("\u{1b}[").skip(1).any(|sequence| {
            sequence.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
        });
        assert!(!has_colour, "{variable:?}: {shown:?}");
    }
}

#[test]
fn a_terminal_without_a_cursor_gets_plain_lines() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    let answers = [
        (POLICIES, "y"),
        (BROKER, "https://b.example"),
        (ADDRESS, ""),
        ("  2) A self-signed certificate, for testing (--self-signed)\r\n1 to 2: ", "2"),
        ("(--yes)? [y/N] ", ""),
    ];
    for left in 0..answers.len() {
        let mut command = install(&root, &[]);
        command.env("TERM", "dumb");
        let mut terminal = Terminal::run_in(80, &command);

        answers[..left].iter().for_each(|(question, answer)| terminal.answer(question, answer));
        terminal.expect(answers[left].0);
        terminal.press(CTRL_D);

        let (code, shown) = terminal.ended();
        assert_eq!(code, 130, "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        assert!(!root.exists(), "{shown}");
    }
}

#[test]
fn what_no_answer_changes_is_refused_before_the_first_question() {
    if !met(&[Need::Tool("setsid")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = binaries::command("pcoip-cmsg-setup");
    command.args(["install", "--runtime=host", "--ignore-disk-req", "--root"]);
    command.arg(folder.path().join("site"));
    command.arg(format!("--listen=pcoip={}", taken.local_addr().unwrap()));

    let (code, shown) = Terminal::run_in(80, &command).ended();

    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("is in use by"), "{shown}");
    assert!(!shown.contains("[y/N]"), "{shown}");
}

#[test]
fn keys_that_are_pressed_early_are_not_lost() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--external-pcoip-ip=192.0.2.7"];
    let mut terminal = Terminal::run_in(80, &install(&folder.path().join("site"), &flags));

    terminal.expect(POLICIES);
    terminal.press(&format!("y\rhttps://b.example\r{DOWN}\r"));
    terminal.expect("(--yes)? [y/N] ");

    let screen = terminal.screen();
    assert!(screen.contains("--broker-url\n> https://b.example\n"), "{screen}");
    assert!(screen.contains("\n> A self-signed certificate"), "{screen}");
}
