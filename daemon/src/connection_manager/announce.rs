//! Announces sessions to gateways: to that of this host over its unix socket, to others over HTTPS.
//! Each announcement is signed.

use std::{net::IpAddr, sync::Arc};

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use bytes::Bytes;
use cmsg_config::{cause, socket::GatewayStanding};
use cmsg_proto::{
    SessionTag,
    broker::redact,
    control::{AddConnection, Claims, Reply},
};
use zeroize::Zeroizing;

use super::{
    random::random,
    request_log::{GATEWAY, RequestLog, document, record},
};
use crate::{clock, reload::Files, token::Signer};

pub(super) use gateway::Gateway;
#[cfg(test)]
pub(super) use gateway::PLACES;
pub(super) use reachability::Answer;

use grants::Background;

mod gateway;
mod grants;
mod reachability;

/// The gateways, in the order in which they are tried.
pub(super) struct Gateways {
    all: Vec<Arc<Gateway>>,
    /// `None` if there is no gateway.
    signer: Option<Arc<ArcSwap<Signer>>>,
    background: Background,
}

/// A gateway that will admit the client.
pub(super) struct Announced {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// The tag that the client sends to it.
    pub(super) tag: SessionTag,
    /// The TLS server name that the client sends to it.
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
        Ok(Self::of(all, signer))
    }

    fn of(all: Vec<Gateway>, signer: Option<Arc<ArcSwap<Signer>>>) -> Self {
        Self {
            all: all.into_iter().map(Arc::new).collect(),
            signer,
            background: Background::default(),
        }
    }

    /// Announces the session to the gateways until one accepts it, and grants it to the others. Those
    /// that accept sessions come first. Of these, those with an address of the client's family come
    /// first, since the client may not reach the others, and then those with the lowest load.
    pub(super) async fn announce(
        &self,
        log: &RequestLog,
        announcement: &AddConnection,
        client: IpAddr,
    ) -> Option<Announced> {
        let granted = self.sign_grant(announcement);
        for gateway in self.in_order_for(client) {
            if gateway.is_own() {
                record!(info, log, GATEWAY, "Local security gateway is enabled");
            }
            let announcing =
                self.announce_to(log, gateway, (announcement, granted.as_ref()), client);
            match announcing.await {
                Ok(announced) => {
                    self.grant(log, granted, gateway);
                    return Some(announced);
                }
                Err(error) => record!(
                    warn,
                    log,
                    GATEWAY,
                    gateway = gateway.name(),
                    error = cause::chain(error.as_ref()),
                    "The gateway did not accept the session"
                ),
            }
        }
        None
    }

    fn in_order_for(&self, client: IpAddr) -> Vec<&Gateway> {
        let mut gateways: Vec<_> = self.all.iter().map(Arc::as_ref).collect();
        gateways.sort_by_cached_key(|gateway| {
            (gateway.rank(), !gateway.has_family_of(client), gateway.load())
        });
        gateways
    }

    /// The gateway of this host.
    pub(super) fn own(&self) -> Option<&Gateway> {
        self.all.iter().map(Arc::as_ref).find(|gateway| gateway.is_own())
    }

    pub(super) fn all(&self) -> &[Arc<Gateway>] {
        &self.all
    }

    /// The state of all gateways for `GET /status`.
    pub(super) fn standings(&self) -> Vec<GatewayStanding> {
        self.all.iter().map(|gateway| gateway.standing()).collect()
    }

    /// Whether clients connect directly to agents.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    async fn announce_to(
        &self,
        log: &RequestLog,
        gateway: &Gateway,
        (announcement, granted): (&AddConnection, Option<&Bytes>),
        client: IpAddr,
    ) -> anyhow::Result<Announced> {
        let address = gateway.address_for(client).context("the gateway has no address")?;
        let claims = Claims::of(announcement, address, random()?, clock::wall());
        let signer = self.signer.as_ref().context("there is no signing key")?;
        let token = signer.load().sign(&claims)?;
        let document = Zeroizing::new(announcement.render());
        let sent = || redact::bytes(document.as_bytes());
        document!(log, GATEWAY, sent, "Sending request to security gateway");
        let reply = gateway.announce(token, document, granted).await?;
        let got = || redact::bytes(&reply.body);
        document!(log, GATEWAY, got, "Received response from security gateway");
        let read = Reply::parse(&reply.body)
            .with_context(|| format!("reading its response (status {})", reply.status.as_u16()))
            .and_then(|reply| match reply {
                Reply::Accepted { rtag, sg_sni } => Ok((rtag, sg_sni)),
                Reply::Refused { reason } => bail!("it refused: {reason}"),
            });
        gateway.note_answer(&read);
        let (tag, sni) = read?;
        Ok(Announced { address, port: gateway.port, tag, sni })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(all: Vec<Gateway>, client: &str) -> Vec<String> {
        let gateways = Gateways::of(all, None);
        let client = client.parse().unwrap();
        let order = gateways.in_order_for(client).into_iter();
        order.map(|gateway| gateway.address_for(client).unwrap().to_string()).collect()
    }

    #[test]
    fn a_gateway_of_the_clients_address_family_is_tried_first() {
        let all = || {
            vec![
                Gateway::at(&["2001:db8::1"]),
                Gateway::at(&["192.0.2.1"]),
                Gateway::at(&["192.0.2.2", "2001:db8::2"]),
            ]
        };

        assert_eq!(order(all(), "198.51.100.9"), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!(order(all(), "2001:db8::9"), ["2001:db8::1", "2001:db8::2", "192.0.2.1"]);
    }

    #[test]
    fn a_gateway_that_does_not_answer_is_tried_last() {
        let all = vec![
            Gateway::at(&["192.0.2.1"]).silenced(),
            Gateway::at(&["2001:db8::1"]),
            Gateway::at(&["192.0.2.2"]),
        ];

        assert_eq!(order(all, "198.51.100.9"), ["192.0.2.2", "2001:db8::1", "192.0.2.1"]);
    }

    #[test]
    fn a_gateway_that_does_not_accept_sessions_is_tried_before_those_that_do_not_answer() {
        let all = vec![
            Gateway::at(&["192.0.2.1"]).silenced(),
            Gateway::at(&["192.0.2.2"]).full(),
            Gateway::at(&["2001:db8::1"]),
        ];

        assert_eq!(order(all, "198.51.100.9"), ["2001:db8::1", "192.0.2.2", "192.0.2.1"]);
    }

    #[test]
    fn of_the_gateways_that_report_their_load_the_one_with_the_lowest_is_tried_first() {
        let all = vec![
            Gateway::at(&["192.0.2.1"]),
            Gateway::at(&["192.0.2.2"]).loaded(7, 0),
            Gateway::at(&["192.0.2.3"]).loaded(6, 12),
            Gateway::at(&["192.0.2.4"]).loaded(6, 11),
            Gateway::at(&["192.0.2.5"]).loaded(0, 0).full(),
            Gateway::at(&["2001:db8::1"]).loaded(0, 0),
            Gateway::at(&["192.0.2.6"]),
        ];

        assert_eq!(
            order(all, "198.51.100.9"),
            [
                "192.0.2.4",
                "192.0.2.3",
                "192.0.2.2",
                "192.0.2.1",
                "192.0.2.6",
                "2001:db8::1",
                "192.0.2.5"
            ]
        );
    }
}
