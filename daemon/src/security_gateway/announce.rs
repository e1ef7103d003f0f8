//! `POST /pcoip-sg/xml`: a Connection Manager announces a session with a signed token. `POST
//! /pcoip-sg/grant`: it grants a session that another gateway serves.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cmsg_proto::{
    control::{
        AddConnection, CONTENT_TYPE, GRANT_HEADER, GRANT_PATH, HEALTH, MAX_BYTES, PATH,
        ReplayError, Reply, SG_SNI,
    },
    failover::{self, Frame, GatewayId, Grant},
    gateway::Refusal,
};
use tracing::{debug, field::Empty, warn};

use super::{
    peers::Receive,
    state::{GatewayState, NotGranted, NotTaken},
};
use crate::{
    clock,
    https::{self, listener::Content},
    token::{GrantError, Verifier},
};

pub(super) fn router(handler: Arc<AnnouncementHandler>) -> Router {
    Router::new()
        .route(PATH, post(announce))
        .route(GRANT_PATH, post(grant).layer(DefaultBodyLimit::max(Grant::MAX_BYTES)))
        .route(
            HEALTH,
            get(|State(handler): State<Arc<AnnouncementHandler>>| async move { handler.health() }),
        )
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .with_state(handler)
}

/// Handles announcements and grants from the unix socket and HTTPS.
pub(super) struct AnnouncementHandler {
    pub(super) gateway: Arc<GatewayState>,
    pub(super) verifier: Arc<ArcSwap<Verifier>>,
}

async fn announce(
    State(handler): State<Arc<AnnouncementHandler>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = body.map_err(|error| (error.status(), error.into()));
    let (status, reply) = handler.answer(&headers, body).await;
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], reply.render()).into_response()
}

async fn grant(
    State(handler): State<Arc<AnnouncementHandler>>,
    body: Result<Bytes, BytesRejection>,
) -> http::Response<Content> {
    match body {
        Ok(token) => handler.grant(&token),
        Err(error) => https::plain(error.status()),
    }
}

impl AnnouncementHandler {
    /// Whether the next announcement would be accepted. A gateway that would refuse it is running,
    /// but not ready.
    pub(super) fn health(&self) -> http::Response<Content> {
        let reason = self.gateway.why_not_ready();
        let health = match &reason {
            None => Ok(()),
            Some(reason) => Err((StatusCode::SERVICE_UNAVAILABLE, reason.as_str())),
        };
        https::health(health, self.gateway.offer())
    }

    /// Handles an announcement, and returns the response.
    pub(super) async fn answer(
        &self,
        headers: &HeaderMap,
        body: Result<Bytes, (StatusCode, anyhow::Error)>,
    ) -> (StatusCode, Reply) {
        match body.and_then(|body| self.take(headers, &body)) {
            Ok(reply) => {
                self.gateway.journal.settle().await;
                (StatusCode::OK, reply)
            }
            Err((status, error)) => {
                // Anybody can cause this line. The field keeps it off standard error.
                warn!(session = Empty, error = format!("{error:#}"), "Announcement refused");
                (status, Reply::Refused { reason: error.to_string() })
            }
        }
    }

    fn take(&self, headers: &HeaderMap, body: &[u8]) -> Result<Reply, (StatusCode, anyhow::Error)> {
        let token = bearer(headers)
            .ok_or_else(|| anyhow::anyhow!("the announcement has no token"))
            .map_err(unauthorized)?;
        let claims = self.verifier.load().verify(token).map_err(unauthorized)?;
        let announced = AddConnection::parse(body)
            .map_err(|error| (StatusCode::BAD_REQUEST, anyhow::Error::new(error)))?;
        let grant = self.granted(headers);
        self.gateway
            .announce(&claims, &announced, grant)
            .map_err(|error| (status(error), anyhow::Error::new(error)))?;
        Ok(Reply::Accepted { rtag: announced.tag, sg_sni: SG_SNI.to_owned() })
    }

    /// Handles a grant, and returns the response. A full or draining gateway accepts grants too.
    pub(super) fn grant(&self, token: &[u8]) -> http::Response<Content> {
        if !self.gateway.has_failover() {
            return https::text(StatusCode::NOT_FOUND, NotGranted::Off.to_string());
        }
        match self.take_grant(token) {
            Ok(()) => https::plain(StatusCode::OK),
            Err((status, error)) => {
                warn!(session = Empty, error = format!("{error:#}"), "Grant refused");
                https::text(status, error.to_string())
            }
        }
    }

    /// The grant of an announced session, which the peers get.
    fn granted(&self, headers: &HeaderMap) -> Option<Grant> {
        let token = headers.get(GRANT_HEADER).filter(|_| self.gateway.has_failover())?;
        match self.verified(token.as_bytes()) {
            Ok(grant) => Some(grant),
            Err((_, error)) => {
                warn!(error = format!("{error:#}"), "The grant of an announced session is invalid");
                None
            }
        }
    }

    fn take_grant(&self, token: &[u8]) -> Result<(), (StatusCode, anyhow::Error)> {
        let granted = self.gateway.grant(self.verified(token)?);
        granted.map_err(|error| (grant_status(error), anyhow::Error::new(error)))
    }

    /// The grant in a token, if its signature is valid and its agent is allowed.
    fn verified(&self, token: &[u8]) -> Result<Grant, (StatusCode, anyhow::Error)> {
        // Text that is not UTF-8 is not a token either.
        let token = std::str::from_utf8(token).unwrap_or_default();
        let audience = self.gateway.audience();
        let grant = self.verifier.load().verify_grant(token, audience, clock::wall());
        let grant = grant.map_err(|error| match error {
            GrantError::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, error.into()),
            _ => unauthorized(error.into()),
        })?;
        let judged = self.gateway.judge(grant.agent);
        judged.map_err(|error| (status(error), anyhow::Error::new(error)))?;
        Ok(grant)
    }
}

impl Receive for AnnouncementHandler {
    fn verify(&self, token: &str) -> Option<Grant> {
        let verified = self.verified(token.as_bytes());
        let refused = |(_, error): &(StatusCode, anyhow::Error)| {
            debug!(error = format!("{error:#}"), "A grant that a peer passed on is refused");
        };
        verified.inspect_err(refused).ok()
    }

    fn arriving(&self, from: GatewayId) {
        self.gateway.arriving(from);
    }

    fn receive(&self, from: GatewayId, frame: Frame) {
        self.gateway.receive(from, frame);
    }
}

fn unauthorized(error: anyhow::Error) -> (StatusCode, anyhow::Error) {
    (StatusCode::UNAUTHORIZED, error)
}

fn status(error: NotTaken) -> StatusCode {
    match error {
        NotTaken::Claims(_) | NotTaken::Replay(ReplayError::Used) => StatusCode::UNAUTHORIZED,
        NotTaken::Itself => StatusCode::BAD_REQUEST,
        NotTaken::Forbidden(_) => StatusCode::FORBIDDEN,
        NotTaken::Draining
        | NotTaken::Replay(ReplayError::Full)
        | NotTaken::Refused(Refusal::Full) => StatusCode::SERVICE_UNAVAILABLE,
        NotTaken::Refused(Refusal::Conflict | Refusal::Ended) => StatusCode::CONFLICT,
    }
}

fn grant_status(error: NotGranted) -> StatusCode {
    match error {
        NotGranted::Off => StatusCode::NOT_FOUND,
        NotGranted::Refused(failover::Refusal::Full) => StatusCode::SERVICE_UNAVAILABLE,
        NotGranted::Refused(failover::Refusal::Expired) => StatusCode::UNAUTHORIZED,
        NotGranted::Refused(
            failover::Refusal::Conflict | failover::Refusal::Superseded | failover::Refusal::Ended,
        ) => StatusCode::CONFLICT,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
