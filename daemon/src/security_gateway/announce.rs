//! `POST /pcoip-sg/xml`: a Connection Manager announces a session, with a token that it signed.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use cmsg_proto::{
    control::{AddConnection, CONTENT_TYPE, PATH, ReplayError, Reply, SG_SNI},
    gateway::Refusal,
};
use tracing::warn;

use super::gate::{Gate, NotTaken};
use crate::token::Verifier;

/// The route of announcements.
pub(super) fn router(gate: Arc<Gate>, verifier: Verifier) -> Router {
    Router::new()
        .route(PATH, post(announce))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(Desk { gate, verifier }))
}

/// A message with the longest tag fits.
const MAX_BODY: usize = 32 * 1024;

struct Desk {
    gate: Arc<Gate>,
    verifier: Verifier,
}

async fn announce(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let taken = match body {
        Ok(body) => desk.take(&headers, &body),
        Err(error) => Err((error.status(), error.into())),
    };
    let (status, reply) = match taken {
        Ok(reply) => {
            desk.gate.settle_on_disk().await;
            (StatusCode::OK, reply)
        }
        Err((status, error)) => {
            warn!(error = format!("{error:#}"), "Announcement refused");
            (status, Reply::Refused { reason: error.to_string() })
        }
    };
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], reply.render()).into_response()
}

impl Desk {
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> Result<Reply, (StatusCode, anyhow::Error)> {
        let token = bearer(headers)
            .ok_or_else(|| anyhow::anyhow!("the announcement has no token"))
            .map_err(unauthorized)?;
        let claims = self.verifier.verify(token).map_err(unauthorized)?;
        let announced = AddConnection::parse(body)
            .map_err(|error| (StatusCode::BAD_REQUEST, anyhow::Error::new(error)))?;
        self.gate
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
        NotTaken::Replay(ReplayError::Full) | NotTaken::Refused(Refusal::Full) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        NotTaken::Refused(Refusal::Conflict | Refusal::Ended) => StatusCode::CONFLICT,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
