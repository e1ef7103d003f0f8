//! Completions and manual pages for packages.

use std::process::{Command, Stdio};

use cli_tests::program;

#[test]
fn bash_takes_the_completions_and_offers_the_commands() {
    let script = Command::new(program("pcoip-cmsg-setup"))
        .args(["completions", "bash"])
        .output()
        .expect("the program starts");
    assert!(script.status.success());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("completions");
    std::fs::File::create(&file)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &script.stdout))
        .expect("a file can be written");

    let asked = Command::new("bash")
        .args(["--norc", "-c"])
        .arg(
            "set -e; . \"$1\"; COMP_WORDS=(pcoip-cmsg-setup inst); COMP_CWORD=1; \
             _pcoip__cmsg__setup pcoip-cmsg-setup inst pcoip-cmsg-setup; echo \"${COMPREPLY[@]}\"",
        )
        .arg("bash")
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .expect("`bash` starts");

    assert_eq!(String::from_utf8_lossy(&asked.stdout), "install\n");
}

#[test]
fn there_is_a_manual_page_for_each_command_with_every_flag() {
    let folder = tempfile::tempdir().expect("a folder can be made");

    let made = Command::new(program("pcoip-cmsg-setup"))
        .arg("man")
        .arg("--to")
        .arg(folder.path())
        .output();
    assert!(made.expect("the program starts").status.success());

    let install = std::fs::read_to_string(folder.path().join("pcoip-cmsg-setup-install.1"));
    let install = install.expect("`install` has a page").replace("\\-", "-");
    for flag in ["--broker-url", "--external-pcoip-ip", "--accept-policies", "--answers"] {
        assert!(install.contains(flag), "{flag}");
    }
    assert!(folder.path().join("pcoip-cmsg-setup.1").is_file());
    assert!(!folder.path().join("pcoip-cmsg-setup-detach.1").exists());
}
