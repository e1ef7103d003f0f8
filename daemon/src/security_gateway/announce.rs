//! `POST /pcoip-sg/xml`: a Connection Manager announces a session with a signed token.

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
    control::{AddConnection, CONTENT_TYPE, HEALTH, MAX_BYTES, PATH, ReplayError, Reply, SG_SNI},
    gateway::Refusal,
};
use tracing::warn;

use super::state::{GatewayState, NotTaken};
use crate::{
    https::{self, listener::Content},
    token::Verifier,
};

pub(super) fn router(handler: Arc<AnnouncementHandler>) -> Router {
    Router::new()
        .route(PATH, post(announce))
        .route(
            HEALTH,
            get(|State(handler): State<Arc<AnnouncementHandler>>| async move { handler.health() }),
        )
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .with_state(handler)
}

/// Handles announcements from the unix socket and HTTPS.
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

impl AnnouncementHandler {
    /// Whether the next announcement would be accepted. A gateway that would refuse it is running,
    /// but not ready.
    pub(super) fn health(&self) -> http::Response<Content> {
        let reason = self.gateway.why_not_ready();
        https::health(match &reason {
            None => Ok(()),
            Some(reason) => Err((StatusCode::SERVICE_UNAVAILABLE, reason)),
        })
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
                warn!(error = format!("{error:#}"), "Announcement refused");
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
        self.gateway
            .announce(&claims, &announced)
            .map_err(|error| (status(error), anyhow::Error::new(error)))?;
        Ok(Reply::Accepted { rtag: announced.tag, sg_sni: SG_SNI.to_owned() })
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

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
