//! coturn as a TURN server without credentials.

use std::{net::SocketAddrV4, process::Command};

use super::{
    super::{
        network::{GATEWAY_INSIDE, GATEWAY_OUTSIDE},
        wire::{Kind, Relay},
    },
    Host, command,
};

const PORT: u16 = 3478;

pub(super) fn prepare(host: &Host<'_>, id: u8) -> anyhow::Result<(Relay, Option<Command>)> {
    let mut command = command(host, "turnserver");
    // Settings of the host's own server must not apply.
    command.args(["-n", "--no-auth", "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay"]);
    command.args(["--no-cli", "--no-multicast-peers", "-m", "1", "--log-file", "stdout"]);
    command.args(["-L", &GATEWAY_OUTSIDE.to_string(), "-p", &PORT.to_string()]);
    command.args(["-E", &GATEWAY_INSIDE.to_string(), "--realm", "bench"]);
    // Ports that no other relay sends from.
    command.args(["--min-port", "10000", "--max-port", "30000"]);
    for lifetime in ["max-allocate-lifetime", "channel-lifetime", "permission-lifetime"] {
        command.args([format!("--{lifetime}"), "86400".to_owned()]);
    }
    command.arg("--pidfile").arg(host.folder.join("coturn.pid"));
    command.arg("--userdb").arg(host.folder.join("coturn.db"));
    let clients = SocketAddrV4::new(GATEWAY_OUTSIDE, PORT);
    Ok((Relay { id, kind: Kind::Turn, clients, tls: None }, Some(command)))
}
