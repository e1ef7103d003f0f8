//! The services on their hosts, started without the installer.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use cmsg_config::socket::{self, Role, Status};
use jsonwebtoken::EncodingKey;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use sha2::{Digest as _, Sha256};

use super::between::RESUME;
use super::network::{Network, OUTSIDE, PEERS, SECOND_AGENT, SHARED, Side};
use crate::{
    bench::sg::{janitor::Janitor, site::write},
    binaries::Binaries,
};

/// The host of the Connection Manager.
pub(super) const MANAGER: u8 = 1;
/// The gateways. The first two share addresses.
pub(super) const GATEWAYS: [u8; 3] = [2, 3, 4];

/// Last numbers of the agents' addresses.
const AGENTS: [u8; 2] = [OUTSIDE, SECOND_AGENT];

/// How long to wait for a unix socket.
const ASK: Duration = Duration::from_secs(2);

/// Longer than any service takes to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// What differs between the sites of different faults.
pub(super) struct Setup {
    /// What agents require, by the name of the simulator's option.
    pub(super) agents: String,
    /// Whether the clock of the second gateway is a minute behind.
    pub(super) is_second_behind: bool,
    /// Whether the third gateway has no peers, as one of an earlier version.
    pub(super) is_third_former: bool,
    /// Whether keepalived sends no multicast packets.
    pub(super) is_unicast: bool,
    /// Whether sessions end soon after their clients.
    pub(super) is_churning: bool,
}

pub(super) struct Site {
    pub(super) network: Network,
    folder: PathBuf,
    binaries: Binaries,
    setup: Setup,
    services: Vec<(u8, Child)>,
    others: Vec<Child>,
}

impl Site {
    /// Starts broker, agents, the Connection Manager, three gateways and keepalived.
    pub(super) fn start(
        janitor: &Janitor,
        binaries: Binaries,
        setup: Setup,
    ) -> anyhow::Result<Self> {
        let folder = crate::bench::sg::site::make(janitor)?;
        let hosts = [[MANAGER].as_slice(), &GATEWAYS].concat();
        let network = Network::make(janitor, &hosts)?;
        let (services, others) = (Vec::new(), Vec::new());
        let mut site = Self { network, folder, binaries, setup, services, others };
        site.configure()?;
        site.simulate()?;
        for gateway in GATEWAYS {
            site.serve(gateway)?;
        }
        for gateway in &GATEWAYS[..2] {
            site.keepalived(*gateway)?;
        }
        site.until("the first gateway has the shared address", |site| site.holds(GATEWAYS[0]))?;
        site.serve(MANAGER)?;
        site.until("all gateways have heard each other", Self::is_joined)?;
        Ok(site)
    }

    /// Kills the service of a host.
    pub(super) fn kill(&mut self, host: u8) -> anyhow::Result<()> {
        let at = self.services.iter().position(|(other, _)| *other == host);
        let (_, mut child) = self.services.remove(at.context("the service does not run")?);
        child.kill().context("killing a service")?;
        child.wait().context("waiting for a killed service").map(drop)
    }

    /// Lets a gateway refuse new sessions.
    pub(super) fn drain(&self, gateway: u8) -> anyhow::Result<()> {
        socket::tell(&self.run(gateway), Role::Sg, "/drain", ASK).context("draining a gateway")
    }

    /// Sends a signal to the service of a host.
    pub(super) fn signal(&self, host: u8, signal: Signal) -> anyhow::Result<()> {
        let child = self.services.iter().find(|(other, _)| *other == host);
        let (_, child) = child.context("the service does not run")?;
        kill(Pid::from_raw(child.id().try_into()?), signal).context("sending a signal")
    }

    /// Starts the service of a host, and waits until it answers.
    pub(super) fn serve(&mut self, host: u8) -> anyhow::Result<()> {
        let daemon = self.binaries.path("pcoip-cmsgd");
        let (role, name) = match host {
            MANAGER => (Role::Cm, "connection-manager"),
            _ => (Role::Sg, "security-gateway"),
        };
        let mut command = if host == GATEWAYS[1] && self.setup.is_second_behind {
            self.network.late(host, &daemon)?
        } else {
            self.network.on(host, &daemon.to_string_lossy())
        };
        command.args([name, "--config"]).arg(self.at(host).join("service.conf"));
        let log = || File::options().create(true).append(true).open(self.at(host).join("output"));
        command.stdout(log()?).stderr(log()?);
        self.services.push((host, command.spawn().context("starting a service")?));
        self.until("a service answers", |site| site.status(host, role).is_some())
    }

    /// Whether a host has the address for clients that it shares.
    pub(super) fn holds(&self, host: u8) -> bool {
        let mut command = self.network.on(host, "ip");
        command.args(["-o", "address", "show", "dev", "wan"]);
        let shown = command.output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&shown).contains(&format!("{}/", Side::Wan.address(SHARED)))
    }

    pub(super) fn status(&self, host: u8, role: Role) -> Option<Status> {
        socket::get(&self.run(host), role, "/status", ASK).ok()
    }

    /// A command for clients.
    pub(super) fn client(&self) -> std::process::Command {
        let program = self.binaries.path("pcoip-sim");
        let mut command = self.network.at(Side::Wan, &program.to_string_lossy());
        command.arg("client");
        command.args(["--connect", &format!("https://{}", Side::Wan.address(MANAGER))]);
        command.args(["--user", "u", "--password", "p", "--domain", "example.com"]);
        command.args(["--passcode", "123456", "--datagrams", "20", "--datagram-bytes", "200"]);
        command
    }

    /// The directory of a host's unix socket.
    pub(super) fn run(&self, host: u8) -> PathBuf {
        self.at(host).join("run")
    }

    /// The key that signs grants.
    pub(super) fn signing_key(&self) -> anyhow::Result<EncodingKey> {
        let pem = fs::read(self.folder.join("jwt.key")).context("reading the signing key")?;
        EncodingKey::from_ec_pem(&pem).context("reading the signing key")
    }

    /// Removes the journals of a gateway that does not run.
    pub(super) fn forget(&self, host: u8) -> anyhow::Result<()> {
        for name in ["security-gateway.journal", "security-gateway.standby"] {
            fs::remove_file(self.at(host).join("data").join(name)).context("removing a journal")?;
        }
        Ok(())
    }

    /// What the agents reported: one JSON document a line.
    pub(super) fn agent_events(&self) -> Vec<serde_json::Value> {
        let read = |agent| fs::read_to_string(self.folder.join(format!("agent{agent}.events")));
        let texts = AGENTS.map(|agent| read(agent).unwrap_or_default());
        let lines = texts.iter().flat_map(|text| text.lines());
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Number of lines with this text in the logs of a host's service.
    pub(super) fn logged(&self, host: u8, text: &str) -> anyhow::Result<usize> {
        let mut count = 0;
        for entry in fs::read_dir(self.at(host).join("logs")).context("listing logs")? {
            let log = fs::read_to_string(entry?.path()).context("reading a log")?;
            count += log.lines().filter(|line| line.contains(text)).count();
        }
        Ok(count)
    }

    /// Addresses of the gateways for clients.
    pub(super) fn addresses() -> impl Iterator<Item = String> {
        [SHARED, GATEWAYS[2]].into_iter().map(|host| Side::Wan.address(host))
    }

    fn at(&self, host: u8) -> PathBuf {
        self.folder.join(format!("h{host}"))
    }

    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if Instant::now() > deadline {
                bail!("in vain: {what}; see `{}`", self.folder.display());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn is_joined(&self) -> bool {
        let with_peers = if self.setup.is_third_former { 2 } else { 3 };
        let has_heard = |gateway: &u8| {
            let failover = self.status(*gateway, Role::Sg).and_then(|status| status.failover);
            failover.is_some_and(|failover| failover.peers.iter().all(|peer| peer.heard))
        };
        let manager = self.status(MANAGER, Role::Cm).and_then(|status| status.unserved);
        let is_ready =
            manager.is_some_and(|unserved| unserved.gateways.iter().all(|it| it.takes_sessions));
        is_ready && GATEWAYS[..with_peers].iter().all(has_heard)
    }

    fn configure(&self) -> anyhow::Result<()> {
        let mut pins = Vec::new();
        for host in [[MANAGER].as_slice(), &GATEWAYS].concat() {
            for name in ["", "run", "data", "logs"] {
                fs::create_dir(self.at(host).join(name)).context("making a folder")?;
            }
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            write(&self.at(host).join("data/peer.key"), &key.serialize_pem())?;
            let digest = Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&key));
            let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            pins.push((host, format!("sha256:{digits}")));
        }
        write(&self.at(MANAGER).join("service.conf"), &self.manager_conf())?;
        for gateway in GATEWAYS {
            let conf = self.gateway_conf(gateway, &pins);
            write(&self.at(gateway).join("service.conf"), &conf)?;
        }
        Ok(())
    }

    fn common_conf(&self, host: u8) -> String {
        let (at, site) = (self.at(host), self.folder.display());
        let at = at.display();
        format!(
            "SslCertificate = {site}/tls.crt\nSslKey = {site}/tls.key\nRunDirectory = {at}/run\n\
             DataDirectory = {at}/data\nLogDirectory = {at}/logs\nLogLevel = info\n"
        )
    }

    fn manager_conf(&self) -> String {
        let shared = Side::Wan.address(SHARED);
        let [first, second, third] = GATEWAYS.map(|gateway| Side::Wan.address(gateway));
        format!(
            "{}PcoipAddress = https://{}\nBrokerCertCheck = off\nAgentCertCheck = off\n\
             SecurityGatewayEnabled = false\nJwtSigningKey = {}/jwt.key\n\
             ListenAddress = 0.0.0.0:443\nHttpListenAddress = off\n\
             ExternalSecurityGateway = {shared}\nExternalSecurityGateway = {third}\n\
             ExternalSecurityGatewayControl = {shared}={first}:443\n\
             ExternalSecurityGatewayControl = {shared}={second}:443\n\
             ExternalSecurityGatewayPin = {shared}={pin}\n\
             ExternalSecurityGatewayPin = {third}={pin}\n",
            self.common_conf(MANAGER),
            Side::Lan.address(OUTSIDE),
            self.folder.display(),
            pin = certificate_pin(&self.folder.join("tls.crt")),
        )
    }

    fn gateway_conf(&self, gateway: u8, pins: &[(u8, String)]) -> String {
        let shares = gateway != GATEWAYS[2];
        let own = if shares { SHARED } else { gateway };
        let mut conf = format!(
            "{}ExternalRoutableIP = {}\nListenAddress = 0.0.0.0:4172\n\
             UdpSourceAddress = {}:55000\nHttpsListenAddress = {}:443\nAgentCertCheck = off\n\
             JwtVerifyingCertificate = {}/jwt.crt\n",
            self.common_conf(gateway),
            Side::Wan.address(own),
            Side::Lan.address(own),
            Side::Wan.address(gateway),
            self.folder.display(),
        );
        if self.setup.is_churning {
            conf += &format!("ResumeSeconds = {RESUME}\nUdpIdleSeconds = {RESUME}\n");
        }
        if self.setup.is_third_former && !shares {
            return conf;
        }
        conf += &format!(
            "GatewayId = {gateway}\nPeerListenAddress = {}:{PEERS}\nSharedAddress = {}\n\
             SharedAddress = {}\n",
            Side::Lan.address(gateway),
            Side::Wan.address(SHARED),
            Side::Lan.address(SHARED),
        );
        let former = self.setup.is_third_former.then_some(GATEWAYS[2]);
        for (other, pin) in pins {
            if GATEWAYS.contains(other) && *other != gateway && Some(*other) != former {
                conf += &format!("Peer = {other}@{}:{PEERS}={pin}\n", Side::Lan.address(*other));
            }
        }
        conf
    }

    fn simulate(&mut self) -> anyhow::Result<()> {
        let program = self.binaries.path("pcoip-sim");
        let program = program.to_string_lossy();
        let mut broker = self.network.at(Side::Lan, &program);
        let own = Side::Lan.address(OUTSIDE);
        broker.args(["broker", "--stay", "--listen", &format!("{own}:443"), "--agent-host", &own]);
        broker.args(AGENTS.iter().flat_map(|it| ["--agent-ip".to_owned(), Side::Lan.address(*it)]));
        broker.stdout(Stdio::null());
        self.others.push(broker.spawn().context("starting the simulated broker")?);
        for agent in AGENTS {
            let own = Side::Lan.address(agent);
            let mut command = self.network.at(Side::Lan, &program);
            command.args(["agent", "--stay", "--requires", &self.setup.agents]);
            command.args(["--listen", &format!("{own}:60443")]);
            command.args(["--pcoip-listen", &format!("{own}:4172")]);
            command.stdout(File::create(self.folder.join(format!("agent{agent}.events")))?);
            self.others.push(command.spawn().context("starting a simulated agent")?);
        }
        Ok(())
    }

    /// Starts keepalived with the example of the documentation.
    fn keepalived(&mut self, gateway: u8) -> anyhow::Result<()> {
        let at = self.at(gateway);
        let script = at.join("check-gateway");
        write(&script, CHECK)?;
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let priority = if gateway == GATEWAYS[0] { "150" } else { "100" };
        let mut conf = CONF
            .replace("/etc/keepalived/check-gateway", &script.to_string_lossy())
            .replace("/opt/teradici/pcoipcm_data/run", &at.join("run").to_string_lossy())
            .replace("priority 100", &format!("priority {priority}"));
        if self.setup.is_unicast {
            conf = conf.replace("# unicast", "unicast").replace("#     ", "").replace("# }", "}");
        }
        let other = if gateway == GATEWAYS[0] { GATEWAYS[1] } else { GATEWAYS[0] };
        for (side, name, net) in [(Side::Wan, "eth0", "203.0.113"), (Side::Lan, "eth1", "10.0.0")] {
            conf = conf.replace(name, side.name());
            for (example, host) in [("100", SHARED), ("11", gateway), ("12", other)] {
                conf = conf.replace(&format!("{net}.{example}"), &side.address(host));
            }
        }
        write(&at.join("keepalived.conf"), &conf)?;
        let mut command = self.network.on(gateway, "keepalived");
        command.args(["--dont-fork", "--log-console", "--vrrp", "--use-file"]);
        command.arg(at.join("keepalived.conf"));
        for (option, name) in [("--pid", "keepalived.pid"), ("--vrrp_pid", "vrrp.pid")] {
            command.arg(option).arg(at.join(name));
        }
        let log = || File::options().create(true).append(true).open(at.join("keepalived.log"));
        command.stdout(log()?).stderr(log()?);
        self.others.push(command.spawn().context("starting keepalived")?);
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let services = self.services.iter_mut().map(|(_, child)| child);
        for child in services.chain(&mut self.others) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The example configuration and its script, as the documentation shows them.
const CONF: &str = include_str!("../../../../docs/examples/keepalived/keepalived.conf");
const CHECK: &str = include_str!("../../../../docs/examples/keepalived/check-gateway");

/// The SHA-256 of a certificate.
fn certificate_pin(file: &Path) -> String {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let certificate = CertificateDer::from_pem_file(file).map(|der| Sha256::digest(&der));
    let digits = certificate.into_iter().flatten().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", digits.collect::<String>())
}
