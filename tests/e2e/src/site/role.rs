//! A role on its own thread and runtime, so that it has its own log and leaves nothing behind.

use std::{
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};

use cmsg_config::{socket::Listen, values::LogLevel};
use pcoip_cmsgd::{
    connection_manager::ConnectionManagerRole, logs, security_gateway::SecurityGatewayRole,
};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::leaks;

/// A role with bound addresses.
pub(super) trait Serve {
    fn listens(&self) -> Vec<Listen>;
    fn serve(self, shutdown: CancellationToken) -> impl Future<Output = ()>;
}

impl Serve for ConnectionManagerRole {
    fn listens(&self) -> Vec<Listen> {
        ConnectionManagerRole::listens(self)
    }

    async fn serve(self, shutdown: CancellationToken) {
        ConnectionManagerRole::serve(self, shutdown).await.expect("the connection manager serves");
    }
}

impl Serve for SecurityGatewayRole {
    fn listens(&self) -> Vec<Listen> {
        SecurityGatewayRole::listens(self)
    }

    async fn serve(self, shutdown: CancellationToken) {
        SecurityGatewayRole::serve(self, shutdown).await.expect("the gateway serves");
    }
}

/// Longer than a disk takes to write some lines.
const PATIENCE: Duration = Duration::from_secs(30);

/// A role at work.
pub(super) struct Role {
    pub(super) listens: Vec<Listen>,
    log: PathBuf,
    flush: logs::Flush,
    /// Stops the role even if the test fails.
    shutdown: DropGuard,
    thread: JoinHandle<()>,
}

impl Role {
    /// Starts a role that logs at that level into a file of that name in the folder.
    pub(super) async fn start<R, B>(
        folder: &Path,
        name: &'static str,
        level: LogLevel,
        bind: B,
    ) -> Self
    where
        R: Serve,
        B: AsyncFnOnce() -> R + Send + 'static,
    {
        let shutdown = CancellationToken::new();
        let (stop, folder) = (shutdown.clone(), folder.to_owned());
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let (log, flush, subscriber) =
                logs::of_folder(&folder, name, level).expect("a log can be made");
            let _logging = tracing::subscriber::set_default(subscriber);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let role = bind().await;
                let _ = tell.send((role.listens(), log, flush));
                role.serve(stop).await;
                leaks::no_task_is_left().await;
            });
        });
        let (listens, log, flush) = told.await.expect("the role binds");
        Self { listens, log, flush, shutdown: shutdown.drop_guard(), thread }
    }

    /// The file of the log, with all lines so far.
    pub(super) fn log(&self) -> &Path {
        self.flush.wait(PATIENCE);
        &self.log
    }

    /// Where it listens for that.
    pub(super) fn address(&self, key: &str) -> std::net::SocketAddr {
        let listen = self.listens.iter().find(|listen| listen.key == key);
        listen.expect("the role tells every listener").address
    }

    /// Ends the role, and returns when nothing of it runs any more.
    pub(super) async fn stop(self) {
        drop(self.shutdown);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        joined.expect("joining does not panic").expect("a role ends well");
    }
}
