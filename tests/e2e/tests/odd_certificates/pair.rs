//! Additional roles for a site's broker and agent, with their own configuration.

use std::net::SocketAddr;

use cmsg_config::{ConfFile, ConnectionManager, SecurityGateway, socket::Listen};
use pcoip_cmsgd::{connection_manager, security_gateway};
use pcoip_sim::{
    broker::Broker,
    client::{Endpoint, Options},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use e2e::site::Site;

/// A Connection Manager, with or without a Security Gateway.
pub(crate) struct Pair {
    /// Where clients reach the Connection Manager.
    pub(crate) connection_manager: SocketAddr,
    /// The unix sockets are in it.
    _run: TempDir,
    shutdown: CancellationToken,
    roles: Vec<JoinHandle<()>>,
}

impl Pair {
    /// A Connection Manager without a gateway.
    pub(crate) async fn manager(site: &Site, broker: &Broker, conf: &str) -> Self {
        let run = tempfile::tempdir().expect("a temporary folder can be made");
        let conf = format!("SecurityGatewayEnabled = false\n{conf}");
        Self::start(site, broker, run, &conf).await
    }

    /// Both roles, with additional lines in the configuration of each.
    pub(crate) async fn both(site: &Site, broker: &Broker, conf: &str, gateway: &str) -> Self {
        let run = tempfile::tempdir().expect("a temporary folder can be made");
        let text = format!(
            "{}{OWN_GATEWAY}\nListenAddress = 127.0.0.1:0\nUdpSourceAddress = 127.0.0.1:0\n{gateway}",
            common(site, &run),
        );
        let read = SecurityGateway::read(&ConfFile::parse(&text)).expect("its keys are right");
        let gateway = security_gateway::bind(read.value).await.expect("the gateway binds");
        let port = listen(&gateway.listens(), "pcoip").port();

        let conf = format!("{OWN_GATEWAY}\nExternalPort = {port}\n{conf}");
        let mut pair = Self::start(site, broker, run, &conf).await;
        let shutdown = pair.shutdown.clone();
        let serving = async move { gateway.serve(shutdown).await.expect("the gateway serves") };
        pair.roles.push(tokio::spawn(serving));
        pair
    }

    async fn start(site: &Site, broker: &Broker, run: TempDir, conf: &str) -> Self {
        let text = format!(
            "{}ListenAddress = 127.0.0.1:0\nHttpListenAddress = off\nAgentPort = {}\n\
             PcoipAddress = https://localhost:{}\n{conf}",
            common(site, &run),
            site.agent.https.port(),
            broker.address.port(),
        );
        let read = ConnectionManager::read(&ConfFile::parse(&text)).expect("its keys are right");
        let manager = connection_manager::bind(read.value).await.expect("the manager binds");
        let connection_manager = listen(&manager.listens(), "broker");
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let serving = async move { manager.serve(stop).await.expect("the manager serves") };
        Self { connection_manager, _run: run, shutdown, roles: vec![tokio::spawn(serving)] }
    }

    /// The site's client for this Connection Manager.
    pub(crate) fn client(&self, site: &Site) -> Options {
        let (ip, port) = (self.connection_manager.ip(), self.connection_manager.port());
        Options { connect: Endpoint { host: ip.to_string(), port }, ..site.client() }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        for role in self.roles {
            role.await.expect("a role ends well");
        }
    }
}

const OWN_GATEWAY: &str = "ExternalRoutableIP = 127.0.0.1";

/// The keys are the site's.
fn common(site: &Site, run: &TempDir) -> String {
    let (keys, run) = (site.run().display(), run.path().display());
    format!(
        "SslCertificate = {keys}/cmsg.crt\nSslKey = {keys}/cmsg.key\n\
         JwtSigningKey = {keys}/jwt.key\nJwtVerifyingCertificate = {keys}/jwt.crt\n\
         DataDirectory = {run}\nRunDirectory = {run}\nLogDirectory = {run}\n\
         AllowedAgents = 127.0.0.0/8\nAllowedAgents = ::1\n"
    )
}

fn listen(listens: &[Listen], key: &str) -> SocketAddr {
    let listen = listens.iter().find(|listen| listen.key == key);
    listen.expect("the role tells every listener").address
}
