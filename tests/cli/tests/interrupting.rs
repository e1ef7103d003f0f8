//! Ctrl-C while the installer waits for something that does not answer.

use std::{
    io::Read as _,
    os::unix::net::UnixListener,
    process::{Command, Stdio},
};

use cli_tests::program;

#[test]
fn a_command_that_waits_for_docker_can_be_interrupted() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let socket = folder.path().join("docker.sock");
    let docker = UnixListener::bind(&socket).expect("a socket can be bound");
    let mut installer = Command::new(program("pcoip-cmsg-setup"))
        // It waits as `install` does, without the lock of the machine.
        .args(["validate", "--accept-policies", "--self-signed"])
        .args(["--broker-url=https://127.0.0.1:1", "--external-pcoip-ip=192.0.2.1"])
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the installer can be run");

    // The first connection only shows that a process listens.
    let asked = docker.incoming().flatten().find_map(|mut stream| {
        let length = stream.read(&mut [0; 1024]).unwrap_or_default();
        (length > 0).then_some(stream)
    });
    let kill = Command::new("kill").args(["-INT", &installer.id().to_string()]).status();

    assert!(asked.is_some() && kill.is_ok_and(|status| status.success()));
    let status = installer.wait().expect("its end can be waited for");
    assert_eq!(status.code(), Some(130));
}
