//! `GET /bans` and `POST /bans/lift` on the unix socket.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use cmsg_config::socket::{BANS, Bans, LIFT_BANS, Lift, Lifted};
use cmsg_proto::{broker::logons::User, shares::Source};

use super::shared::Shared;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route(BANS, get(list)).route(LIFT_BANS, post(lift)).with_state(shared)
}

async fn list(State(shared): State<Arc<Shared>>) -> Json<Bans> {
    Json(Bans { bans: shared.logons.bans() })
}

async fn lift(
    State(shared): State<Arc<Shared>>,
    Json(bans): Json<Lift>,
) -> Result<Json<Lifted>, StatusCode> {
    let lifted = match bans {
        Lift::All => shared.logons.lift(None),
        Lift::One { source, user } => {
            let source: Source = source.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
            shared.logons.lift(Some((source, &User::new(&user, None))))
        }
    };
    Ok(Json(Lifted { lifted }))
}
