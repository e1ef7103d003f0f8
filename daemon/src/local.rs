//! The unix socket of a role, with its status for the installer and the container's health check.

use std::{
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use cmsg_config::socket::{self, Connections, Role, Status};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{drain::Drain, reload::BadFile};

/// What the socket reports of a role, and the commands that it accepts.
pub trait Observe: Send + Sync + 'static {
    /// The content of `GET /status`.
    fn status(&self) -> Status;

    /// The content of `GET /connections`.
    fn connections(&self) -> Connections;

    /// Reads the configuration and all certificates and keys again.
    ///
    /// # Errors
    ///
    /// Which file is invalid, and why. In this case, all previous ones stay in use.
    fn reload(&self) -> anyhow::Result<()>;

    /// Whether the role accepts new sessions.
    fn drain(&self) -> &Drain;

    /// Called after draining was started or ended.
    fn drain_changed(&self) {}
}

/// A bound unix socket that is not served yet.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds the socket of a role.
    ///
    /// # Errors
    ///
    /// If another process serves it, or it cannot be created.
    pub fn bind(run: &Path, role: Role) -> anyhow::Result<Self> {
        let bound = socket::bind(run, role).map_err(|error| BadFile::unless_passing(run, error));
        Self::taken(run.join(role.socket()), bound)
    }

    /// Binds the supervisor's socket.
    ///
    /// # Errors
    ///
    /// If another process serves it, or it cannot be created.
    pub fn bind_supervisor(run: &Path) -> anyhow::Result<Self> {
        let bound = socket::bind_supervisor(run).map_err(anyhow::Error::from);
        Self::taken(run.join(socket::SUPERVISOR), bound)
    }

    fn taken(path: PathBuf, listener: anyhow::Result<UnixListener>) -> anyhow::Result<Self> {
        let listener = listener.with_context(|| format!("binding `{}`", path.display()))?;
        Ok(Self { listener, path })
    }
}

/// The routes that all roles have.
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
    let done =
        role.reload().inspect(|()| info!("Reloaded the configuration, certificates and keys"));
    obeyed(done, "Nothing was reloaded; the previous settings, certificates and keys stay in use")
}

async fn drain(State(role): State<Arc<dyn Observe>>) -> Obeyed {
    let done = role.drain().set(true).inspect(|()| info!("Draining: no new sessions are accepted"));
    role.drain_changed();
    obeyed(done, "Failed to drain; new sessions are still accepted")
}

async fn resume(State(role): State<Arc<dyn Observe>>) -> Obeyed {
    let done = role.drain().set(false).inspect(|()| info!("New sessions are accepted again"));
    role.drain_changed();
    obeyed(done, "Failed to resume; new sessions are still refused")
}

/// The result of a command, with the reason if it failed.
type Obeyed = Result<StatusCode, (StatusCode, String)>;

/// Logs a failure and its effect.
fn obeyed(done: anyhow::Result<()>, means: &'static str) -> Obeyed {
    match done {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            let why = format!("{error:#}");
            warn!(why, "{means}");
            Err((StatusCode::CONFLICT, why))
        }
    }
}

/// Serves the socket until the shutdown, and then removes it.
///
/// # Errors
///
/// If the socket cannot be served.
pub async fn serve(
    socket: Socket,
    router: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let Socket { listener, path } = socket;
    listener.set_nonblocking(true).context("preparing the local socket")?;
    let listener =
        tokio::net::UnixListener::from_std(listener).context("using the local socket")?;
    let stopped = async move {
        shutdown.cancelled_owned().await;
        // While this process listens on it, no successor has replaced it.
        if let Err(error) = std::fs::remove_file(&path) {
            warn!(file = %path.display(), %error, "Cannot remove the local socket");
        }
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
        .context("serving the local socket")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_removed_with_its_role_but_not_its_successors() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("sg.sock");
        let shutdown = CancellationToken::new();
        let bind = || Socket::bind(run.path(), Role::Sg).unwrap();
        let first = tokio::spawn(serve(bind(), Router::new(), shutdown.clone()));

        shutdown.cancel();
        while path.exists() {
            tokio::task::yield_now().await;
        }
        let _successor = bind();
        first.await.unwrap().unwrap();

        assert!(path.exists());
    }
}
