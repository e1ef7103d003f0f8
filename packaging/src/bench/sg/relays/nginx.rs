//! nginx as a stream proxy: UDP, and TLS to TLS.

use std::{fs, net::SocketAddrV4, path::Path, process::Command};

use anyhow::Context as _;

use super::{
    super::{
        network::GATEWAY_OUTSIDE,
        site::write,
        wire::{Kind, PORT, Relay, SHARED_AGENT},
    },
    Host, command,
};
use crate::binaries::path_of;

const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
/// Debian installs it where users do not look for programs.
const PROGRAM: &str = "/usr/sbin/nginx";

fn program() -> Option<std::path::PathBuf> {
    path_of("nginx")
        .or_else(|| Some(PROGRAM.into()).filter(|path: &std::path::PathBuf| path.is_file()))
}

pub(super) fn is_complete() -> bool {
    program().is_some() && Path::new(MODULE).exists()
}

pub(super) fn prepare(host: &Host<'_>, id: u8) -> anyhow::Result<(Relay, Option<Command>)> {
    let at = host.folder.join(format!("nginx{id}"));
    fs::create_dir(&at).context("making a folder for nginx")?;
    let clients = SocketAddrV4::new(GATEWAY_OUTSIDE, 5172 + u16::from(id));
    let tls = SocketAddrV4::new(GATEWAY_OUTSIDE, 5443 + u16::from(id));
    let (folder, site) = (at.display(), host.folder.display());
    let conf = format!(
        "load_module {MODULE};\ndaemon off;\nmaster_process off;\nworker_rlimit_nofile 20000;\n\
         pid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 18000; }}\n\
         stream {{\n  proxy_timeout 24h;\n\
         \x20 server {{ listen {clients} udp; proxy_pass {SHARED_AGENT}:{PORT}; }}\n\
         \x20 server {{ listen {tls} ssl; proxy_pass {SHARED_AGENT}:{PORT}; proxy_ssl on;\n\
         \x20   ssl_certificate {site}/tls.crt; ssl_certificate_key {site}/tls.key; }}\n}}\n"
    );
    let path = at.join("nginx.conf");
    write(&path, &conf)?;
    let program = program().context("nginx is not installed")?;
    let mut command = command(host, &program.to_string_lossy());
    command.arg("-p").arg(&at).arg("-c").arg(path).arg("-e").arg(at.join("error.log"));
    Ok((Relay { id, kind: Kind::Proxy, clients, tls: Some(tls) }, Some(command)))
}
