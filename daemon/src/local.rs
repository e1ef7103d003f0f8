//! A role's unix socket: how it is, told to the installer and to the container's health check.

use std::{os::unix::net::UnixListener, sync::Arc};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use cmsg_config::socket::{Connections, Status};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::drain::Drain;

/// What a role tells of itself, and what it is told.
pub trait Observe: Send + Sync + 'static {
    /// How it is.
    fn status(&self) -> Status;

    /// Its sessions.
    fn connections(&self) -> Connections;

    /// Reads its certificates and keys again.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why; then all of them stay as they were.
    fn reload(&self) -> anyhow::Result<()>;

    /// Whether it takes new sessions.
    fn drain(&self) -> &Drain;
}

/// The routes that every role has.
pub fn router(role: Arc<dyn Observe>) -> Router {
    Router::new()
        .route("/live", get(|| async { Json(serde_json::json!({ "live": true })) }))
        .route(
            "/status",
            get(|State(role): State<Arc<dyn Observe>>| async move { Json(role.status()) }),
        )
        .route(
            "/connections",
            get(|State(role): State<Arc<dyn Observe>>| async move { Json(role.connections()) }),
        )
        .route("/reload", post(reload))
        .route("/drain", post(drain))
        .route("/resume", post(resume))
        .with_state(role)
}

async fn reload(State(role): State<Arc<dyn Observe>>) -> Obeyed {
    obeyed(role.reload().inspect(|()| info!("Certificates and keys are read again")))
}

async fn drain(State(role): State<Arc<dyn Observe>>) -> Obeyed {
    obeyed(role.drain().set(true).inspect(|()| info!("No new sessions are taken")))
}

async fn resume(State(role): State<Arc<dyn Observe>>) -> Obeyed {
    obeyed(role.drain().set(false).inspect(|()| info!("New sessions are taken again")))
}

/// Whether a role did as it was told; else why not.
type Obeyed = Result<StatusCode, (StatusCode, String)>;

fn obeyed(done: anyhow::Result<()>) -> Obeyed {
    match done {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            let why = format!("{error:#}");
            warn!(why, "All stays as it was");
            Err((StatusCode::CONFLICT, why))
        }
    }
}

/// Answers on the socket until the shutdown.
///
/// # Errors
///
/// Where the socket cannot be used at all.
pub async fn serve(
    listener: UnixListener,
    router: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true).context("preparing the local socket")?;
    let listener =
        tokio::net::UnixListener::from_std(listener).context("using the local socket")?;
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
        .context("answering on the local socket")
}
