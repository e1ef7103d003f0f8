//! Shared code of the listening simulators: a TLS accept loop, and tasks that stop together.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::tls::TlsError;

/// What keeps a simulator from starting.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("failed to listen on `{address}`")]
    Listen {
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The tasks of a simulator; dropping it stops them.
#[derive(Debug)]
pub(crate) struct Running(Scope);

/// Where a simulator's tasks are started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// Takes charge of a scope's tasks.
    pub(crate) fn new(scope: Scope) -> Self {
        Self(scope)
    }

    /// Stops all tasks, and waits for them.
    pub(crate) async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}

impl Scope {
    /// Runs a task until it ends or the simulator stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Accepts TLS connections, and handles each in a task of its own.
    pub(crate) fn accept<H, F>(&self, listener: TcpListener, acceptor: TlsAcceptor, handle: H)
    where
        H: Fn(TlsStream<TcpStream>, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let scope = self.clone();
        self.spawn(async move {
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    sleep(AFTER_ERROR).await;
                    continue;
                };
                let (acceptor, handle) = (acceptor.clone(), handle.clone());
                scope.spawn(async move {
                    // Sends small messages immediately; an error does no harm.
                    let _ = stream.set_nodelay(true);
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        handle(stream, peer).await;
                    }
                });
            }
        });
    }
}

/// Listens, and returns the address that was really taken.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after accepting failed because the process has no free file descriptor.
const AFTER_ERROR: Duration = Duration::from_millis(50);
