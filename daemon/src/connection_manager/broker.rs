//! The connection broker, called over HTTPS.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, bail};
use cmsg_config::{connection_manager::UpstreamCheck, values::BrokerUrl};
use cmsg_proto::{SessionId, broker::BrokerCookies};
use http::{StatusCode, header};
use reqwest::Client;
use zeroize::Zeroizing;

use super::{
    forwarded,
    upstream::{self, Failure, Reply},
};
use crate::{https::bodies::Account, reload::Files};

/// Longest wait when only asking whether it is there; load balancers wait five seconds for us.
const PROBE: Duration = Duration::from_secs(3);

/// The connection broker.
pub(super) struct Broker {
    client: Client,
    url: String,
}

/// What a request to the broker is sent with.
pub(super) struct Envelope<'a> {
    /// The session log id.
    pub(super) session: &'a SessionId,
    /// The cookies that the broker set in the session.
    pub(super) cookies: Option<&'a BrokerCookies>,
    /// The client's address, which is all that the broker is told of where it comes from.
    pub(super) client: IpAddr,
    /// For whom the answer is kept.
    pub(super) account: &'a Account,
    /// How many bytes the answer may have.
    pub(super) limit: usize,
}

impl Broker {
    pub(super) fn new(
        config: &cmsg_config::ConnectionManager,
        files: &Files,
    ) -> anyhow::Result<Self> {
        let trust = match &config.broker_check {
            UpstreamCheck::Verify(pins) => upstream::trust(config, true, pins.clone()),
            UpstreamCheck::Off => upstream::trust(config, false, Vec::new()),
        };
        Ok(Self {
            client: upstream::client(&trust, files, config.broker_wait, |builder| builder)?,
            url: format!("{}{}", config.broker, BrokerUrl::PATH),
        })
    }

    /// Sends a request and takes the broker's answer, whatever its status: an `error-resp` may come
    /// with any.
    pub(super) async fn ask(
        &self,
        document: Zeroizing<String>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, Failure> {
        let mut request = self
            .client
            .post(&self.url)
            .header(forwarded::HEADER, envelope.client.to_string())
            .header("client-log-id", envelope.session.as_str());
        if let Some(cookies) = envelope.cookies.and_then(BrokerCookies::header) {
            request = request.header(header::COOKIE, cookies);
        }
        let Envelope { account, limit, .. } = *envelope;
        upstream::send_within(request, document, account.buffer(), limit).await
    }

    /// Asks whether it answers at all. A balancer in front of it that cannot reach it does not
    /// count.
    pub(super) async fn look(&self) -> anyhow::Result<()> {
        let away =
            [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
        let asked = self.client.get(&self.url).timeout(PROBE).send().await;
        let status = asked.with_context(|| format!("asking `{}`", self.url))?.status();
        if away.contains(&status) {
            bail!("`{}` answers {status}", self.url);
        }
        Ok(())
    }
}
