//! Both roles in this process on free loopback ports, with simulators.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use cmsg_config::{ConfFile, ConnectionManager, SecurityGateway, values::LogLevel};
use pcoip_cmsgd::{connection_manager, security_gateway};
use pcoip_sim::{
    agent, broker, client,
    credentials::Credentials,
    layout::Layout,
    tls::{CertificateKind, Trust},
};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::leaks::{Before, Place};
pub use log::Line;
use role::Role;

mod log;
mod role;

/// A Connection Manager, a Security Gateway, a broker and an agent.
pub struct Site {
    /// Where clients reach the Connection Manager.
    pub connection_manager: SocketAddr,
    /// Where clients reach the gateway.
    pub gateway: SocketAddr,
    /// Where the gateway's datagrams to agents come from.
    pub udp_source: SocketAddr,
    pub agent: agent::Agent,
    pub broker: broker::Broker,
    folder: TempDir,
    layout: Layout,
    manager: Role,
    /// `None` after it was stopped.
    gateway_role: Option<Role>,
    before: Before,
}

/// The differences of a site from the default.
pub struct Plan {
    /// How broker and agent lay their bytes out.
    pub layout: Layout,
    pub connection_manager: &'static str,
    pub security_gateway: &'static str,
    /// What both roles log.
    pub level: LogLevel,
}

impl Default for Plan {
    fn default() -> Self {
        let layout = Layout::default();
        Self { layout, connection_manager: "", security_gateway: "", level: LogLevel::Trace }
    }
}

impl Site {
    /// Starts everything; broker and agent lay their bytes out like this.
    ///
    /// # Panics
    ///
    /// If something does not start.
    pub async fn start(layout: Layout) -> Self {
        Self::planned(Plan { layout, ..Plan::default() }).await
    }

    /// Starts everything as planned.
    ///
    /// # Panics
    ///
    /// If something does not start.
    pub async fn planned(plan: Plan) -> Self {
        let before = Before::story();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let keys = Keys::make(folder.path());
        let agent = agent(plan.layout).await;
        let broker = broker(agent.pcoip.port()).await;

        let lines = plan.security_gateway;
        let text = format!("{}ExternalRoutableIP = 127.0.0.1\n{GATEWAY}{lines}\n", keys.conf());
        let gateway_role = Role::start(folder.path(), "pcoip-sg", plan.level, async move || {
            let conf = SecurityGateway::read(&ConfFile::parse(&text)).expect("it is right").value;
            security_gateway::bind(conf).await.expect("the gateway binds")
        })
        .await;
        let gateway = gateway_role.address("pcoip");

        let text = format!(
            "{}ExternalRoutableIP = 127.0.0.1\nExternalPort = {}\nAgentPort = {}\n\
             PcoipAddress = https://localhost:{}\nBrokerCertPin = sha256:{}\n\
             {CONNECTION_MANAGER}{}\n",
            keys.conf(),
            gateway.port(),
            agent.https.port(),
            broker.address.port(),
            broker.certificate_sha256,
            plan.connection_manager,
        );
        let manager = Role::start(folder.path(), "pcoip-connmgr", plan.level, async move || {
            let conf = ConnectionManager::read(&ConfFile::parse(&text)).expect("it is right").value;
            connection_manager::bind(conf).await.expect("the connection manager binds")
        })
        .await;

        Self {
            connection_manager: manager.address("broker"),
            gateway,
            udp_source: gateway_role.address("udp-source"),
            agent,
            broker,
            folder,
            layout: plan.layout,
            manager,
            gateway_role: Some(gateway_role),
            before,
        }
    }

    /// A client with the right credentials.
    #[must_use]
    pub fn client(&self) -> client::Options {
        client::Options {
            connect: client::Endpoint {
                host: self.connection_manager.ip().to_string(),
                port: self.connection_manager.port(),
            },
            trust: Trust::Any,
            credentials: credentials(),
            passcode: Some(PASSCODE.into()),
            session: client::SessionOptions {
                layout: self.layout,
                datagrams: 100,
                ..client::SessionOptions::default()
            },
        }
    }

    /// The folder of the unix sockets.
    #[must_use]
    pub fn run(&self) -> &Path {
        self.folder.path()
    }

    /// The Connection Manager's log so far.
    #[must_use]
    pub fn log(&self) -> Vec<Line> {
        log::read(self.manager.log())
    }

    /// The files of the logs of Connection Manager and gateway.
    ///
    /// # Panics
    ///
    /// If the gateway was stopped.
    #[must_use]
    pub fn log_files(&self) -> [PathBuf; 2] {
        let gateway = self.gateway_role.as_ref().expect("the gateway runs");
        [&self.manager, gateway].map(|role| role.log().to_owned())
    }

    /// Stops only the gateway.
    pub async fn stop_gateway(&mut self) {
        if let Some(gateway) = self.gateway_role.take() {
            gateway.stop().await;
        }
    }

    /// Stops everything, and checks that nothing is left.
    ///
    /// # Panics
    ///
    /// If a role ended in an error, or anything is left behind.
    pub async fn stop(mut self) {
        self.manager.stop().await;
        if let Some(gateway) = self.gateway_role.take() {
            gateway.stop().await;
        }
        self.broker.stop().await;
        self.agent.stop().await;
        drop((self.broker, self.agent));
        let addresses = [self.connection_manager, self.gateway, self.udp_source];
        let place = Place { addresses: &addresses, folder: self.folder, files: &FILES };
        self.before.is_back(place).await;
    }
}

/// The user of every site.
#[must_use]
pub fn credentials() -> Credentials {
    Credentials {
        user: "amelia".to_owned(),
        password: "correct horse".into(),
        domain: "example.com".to_owned(),
    }
}

/// Files that remain in the directory: the site's keys, the journals and the logs.
const FILES: [&str; 8] = [
    "cmsg.crt",
    "cmsg.key",
    "connection-manager.sessions",
    "jwt.crt",
    "jwt.key",
    "pcoip-connmgr_*.log",
    "pcoip-sg_*.log",
    "security-gateway.journal",
];

/// The second factor of every site.
pub const PASSCODE: &str = "123456";

const CONNECTION_MANAGER: &str = "ListenAddress = 127.0.0.1:0\nHttpListenAddress = off\n\
    AllowedAgents = 127.0.0.0/8\nAllowedAgents = ::1\n";
const GATEWAY: &str = "ListenAddress = 127.0.0.1:0\nUdpSourceAddress = 127.0.0.1:0\n\
    AllowedAgents = 127.0.0.0/8\nAllowedAgents = ::1\n";

/// An agent of every site's user.
///
/// # Panics
///
/// If it does not start.
pub async fn agent(layout: Layout) -> agent::Agent {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = agent::Options {
        listen: any,
        pcoip_listen: any,
        layout,
        transport_header: false,
        requires: agent::Requires::Nothing,
        expect: Some(credentials()),
    };
    agent::start(options).await.expect("the simulated agent starts")
}

/// A broker of every site's user, whose desktop is that agent on this host.
///
/// # Panics
///
/// If it does not start.
pub async fn broker(agent_pcoip: u16) -> broker::Broker {
    let options = broker::Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        certificate: CertificateKind::Plain,
        credentials: credentials(),
        passcode: PASSCODE.into(),
        resources: std::num::NonZeroU16::MIN,
        target: broker::Target {
            ips: vec![Ipv4Addr::LOCALHOST.into()],
            hostname: "localhost".to_owned(),
            port: agent_pcoip,
        },
    };
    broker::start(options).await.expect("the simulated broker starts")
}

/// The certificates and keys of a site.
struct Keys {
    folder: PathBuf,
}

impl Keys {
    fn make(folder: &Path) -> Self {
        let keys = Self { folder: folder.to_owned() };
        for (certificate, key) in [("cmsg.crt", "cmsg.key"), ("jwt.crt", "jwt.key")] {
            let pair = KeyPair::generate().expect("a key can be made");
            let params = CertificateParams::new(["localhost".to_owned()]).expect("it is a name");
            let signed = params.self_signed(&pair).expect("a certificate can be made");
            keys.write(certificate, &signed.pem());
            keys.write(key, &pair.serialize_pem());
        }
        keys
    }

    #[expect(clippy::disallowed_methods, reason = "nobody reads a test's key that is half written")]
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).expect("a file can be written");
    }

    fn conf(&self) -> String {
        let folder = self.folder.display();
        format!(
            "SslCertificate = {folder}/cmsg.crt\nSslKey = {folder}/cmsg.key\n\
             JwtSigningKey = {folder}/jwt.key\nJwtVerifyingCertificate = {folder}/jwt.crt\n\
             DataDirectory = {folder}\nRunDirectory = {folder}\nLogDirectory = {folder}\n"
        )
    }
}
