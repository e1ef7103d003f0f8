//! Both services from one daemon, with a simulated broker and agent, on free loopback ports and in
//! a temporary directory. The services are started without the installer, so that older daemons can
//! be measured.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use cmsg_config::socket::{self, Role, Status};
use pcoip_sim::{
    client::{Endpoint, Options, SessionOptions},
    credentials::Credentials,
    tls::Trust,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{binaries::Binaries, demo::children::Simulator};

const USER: &str = "amelia";
const PASSWORD: &str = "correct horse";
const DOMAIN: &str = "example.com";
const PASSCODE: &str = "123456";

/// The programs and settings of a site.
pub(super) struct Plan {
    pub(super) binaries: Binaries,
    pub(super) daemon: PathBuf,
}

/// A running site; dropping it stops everything and removes its directory.
pub(super) struct Site {
    pub(super) manager: Service,
    pub(super) gateway: Service,
    _simulators: [Simulator; 2],
    folder: TempDir,
}

pub(super) struct Service {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) logs: PathBuf,
}

impl Site {
    /// Starts the site, with this `MaxConnections` of the Connection Manager.
    pub(super) async fn start(plan: &Plan, max_connections: u32) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pcoip-bench-").tempdir();
        let folder = folder.context("creating a temporary directory")?;
        let at = folder.path();
        for name in ["run", "cm-data", "sg-data", "cm-logs", "sg-logs"] {
            fs::create_dir(at.join(name)).with_context(|| format!("making `{name}`"))?;
        }
        make_keys(at)?;
        let (agent, agent_ready) = agent(plan, at)?;
        let (broker, broker_ready) = broker(plan, at, &agent_ready)?;
        let gateway = Service::start(plan, at, Role::Sg, &gateway_conf(at)).await?;
        let peers = Peers {
            gateway: gateway.address.port(),
            agent: address(&agent_ready["https"])?.port(),
            broker: address(&broker_ready["address"])?.port(),
            broker_pin: broker_ready["certificate_sha256"].as_str().unwrap_or_default(),
        };
        let conf = manager_conf(at, &peers, max_connections);
        let manager = Service::start(plan, at, Role::Cm, &conf).await?;
        Ok(Self { manager, gateway, _simulators: [broker, agent], folder })
    }

    /// A user's client with this source address.
    pub(super) fn client(&self, source: IpAddr) -> Options {
        let address = self.manager.address;
        Options {
            connect: Endpoint { host: address.ip().to_string(), port: address.port() },
            trust: Trust::Any,
            credentials: Credentials {
                user: USER.to_owned(),
                password: PASSWORD.into(),
                domain: DOMAIN.to_owned(),
            },
            passcode: Some(PASSCODE.into()),
            session: SessionOptions {
                datagrams: 5,
                source: Some(source),
                ..SessionOptions::default()
            },
        }
    }

    /// The SPIs of client and agent in the session whose datagrams the agent received last.
    pub(super) async fn last_spis(&self) -> anyhow::Result<[u32; 2]> {
        for _ in 0..START_POLLS {
            let events = fs::read_to_string(self.folder.path().join("agent.events"));
            let events = events.context("reading the simulated agent's events")?;
            let spis = events.lines().rev().find_map(|line| {
                let event: Value = serde_json::from_str(line).ok()?;
                let spi = |name| u32::from_str_radix(event[name].as_str()?, 16).ok();
                Some([spi("spi")?, spi("answer_spi")?])
            });
            if let Some(spis) = spis {
                return Ok(spis);
            }
            sleep(POLL).await;
        }
        bail!("the simulated agent saw no datagram")
    }
}

impl Service {
    async fn start(plan: &Plan, at: &Path, role: Role, conf: &str) -> anyhow::Result<Self> {
        let name = role.command();
        let path = at.join(format!("{name}.conf"));
        write(&path, conf)?;
        let errors = at.join(format!("{name}.errors"));
        let child = Command::new(&plan.daemon)
            .arg(name)
            .arg("--config")
            .arg(&path)
            // The service must exit if this process is killed.
            .args(["--supervised-by", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors).context("creating a file for a service")?)
            .spawn()
            .with_context(|| format!("starting `{}`", plan.daemon.display()))?;
        let logs = at.join(if role == Role::Cm { "cm-logs" } else { "sg-logs" });
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut service = Self { child, address, logs };
        service.address = service.listening(at, role, &errors).await?;
        Ok(service)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the service listens, and returns its address.
    async fn listening(
        &mut self,
        at: &Path,
        role: Role,
        errors: &Path,
    ) -> anyhow::Result<SocketAddr> {
        let run = at.join("run");
        for _ in 0..START_POLLS {
            if let Some(status) = self.child.try_wait()? {
                let errors = fs::read_to_string(errors)?;
                bail!("`{}` ended with {status}: {}", role.command(), errors.trim());
            }
            if let Ok(status) = socket::get::<Status>(&run, role, "/status", Duration::from_secs(5))
            {
                let listens = status.listens.iter();
                let mut tcp = listens.filter(|l| ["broker", "pcoip"].contains(&l.key.as_str()));
                return Ok(tcp.next().context("the service does not listen")?.address);
            }
            sleep(POLL).await;
        }
        bail!("`{}` does not start", role.command())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A graceful shutdown would wait for the attackers' requests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Addresses of the simulators, for the Connection Manager.
struct Peers<'a> {
    gateway: u16,
    agent: u16,
    broker: u16,
    broker_pin: &'a str,
}

fn gateway_conf(at: &Path) -> String {
    let common = common_conf(at, "sg");
    format!("{common}ListenAddress = 127.0.0.1:0\nUdpSourceAddress = 127.0.0.1:0\n")
}

fn manager_conf(at: &Path, peers: &Peers<'_>, max_connections: u32) -> String {
    let Peers { gateway, agent, broker, broker_pin } = peers;
    let common = common_conf(at, "cm");
    format!(
        "{common}ListenAddress = 127.0.0.1:0\nHttpListenAddress = off\n\
         ExternalPort = {gateway}\nAgentPort = {agent}\n\
         PcoipAddress = https://localhost:{broker}\nBrokerCertPin = sha256:{broker_pin}\n\
         MaxConnections = {max_connections}\n",
    )
}

fn common_conf(at: &Path, role: &str) -> String {
    let key = match role {
        "cm" => "JwtSigningKey = AT/jwt.key",
        _ => "JwtVerifyingCertificate = AT/jwt.crt",
    };
    format!(
        "{key}\nSslCertificate = AT/cmsg.crt\nSslKey = AT/cmsg.key\nRunDirectory = AT/run\n\
         DataDirectory = AT/{role}-data\nLogDirectory = AT/{role}-logs\n\
         ExternalRoutableIP = 127.0.0.1\nAllowedAgents = 127.0.0.0/8\n",
    )
    .replace("AT/", &format!("{}/", at.display()))
}

fn agent(plan: &Plan, at: &Path) -> anyhow::Result<(Simulator, Value)> {
    let mut agent = plan.binaries.command("pcoip-sim");
    agent.args(["agent", "--listen", "127.0.0.1:0", "--pcoip-listen", "127.0.0.1:0"]);
    Simulator::start(agent, "the simulated agent", at.join("agent.events"))
}

fn broker(plan: &Plan, at: &Path, agent: &Value) -> anyhow::Result<(Simulator, Value)> {
    let mut broker = plan.binaries.command("pcoip-sim");
    broker.args(["broker", "--listen", "127.0.0.1:0", "--agent-ip", "127.0.0.1"]);
    broker.args(["--agent-pcoip-port", &address(&agent["pcoip"])?.port().to_string()]);
    broker.args(["--user", USER, "--domain", DOMAIN, "--passcode", PASSCODE]);
    broker.env("PCOIP_SIM_PASSWORD", PASSWORD);
    Simulator::start(broker, "the simulated broker", at.join("broker.events"))
}

fn address(printed: &Value) -> anyhow::Result<SocketAddr> {
    let address = printed.as_str().and_then(|text| text.parse().ok());
    address.with_context(|| format!("`{printed}` is not an address"))
}

fn make_keys(at: &Path) -> anyhow::Result<()> {
    for name in ["cmsg", "jwt"] {
        let key = KeyPair::generate().context("making a key")?;
        let parameters = CertificateParams::new(["localhost".to_owned()]);
        let signed = parameters.and_then(|parameters| parameters.self_signed(&key));
        write(&at.join(format!("{name}.crt")), &signed.context("making a certificate")?.pem())?;
        write(&at.join(format!("{name}.key")), &key.serialize_pem())?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing `{}`", path.display()))
}

/// Polls within twenty seconds, enough for a busy machine.
const START_POLLS: u32 = 200;
const POLL: Duration = Duration::from_millis(100);
