//! The Security Gateway, started without the installer, so that older daemons can be measured.

use std::{fs, net::SocketAddrV4, path::Path, process::Command};

use anyhow::Context as _;
use cmsg_config::socket::{self, Connection, Connections, Role, Status};
use serde::de::DeserializeOwned;

use super::{
    super::{
        network::{GATEWAY_INSIDE, GATEWAY_OUTSIDE},
        site::write,
        wire::{Kind, Relay},
    },
    ASK, Host, command,
};

/// Seconds for which a session without a control connection can be resumed.
pub(in crate::bench::sg) const RESUME: u64 = 30;
/// Seconds for which the flows of such a session stay without datagrams.
const IDLE: u64 = 10;
/// Least number of sessions that the gateway takes.
const MIN_SESSIONS: u32 = 5000;
/// Further sessions that are only announced.
const SPARE: u32 = 1000;

pub(super) fn prepare(
    host: &Host<'_>,
    id: u8,
    daemon: &Path,
) -> anyhow::Result<(Relay, Option<Command>)> {
    let at = host.folder.join(format!("gateway{id}"));
    for name in ["", "run", "data", "logs"] {
        fs::create_dir(at.join(name)).context("making a folder for a gateway")?;
    }
    let listen = SocketAddrV4::new(GATEWAY_OUTSIDE, 4172 + u16::from(id));
    let source = SocketAddrV4::new(GATEWAY_INSIDE, 55_000 + u16::from(id));
    let sessions = host.sessions.max(MIN_SESSIONS) + SPARE;
    let (folder, site) = (at.display(), host.folder.display());
    let conf = format!(
        "ListenAddress = {listen}\nUdpSourceAddress = {source}\nMaxConnections = {sessions}\n\
         ExternalRoutableIP = {GATEWAY_OUTSIDE}\nSslCertificate = {site}/tls.crt\n\
         SslKey = {site}/tls.key\nJwtVerifyingCertificate = {site}/jwt.crt\n\
         RunDirectory = {folder}/run\nDataDirectory = {folder}/data\n\
         LogDirectory = {folder}/logs\nTlsHandshakeSeconds = 60\nTagSeconds = 60\n\
         ResumeSeconds = {RESUME}\nUdpIdleSeconds = {IDLE}\n",
    );
    let path = at.join("gateway.conf");
    write(&path, &conf)?;
    let mut command = command(host, &daemon.to_string_lossy());
    command.args(["security-gateway", "--config"]).arg(path);
    let kind = Kind::Gateway { socket: at.join("run").join(Role::Sg.socket()) };
    Ok((Relay { id, kind, clients: listen, tls: Some(listen) }, Some(command)))
}

/// Whether the gateway of this unix socket serves.
pub(super) fn is_ready(socket: &Path) -> bool {
    status(socket).is_ok()
}

pub(in crate::bench::sg) fn status(socket: &Path) -> anyhow::Result<Status> {
    ask(socket, "/status")
}

pub(in crate::bench::sg) fn connections(socket: &Path) -> anyhow::Result<Vec<Connection>> {
    ask(socket, "/connections").map(|Connections { connections }| connections)
}

fn ask<T: DeserializeOwned>(socket: &Path, path: &str) -> anyhow::Result<T> {
    let run = socket.parent().unwrap_or(socket);
    socket::get(run, Role::Sg, path, ASK).with_context(|| format!("asking a gateway for `{path}`"))
}

/// Length in bytes of the journal of the gateway with this unix socket.
pub(in crate::bench::sg) fn journal_bytes(socket: &Path) -> u64 {
    let folder = socket.parent().and_then(Path::parent).unwrap_or(socket);
    let file = fs::metadata(folder.join("data/security-gateway.journal"));
    file.map_or(0, |file| file.len())
}
