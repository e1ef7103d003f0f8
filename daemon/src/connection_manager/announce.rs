//! Gateways, told of every session that will come through them: the own one over its unix socket,
//! others over HTTPS, each announcement signed.

use std::{fs::File, net::IpAddr, os::fd::AsRawFd as _, time::Duration};

use anyhow::{Context as _, bail};
use cmsg_config::{connection_manager::ExternalGateway, socket::Role};
use cmsg_proto::{
    SessionTag,
    broker::redact,
    control::{AddConnection, Claims, PATH, Reply},
};
use reqwest::Client;
use zeroize::Zeroizing;

use super::{
    shared::random,
    trail::{GATEWAY, Trail, told},
    upstream,
};
use crate::{clock, tls::Trust, token::Signer};

/// Longest wait for a gateway: it only notes the session.
const WAIT: Duration = Duration::from_secs(5);

/// The gateways, in the order in which they are tried.
pub(super) struct Gateways {
    all: Vec<Gateway>,
    /// There wherever there is a gateway.
    signer: Option<Signer>,
}

/// One gateway.
struct Gateway {
    /// What clients are told, one a family at most.
    addresses: Vec<IpAddr>,
    client: Client,
    url: String,
    /// The client reaches the socket through this folder's descriptor.
    folder: Option<File>,
}

/// A gateway that waits for the client.
pub(super) struct Announced {
    /// Its public address.
    pub(super) address: IpAddr,
    /// The tag that the client shows it.
    pub(super) tag: SessionTag,
    /// The server name that the client sends it.
    pub(super) sni: String,
}

impl Gateways {
    pub(super) fn new(config: &cmsg_config::ConnectionManager) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        if !config.own_gateway.is_empty() {
            all.push(Gateway::own(config)?);
        }
        for external in &config.external_gateways {
            all.push(Gateway::external(config, external)?);
        }
        let signer =
            if all.is_empty() { None } else { Some(Signer::load(&config.jwt_signing_key)?) };
        Ok(Self { all, signer })
    }

    /// Tells the first gateway that takes the session of it. The client's own family of addresses
    /// is preferred.
    pub(super) async fn announce(
        &self,
        trail: &Trail,
        announcement: &AddConnection,
        client: IpAddr,
    ) -> Option<Announced> {
        for gateway in &self.all {
            if gateway.folder.is_some() {
                told!(info, trail, GATEWAY, "Local security gateway is enabled");
            }
            match self.tell(trail, gateway, announcement, client).await {
                Ok(announced) => return Some(announced),
                Err(error) => told!(
                    warn,
                    trail,
                    GATEWAY,
                    error = format!("{error:#}"),
                    "The gateway does not take the session"
                ),
            }
        }
        None
    }

    /// Whether sessions go straight to their agents.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    async fn tell(
        &self,
        trail: &Trail,
        gateway: &Gateway,
        announcement: &AddConnection,
        client: IpAddr,
    ) -> anyhow::Result<Announced> {
        let address = gateway.address_for(client).context("the gateway has no address")?;
        let claims = Claims::of(announcement, address, random()?, clock::wall());
        let signer = self.signer.as_ref().context("there is no signing key")?;
        let token = signer.sign(&claims)?;
        let document = Zeroizing::new(announcement.render());
        let sent = || redact::bytes(document.as_bytes());
        told!(info, trail, GATEWAY, "Sending request to security gateway: {}", sent());
        let request = gateway.client.post(&gateway.url).bearer_auth(token);
        let reply = upstream::send(request, document).await?;
        let got = || redact::bytes(&reply.body);
        told!(info, trail, GATEWAY, "Received response from security gateway: {}", got());
        let read = Reply::parse(&reply.body)
            .with_context(|| format!("reading its answer, status {}", reply.status.as_u16()))?;
        match read {
            Reply::Accepted { rtag, sg_sni } => Ok(Announced { address, tag: rtag, sni: sg_sni }),
            Reply::Refused { reason } => bail!("it refuses: {reason}"),
        }
    }
}

impl Gateway {
    fn own(config: &cmsg_config::ConnectionManager) -> anyhow::Result<Self> {
        let run = &config.run_directory;
        let folder = File::open(run).with_context(|| format!("opening `{}`", run.display()))?;
        let socket = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), Role::Sg.socket());
        let client = upstream::client(&Trust::Off, WAIT, |builder| builder.unix_socket(socket))?;
        Ok(Self {
            addresses: config.own_gateway.clone(),
            client,
            url: format!("http://localhost{PATH}"),
            folder: Some(folder),
        })
    }

    fn external(
        config: &cmsg_config::ConnectionManager,
        gateway: &ExternalGateway,
    ) -> anyhow::Result<Self> {
        let trust = upstream::trust(config, true, gateway.pin.into_iter().collect());
        Ok(Self {
            addresses: vec![gateway.address],
            client: upstream::client(&trust, WAIT, |builder| builder)?,
            url: format!("https://{}{PATH}", gateway.control),
            folder: None,
        })
    }

    fn address_for(&self, client: IpAddr) -> Option<IpAddr> {
        let same_family = |address: &&IpAddr| address.is_ipv4() == client.is_ipv4();
        self.addresses.iter().find(same_family).or_else(|| self.addresses.first()).copied()
    }
}
