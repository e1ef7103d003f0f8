//! The question for a password, as a person at a terminal sees it.

use e2e::{
    binaries, installer,
    needs::{Need, met},
    terminal::{CTRL_C, Terminal},
};

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Tool("dockerd"),
    Need::Tool("setsid"),
    Need::Tool("unshare"),
    Need::Namespace,
];
const PASSWORD: &str = "  --docker-password\r\n> ";
/// Ctrl-Z and Ctrl-\, which suspend and quit a program.
const SIGNALS: &str = "\u{1a}\u{1c}";

#[test]
fn a_password_is_not_shown_whatever_keys_are_pressed() {
    if !met(NEEDS) {
        return;
    }
    let machine = installer::machine();
    let mut command = machine.command(binaries::path("pcoip-cmsg-setup"));
    command.args(["install", "--ignore-disk-req", "--accept-policies", "--self-signed"]);
    command.args(["--broker-url=https://127.0.0.1:1", "--external-pcoip-ip=192.0.2.1"]);
    command.args(["--docker-registry=127.0.0.1:5000", "--docker-username=me"]);
    let mut terminal = Terminal::run(&command);
    let modes = terminal.modes();

    terminal.answer(PASSWORD, "");
    terminal.expect("the password is empty");
    // As a shell does that resumes the program.
    terminal.expect(PASSWORD);
    terminal.set_modes(&modes);
    terminal.answer(PASSWORD, &format!("hunter{SIGNALS}2"));
    terminal.expect("(--yes)? [y/N] ");
    terminal.press(CTRL_C);

    let (code, shown) = terminal.ended();
    assert_eq!(code, 130, "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
}
