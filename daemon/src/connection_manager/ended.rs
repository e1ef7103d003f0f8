//! `POST /sessions-ended` on the unix socket: the gateway of this host reports ended sessions for
//! the session log.
//! sessions have ended, for the session log.

use axum::{Json, Router, extract::DefaultBodyLimit, http::StatusCode, routing::post};
use cmsg_config::socket::{SESSIONS_ENDED, SessionEnded, SessionsEnded};
use cmsg_proto::{SessionId, control::connection_closed};
use tracing::info;

use super::request_log::GATEWAY;
use crate::logs::Document;

/// Maximum size of a report in bytes; the gateway reports at most 256 sessions at once.
const MAX_BYTES: usize = 64 * 1024;

pub(super) fn router() -> Router {
    Router::new().route(SESSIONS_ENDED, post(log)).layer(DefaultBodyLimit::max(MAX_BYTES))
}

async fn log(Json(SessionsEnded { sessions }): Json<SessionsEnded>) -> StatusCode {
    for SessionEnded { id, reason } in sessions {
        let Ok(session) = id.parse::<SessionId>() else { continue };
        let reason = reason.as_str();
        let document = Document(|| connection_closed(&session, reason));
        info!(
            target: GATEWAY,
            %session,
            %document,
            reason,
            "The gateway closed the session"
        );
    }
    StatusCode::NO_CONTENT
}
