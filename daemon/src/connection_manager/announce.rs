//! Gateways, told of every session that will come through them: the own one over its unix socket,
//! others over HTTPS, each announcement signed.

use std::{fs::File, net::IpAddr, os::fd::AsRawFd as _, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use bytes::Bytes;
use cmsg_config::{connection_manager::ExternalGateway, socket::Role};
use cmsg_proto::{
    SessionTag,
    broker::redact,
    control::{AddConnection, Claims, PATH, Reply},
};
use http::{HeaderValue, header};
use reqwest::Client;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    shared::random,
    trail::{GATEWAY, Trail, told},
    upstream::{self, Failure},
};
use crate::{clock, reload::Files, tls::Trust, token::Signer};

/// Longest wait for a gateway: it only notes the session.
const WAIT: Duration = Duration::from_secs(5);

/// How many announcements of other hosts are passed on at once. Everybody can send some, and the
/// gateway must keep answering its own host.
pub(super) const PLACES: usize = 16;

/// The gateways, in the order in which they are tried.
pub(super) struct Gateways {
    all: Vec<Gateway>,
    /// There wherever there is a gateway.
    signer: Option<Arc<ArcSwap<Signer>>>,
}

/// One gateway.
pub(super) struct Gateway {
    /// What clients are told, one a family at most.
    addresses: Vec<IpAddr>,
    client: Client,
    url: String,
    /// The client reaches the socket through this folder's descriptor.
    folder: Option<File>,
    /// For announcements of other hosts.
    places: Semaphore,
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
    pub(super) fn new(
        config: &cmsg_config::ConnectionManager,
        files: &Files,
    ) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        if !config.own_gateway.is_empty() {
            all.push(Gateway::own(config, files)?);
        }
        for external in &config.external_gateways {
            all.push(Gateway::external(config, external, files)?);
        }
        let key = config.jwt_signing_key.clone();
        let signer = match all.is_empty() {
            true => None,
            false => Some(files.keep(move || Signer::load(&key))?),
        };
        Ok(Self { all, signer })
    }

    /// Tells the first gateway that takes the session of it. Those with an address of the client's
    /// family come first: a client that has no other one could not reach the rest.
    pub(super) async fn announce(
        &self,
        trail: &Trail,
        announcement: &AddConnection,
        client: IpAddr,
    ) -> Option<Announced> {
        for gateway in self.in_order_for(client) {
            if gateway.folder.is_some() {
                told!(info, trail, GATEWAY, "Local security gateway is enabled");
            }
            match self.tell(trail, gateway, announcement, client).await {
                Ok(announced) => return Some(announced),
                Err(error) => told!(
                    warn,
                    trail,
                    GATEWAY,
                    gateway = gateway.name(),
                    error = format!("{error:#}"),
                    "The gateway does not take the session"
                ),
            }
        }
        None
    }

    fn in_order_for(&self, client: IpAddr) -> Vec<&Gateway> {
        let mut gateways: Vec<_> = self.all.iter().collect();
        gateways.sort_by_key(|gateway| !gateway.has_family_of(client));
        gateways
    }

    /// The gateway of this host.
    pub(super) fn own(&self) -> Option<&Gateway> {
        self.all.iter().find(|gateway| gateway.folder.is_some())
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
        let token = signer.load().sign(&claims)?;
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
    fn own(config: &cmsg_config::ConnectionManager, files: &Files) -> anyhow::Result<Self> {
        let run = &config.run_directory;
        let folder = File::open(run).with_context(|| format!("opening `{}`", run.display()))?;
        let socket = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), Role::Sg.socket());
        let client =
            upstream::client(&Trust::Off, files, WAIT, |builder| builder.unix_socket(socket))?;
        Ok(Self {
            addresses: config.own_gateway.clone(),
            client,
            url: format!("http://localhost{PATH}"),
            folder: Some(folder),
            places: Semaphore::new(PLACES),
        })
    }

    fn external(
        config: &cmsg_config::ConnectionManager,
        gateway: &ExternalGateway,
        files: &Files,
    ) -> anyhow::Result<Self> {
        let trust = upstream::trust(config, true, gateway.pin.into_iter().collect());
        Ok(Self {
            addresses: vec![gateway.address],
            client: upstream::client(&trust, files, WAIT, |builder| builder)?,
            url: format!("https://{}{PATH}", gateway.control),
            folder: None,
            places: Semaphore::new(PLACES),
        })
    }

    /// Passes on what another host announces.
    pub(super) async fn pass_on(
        &self,
        token: Option<HeaderValue>,
        announcement: Bytes,
    ) -> Result<upstream::Reply, Failure> {
        let mut request = self.client.post(&self.url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let exchange = async {
            let _place = self.places.acquire().await;
            upstream::send_bytes(request, announcement).await
        };
        tokio::time::timeout(WAIT, exchange).await.unwrap_or(Err(Failure::TimedOut))
    }

    fn address_for(&self, client: IpAddr) -> Option<IpAddr> {
        let same_family = |address: &&IpAddr| address.is_ipv4() == client.is_ipv4();
        self.addresses.iter().find(same_family).or_else(|| self.addresses.first()).copied()
    }

    fn has_family_of(&self, client: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.is_ipv4() == client.is_ipv4())
    }

    /// What the log calls it: its public addresses.
    fn name(&self) -> String {
        let names: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(addresses: &[&str]) -> Gateway {
        Gateway {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            client: upstream::client(&Trust::Off, &Files::default(), WAIT, |builder| builder)
                .unwrap(),
            url: String::new(),
            folder: None,
            places: Semaphore::new(1),
        }
    }

    #[test]
    fn a_gateway_of_the_clients_family_is_tried_first() {
        let all = vec![
            gateway(&["2001:db8::1"]),
            gateway(&["192.0.2.1"]),
            gateway(&["192.0.2.2", "2001:db8::2"]),
        ];
        let gateways = Gateways { all, signer: None };

        let order = |client: &str| {
            let client = client.parse().unwrap();
            let order = gateways.in_order_for(client).into_iter();
            order
                .map(|gateway| gateway.address_for(client).unwrap().to_string())
                .collect::<Vec<_>>()
        };

        assert_eq!(order("198.51.100.9"), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!(order("2001:db8::9"), ["2001:db8::1", "2001:db8::2", "192.0.2.1"]);
    }
}
