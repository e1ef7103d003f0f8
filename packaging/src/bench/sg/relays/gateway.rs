//! The Security Gateway, started without the installer, so that older daemons can be measured.

use std::{fs, net::SocketAddrV4, path::Path, process::Command};

use anyhow::Context as _;
use cmsg_config::socket::{self, Role, Status};

use super::{
    super::{
        network::{GATEWAY_INSIDE, GATEWAY_OUTSIDE},
        site::write,
        wire::{Kind, Relay},
    },
    ASK, Host, command,
};

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
    let (folder, site) = (at.display(), host.folder.display());
    let conf = format!(
        "ListenAddress = {listen}\nUdpSourceAddress = {source}\nMaxConnections = 5000\n\
         ExternalRoutableIP = {GATEWAY_OUTSIDE}\nSslCertificate = {site}/tls.crt\n\
         SslKey = {site}/tls.key\nJwtVerifyingCertificate = {site}/jwt.crt\n\
         RunDirectory = {folder}/run\nDataDirectory = {folder}/data\n\
         LogDirectory = {folder}/logs\nTlsHandshakeSeconds = 60\nTagSeconds = 60\n",
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
    let run = socket.parent().unwrap_or(socket);
    socket::get::<Status>(run, Role::Sg, "/status", ASK).is_ok()
}
