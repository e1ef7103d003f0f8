//! The servers that are compared. All use the same certificate and broker, and one CPU.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    ops::Sub,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use cmsg_config::socket::{self, Role, Status};
use serde::Serialize;
use tempfile::TempDir;
use tokio::{net::TcpListener, time::sleep};

use super::{SERVERS, fakes::Fakes, identity::Certificates};
use crate::{
    bench::{process, sg::site::write},
    binaries::{Binaries, is_installed},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// The Connection Manager, with a gateway. It also calls agents
    Manager,
    /// nginx, which only relays to the broker
    Nginx,
    /// `HAProxy`, which only relays to the broker
    Haproxy,
    /// The broker itself, without a server in front of it
    #[value(skip)]
    Direct,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Direct => "direct",
        }
    }

    /// The program that is needed, if it is not installed.
    pub(super) fn missing(self) -> Option<&'static str> {
        let program = match self {
            Self::Manager => "taskset",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Direct => return None,
        };
        (!is_installed(program)).then_some(program)
    }
}

/// A running server; dropping it stops its processes.
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    /// Those of the Connection Manager are the gateway and the Connection Manager.
    children: Vec<Child>,
    /// Its files, for as long as it runs.
    folder: TempDir,
}

/// What all servers need.
pub(super) struct Site<'a> {
    pub(super) binaries: &'a Binaries,
    /// The directory with the certificates.
    pub(super) folder: &'a Path,
    pub(super) certificates: &'a Certificates,
    pub(super) fakes: &'a Fakes,
    pub(super) log_level: &'a str,
}

/// What the processes of a server have used so far, or between two times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) cpu_ns: u64,
    /// The part of it that the gateway used.
    pub(super) gateway_ns: u64,
    pub(super) written: u64,
}

impl Sub for Used {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
            gateway_ns: self.gateway_ns.saturating_sub(before.gateway_ns),
            written: self.written.saturating_sub(before.written),
        }
    }
}

impl Server {
    pub(super) async fn start(kind: Kind, site: &Site<'_>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix(kind.name()).tempdir_in(site.folder);
        let folder = folder.context("creating a directory")?;
        let at = folder.path().to_owned();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, site.fakes.broker));
        let mut server = Self { kind, address, children: Vec::new(), folder };
        match kind {
            Kind::Manager => server.manager(&at, site).await?,
            Kind::Nginx => {
                let conf = |at: &Path, port| nginx(at, port, site.fakes);
                server.relay(&at, &["nginx", "-c"], conf).await?;
            }
            Kind::Haproxy => {
                let conf = |at: &Path, port| haproxy(at, port, site.fakes);
                server.relay(&at, &["haproxy", "-f"], conf).await?;
            }
            Kind::Direct => {}
        }
        Ok(server)
    }

    /// What its processes, and theirs, have used.
    pub(super) fn used(&self) -> Used {
        let cpu = |processes: &[u32]| -> u64 {
            processes.iter().map(|process| process::cpu_of_all_threads(*process)).sum()
        };
        let processes = self.processes();
        let gateway = if self.kind == Kind::Manager { processes.get(..1) } else { None };
        Used {
            cpu_ns: cpu(&processes),
            gateway_ns: cpu(gateway.unwrap_or_default()),
            written: processes.iter().map(|process| process::written(*process)).sum(),
        }
    }

    /// Resident memory of its processes.
    pub(super) fn rss_kib(&self) -> u64 {
        self.processes().iter().map(|process| process::rss_kib(*process)).sum()
    }

    /// Number of sessions of the Connection Manager; other servers have none.
    pub(super) fn sessions(&self) -> anyhow::Result<usize> {
        if self.kind != Kind::Manager {
            return Ok(0);
        }
        let run = self.folder.path().join("run");
        let status = socket::get::<Status>(&run, Role::Cm, "/status", Duration::from_secs(5));
        Ok(status.context("reading the status")?.sessions)
    }

    fn processes(&self) -> Vec<u32> {
        self.children.iter().flat_map(|child| family(child.id())).collect()
    }

    async fn manager(&mut self, at: &Path, site: &Site<'_>) -> anyhow::Result<()> {
        for name in ["run", "cm-data", "sg-data", "cm-logs", "sg-logs"] {
            fs::create_dir(at.join(name)).with_context(|| format!("creating `{name}`"))?;
        }
        let &Site { binaries, log_level, .. } = site;
        let common = common_conf(at, log_level);
        let gateway = format!(
            "{}MaxConnections = 5000\nListenAddress = 127.0.0.1:0\n\
             UdpSourceAddress = 127.0.0.1:0\nAnnouncedSeconds = 2\n\
             JwtVerifyingCertificate = {}/jwt.crt\n",
            common.replace("ROLE", "sg"),
            above(at)
        );
        self.role(binaries, at, Role::Sg, &gateway).await?;
        let Fakes { broker, agents, certificate } = site.fakes;
        // Clients of the part `memory` keep a connection without a request for a minute.
        let manager = format!(
            "{}MaxConnections = 12000\nListenAddress = 127.0.0.1:0\nHttpListenAddress = off\n\
             HttpHeadSeconds = 600\nAgentPort = {agents}\n\
             PcoipAddress = https://localhost:{broker}\nBrokerCertPin = sha256:{certificate}\n\
             JwtSigningKey = {}/jwt.key\n",
            common.replace("ROLE", "cm"),
            above(at)
        );
        self.address = self.role(binaries, at, Role::Cm, &manager).await?;
        Ok(())
    }

    /// Starts a role, and returns the address on which it listens for clients.
    async fn role(
        &mut self,
        binaries: &Binaries,
        at: &Path,
        role: Role,
        conf: &str,
    ) -> anyhow::Result<SocketAddr> {
        let path = at.join(format!("{}.conf", role.command()));
        write(&path, conf)?;
        let daemon = binaries.path("pcoip-cmsgd");
        let mut command = pinned(&daemon.to_string_lossy());
        command.arg(role.command()).arg("--config").arg(path);
        command.args(["--supervised-by", &std::process::id().to_string()]);
        self.spawn(command, at)?;
        let run = at.join("run");
        for _ in 0..POLLS {
            let asked = socket::get::<Status>(&run, role, "/status", Duration::from_secs(5));
            if let Ok(status) = asked.map_err(drop).and_then(|it| it.ready.then_some(it).ok_or(()))
            {
                let mut listens = status.listens.into_iter();
                let listen = listens.find(|it| ["broker", "pcoip"].contains(&it.key.as_str()));
                return Ok(listen.context("the service does not listen")?.address);
            }
            sleep(POLL).await;
        }
        let output = fs::read_to_string(at.join(format!("output-{}", self.children.len() - 1)));
        bail!("`{}` is not ready: {}", role.command(), output.unwrap_or_default().trim())
    }

    async fn relay(
        &mut self,
        at: &Path,
        command: &[&str; 2],
        conf: impl FnOnce(&Path, u16) -> String,
    ) -> anyhow::Result<()> {
        // The port is free again when the listener is dropped.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
        let path = at.join("conf");
        write(&path, &conf(at, port))?;
        let mut relay = pinned(command[0]);
        relay.arg(command[1]).arg(path);
        self.spawn(relay, at)?;
        self.address.set_port(port);
        for _ in 0..POLLS {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            sleep(POLL).await;
        }
        let output = fs::read_to_string(at.join("output-0")).unwrap_or_default();
        bail!("`{}` does not listen: {}", command[0], output.trim())
    }

    fn spawn(&mut self, mut command: Command, at: &Path) -> anyhow::Result<()> {
        let path: PathBuf = at.join(format!("output-{}", self.children.len()));
        let output = File::create(path).context("creating a file for output")?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        self.children.push(command.spawn().context("starting a server")?);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            for process in family(child.id()) {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(process.cast_signed()),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
            let _ = child.wait();
        }
    }
}

/// A process and its children.
fn family(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|number| number.parse().ok());
    [process].into_iter().chain(children).collect()
}

fn pinned(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &SERVERS.to_string(), program]);
    command
}

/// The directory with the certificates.
fn above(at: &Path) -> String {
    at.parent().unwrap_or(at).display().to_string()
}

fn common_conf(at: &Path, log_level: &str) -> String {
    let (site, at) = (above(at), at.display());
    format!(
        "SslCertificate = {site}/tls.crt\nSslKey = {site}/tls.key\nRunDirectory = {at}/run\n\
         DataDirectory = {at}/ROLE-data\nLogDirectory = {at}/ROLE-logs\nLogLevel = {log_level}\n\
         ExternalRoutableIP = 127.0.0.1\nAllowedAgents = 127.0.0.0/8\n"
    )
}

fn nginx(at: &Path, port: u16, fakes: &Fakes) -> String {
    let (site, at) = (above(at), at.display());
    format!(
        "daemon off;\nworker_processes 1;\npid {at}/pid;\nerror_log {at}/error.log;\n\
         events {{ worker_connections 15000; }}\nhttp {{\n\
         access_log {at}/access.log;\nclient_body_temp_path {at}/body;\n\
         proxy_temp_path {at}/proxy;\nfastcgi_temp_path {at}/fastcgi;\nuwsgi_temp_path {at}/uwsgi;\n\
         scgi_temp_path {at}/scgi;\n\
         upstream broker {{ server 127.0.0.1:{broker}; keepalive 64; keepalive_requests 1000000; }}\n\
         server {{ listen 127.0.0.1:{port} ssl;\nssl_certificate {site}/tls.crt;\n\
         ssl_certificate_key {site}/tls.key;\nssl_protocols TLSv1.2 TLSv1.3;\n\
         ssl_session_cache shared:tls:10m;\nkeepalive_requests 1000000;\nkeepalive_timeout 600;\nkeepalive_disable none;\nlocation / {{\n\
         proxy_pass https://broker;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
         proxy_set_header X-Forwarded-For $remote_addr;\n}} }} }}\n",
        broker = fakes.broker,
    )
}

fn haproxy(at: &Path, port: u16, fakes: &Fakes) -> String {
    let site = above(at);
    let pem = at.join("tls.pem");
    let read = |name: &str| fs::read_to_string(format!("{site}/{name}")).unwrap_or_default();
    // HAProxy reads the certificate and the key from one file.
    let _ = write(&pem, &format!("{}{}", read("tls.crt"), read("tls.key")));
    format!(
        "global\n  nbthread 1\n  maxconn 9000\n  tune.ssl.default-dh-param 2048\n\
         defaults\n  mode http\n  timeout connect 30s\n  timeout client 600s\n  timeout server 60s\n\
         \x20 option forwardfor\n  http-reuse always\n\
         frontend clients\n  bind 127.0.0.1:{port} ssl crt {} alpn http/1.1\n\
         \x20 default_backend broker\n\
         backend broker\n  server broker 127.0.0.1:{} ssl verify none pool-max-conn 64\n",
        pem.display(),
        fakes.broker,
    )
}

/// Polls within twenty seconds.
const POLLS: u32 = 200;
const POLL: Duration = Duration::from_millis(100);
