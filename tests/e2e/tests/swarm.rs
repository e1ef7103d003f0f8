//! The product on a real Docker engine.

use e2e::{
    binaries,
    machine::Machine,
    needs::{Need, met},
};

const NEEDS: &[Need] = &[Need::Root, Need::Tool("dockerd"), Need::Tool("unshare"), Need::Namespace];

#[test]
fn the_images_hold_the_daemon_alone_and_it_binds_443_as_nobody() {
    if !met(NEEDS) {
        return;
    }
    let mut machine = Machine::start();
    machine.start_engine();
    let archive = binaries::path("pcoip-cmsg-images.tar");

    let loaded =
        machine.tell("/usr/bin/docker", &["load", "--input", &archive.display().to_string()]);
    let listed = machine.tell("/usr/bin/docker", &["images", "--format", "{{.Repository}}"]);
    let image = format!("localhost/pcoip-cmsg/sg:{}", env!("CARGO_PKG_VERSION"));
    let said =
        machine.tell("/usr/bin/docker", &["run", "--rm", "--network=host", &image, "--version"]);
    // The file's capability is all that is asked for; the kernel refuses a program that cannot get it.
    let none = ["run", "--rm", "--network=host", "--cap-drop=ALL", &image, "--version"];
    let refused = machine.docker().args(none).output().expect("docker starts");

    assert!(loaded.contains("localhost/pcoip-cmsg/pcoip-cm:"), "{loaded}");
    let mut names: Vec<_> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["localhost/pcoip-cmsg/pcoip-cm", "localhost/pcoip-cmsg/sg"]);
    assert_eq!(said, format!("pcoip-cmsgd {}\n", env!("CARGO_PKG_VERSION")));
    assert!(!refused.status.success());
}

#[test]
fn a_machine_of_a_tests_own_changes_nothing_on_this_one() {
    if !met(NEEDS) {
        return;
    }
    let mut machine = Machine::start();

    machine.start_engine();
    machine.tell("useradd", &["--system", "cmsg-test"]);
    machine.tell("touch", &["/opt/cmsg-test", "/var/log/cmsg-test"]);
    machine.kill_engine();
    machine.start_engine();

    assert!(machine.path("/opt/cmsg-test").exists());
    assert!(!std::path::Path::new("/opt/cmsg-test").exists());
    let users = std::fs::read_to_string("/etc/passwd").expect("there are users");
    assert!(!users.contains("cmsg-test"));
    let own = machine.folder().to_owned();
    drop(machine);
    assert!(!own.exists());
}
