//! The client for the connection broker, over HTTPS.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use cmsg_config::{cause, connection_manager::UpstreamCheck, values::BrokerUrl};
use cmsg_proto::{SessionId, broker::BrokerCookies};
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use zeroize::Zeroizing;

use super::{
    forwarded,
    upstream::{self, Address, Client, Failure, Reply},
};
use crate::{
    clock,
    https::bodies::{Account, Buffer},
    reload::Files,
    tls::{LastRefused, Refusal, Trust},
};

pub(super) use state::{BrokerState, Look, Trouble};

mod state;

const LOG_ID: HeaderName = HeaderName::from_static("client-log-id");

/// Timeout of a check. Load balancers wait five seconds for `/health`.
const PROBE: Duration = Duration::from_secs(3);

pub(super) struct Broker {
    client: Client,
    refused: LastRefused,
    address: Arc<Address>,
    url: String,
    is_verified: bool,
    is_pinned: bool,
}

/// What a request to the broker needs besides its document.
pub(super) struct Envelope<'a> {
    pub(super) session: &'a SessionId,
    /// The broker's cookies in this session.
    pub(super) cookies: Option<&'a BrokerCookies>,
    /// Address of the client; nothing else about its connection is forwarded.
    pub(super) client: IpAddr,
    /// The account that the response's memory counts for.
    pub(super) account: &'a Account,
    /// Maximum size of the response in bytes.
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
        let (client, refused) = Client::watched(&trust, files, config.broker_wait)?;
        Ok(Self {
            client,
            refused,
            address: Arc::new(Address::Tcp(config.broker.0.clone())),
            url: format!("{}{}", config.broker, BrokerUrl::PATH),
            is_pinned: matches!(&trust, Trust::Verify { pins, .. } if !pins.is_empty()),
            is_verified: trust != Trust::Off,
        })
    }

    /// Its URL, as in `PcoipAddress`.
    pub(super) fn address(&self) -> &str {
        self.url.strip_suffix(BrokerUrl::PATH).unwrap_or(&self.url)
    }

    pub(super) fn is_verified(&self) -> bool {
        self.is_verified
    }

    /// Whether its certificate or key is pinned.
    pub(super) fn is_pinned(&self) -> bool {
        self.is_pinned
    }

    /// Sends a request and returns the response with any status, since an `error-resp` may have
    /// any.
    pub(super) async fn ask(
        &self,
        document: Zeroizing<String>,
        envelope: &Envelope<'_>,
    ) -> Result<Reply, Failure> {
        let mut request = self
            .request(Method::POST)
            .header(forwarded::HEADER, envelope.client.to_string())
            .header(LOG_ID, envelope.session.as_str());
        if let Some(cookies) = envelope.cookies.and_then(BrokerCookies::header) {
            request = request.header(header::COOKIE, cookies);
        }
        let Envelope { account, limit, .. } = *envelope;
        let reply = request.send_document(document, account.buffer(), limit).await;
        reply.map_err(|failure| failure.explained(&self.refused))
    }

    /// Checks whether the broker answers. An error page of a load balancer in front of it does not
    /// count.
    pub(super) async fn look(&self) -> Look {
        let away =
            [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
        let asked = self.request(Method::GET).timeout(PROBE);
        let answer = match asked.send(Bytes::new(), Buffer::unaccounted()).await {
            Ok(answer) => answer,
            // An error page of any size is an answer.
            Err(Failure::TooLarge { .. }) => return Look { found: Ok(()), skew: None },
            Err(failure) => {
                let found = Err(self.trouble(failure));
                return Look { found, skew: None };
            }
        };
        let skew = skew(&answer.headers);
        let found = match answer.status {
            status if away.contains(&status) => {
                Err(Trouble::Away(format!("`{}` answers {status}", self.url)))
            }
            _ => Ok(()),
        };
        Look { found, skew }
    }

    fn trouble(&self, failure: Failure) -> Trouble {
        if let Some(refusal) = failure.refusal(&self.refused) {
            return Trouble::Refused(Box::new(refusal));
        }
        let error = anyhow::Error::new(failure).context(format!("requesting `{}`", self.url));
        Trouble::Away(cause::chain(error.as_ref()))
    }

    /// Seconds by which the clock of the peer with the refused certificate is ahead of ours. Only
    /// that peer is asked: a certificate that is not valid at the moment may be correct, and the
    /// clock wrong.
    pub(super) async fn skew(&self, refusal: &Refusal) -> Option<i64> {
        let client = Client::of_only(refusal.certificate(), PROBE).ok()?;
        let request = client.request(Method::HEAD, &self.address, BrokerUrl::PATH).closing();
        let answer = request.send(Bytes::new(), Buffer::unaccounted()).await;
        skew(&answer.ok()?.headers)
    }

    fn request(&self, method: Method) -> upstream::Request {
        self.client.request(method, &self.address, BrokerUrl::PATH)
    }
}

/// Seconds by which the clock of the peer is ahead of ours, by its `Date` header (RFC 9110, section
/// 6.6.1).
fn skew(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let theirs = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(theirs).ok()?.saturating_sub(i64::try_from(clock::wall().as_secs()).ok()?))
}
