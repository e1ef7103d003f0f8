//! The Connection Manager: forwards clients' requests to the connection broker, has the agent
//! launch the session, and announces it to a gateway.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use cmsg_config::{
    keys,
    socket::{Listen, Role},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use crate::{
    https::{Server, listener::Listener},
    journal::{AppendedFile, JournalFile, Keeper},
    listen, local, logs, memory,
    reload::Files,
    settings::Configuration,
    tls,
};

use shared::{JOURNAL, Shared};

mod agent;
mod allocate;
mod announce;
mod authenticate;
mod bans;
mod broker;
mod cookies;
mod ended;
mod exchange;
mod forward;
mod forwarded;
mod health;
mod held;
mod journal;
mod logons;
mod outage;
mod random;
mod readiness;
mod records;
mod redirect;
mod request_log;
mod routes;
mod seal;
mod shared;
#[cfg(test)]
mod tests;
mod unserved;
mod upstream;

/// How long a shutdown waits for requests in progress; Docker kills a container after ten seconds.
const GRACE: Duration = Duration::from_secs(8);

/// How often idle sessions are removed.
const SWEEP: Duration = Duration::from_secs(5);

/// A Connection Manager whose ports are bound, but which does not serve yet.
pub struct ConnectionManagerRole {
    shared: Arc<Shared>,
    clients: TcpListener,
    acceptor: TlsAcceptor,
    http: Option<TcpListener>,
    local: local::Socket,
}

/// Reads the files of the configuration and binds the ports.
///
/// # Errors
///
/// If a certificate or key is invalid, or an address cannot be bound.
pub async fn bind(config: cmsg_config::ConnectionManager) -> anyhow::Result<ConnectionManagerRole> {
    let files = Files::default();
    let acceptor = tls::server_config(&config.certificate, &config.key, &files)?.into();
    let clients = listen("ListenAddress", config.listen)?;
    let mut listens = vec![listening("broker", &clients)?];
    let mut http = None;
    if let Some(address) = config.http_listen {
        let listener = listen("HttpListenAddress", address)?;
        listens.push(listening("http", &listener)?);
        http = Some(listener);
    }
    let local = local::Socket::bind(&config.run_directory, Role::Cm)?;
    warn_of_kept(&config.kept);
    let shared = Arc::new(Shared::new(config, listens, files)?);
    Ok(ConnectionManagerRole { shared, clients, acceptor, http, local })
}

impl ConnectionManagerRole {
    /// The bound addresses. Port 0 is replaced by the port that the system assigned.
    #[must_use]
    pub fn listens(&self) -> Vec<Listen> {
        self.shared.listens.clone()
    }

    /// From now on, a reload also applies changed settings of this configuration.
    pub fn follow(&self, conf: Configuration, level: logs::Level) {
        let shared = Arc::downgrade(&self.shared);
        let apply = move |config: &cmsg_config::ConnectionManager| {
            level.set(config.log_level);
            if let Some(shared) = shared.upgrade() {
                shared.apply(config);
            }
        };
        let read = cmsg_config::ConnectionManager::read;
        conf.follow(&self.shared.files, keys::CONNECTION_MANAGER, read, apply);
    }

    /// Serves requests until the shutdown, and then finishes those in progress.
    ///
    /// # Errors
    ///
    /// If the unix socket cannot be served, or the sessions cannot be persisted.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { shared, clients, acceptor, http, local } = self;
        let secure = clients.local_addr().context("reading the bound address")?;
        let is_last = Arc::new(AtomicBool::default());
        let state = {
            let (shared, is_last) = (Arc::clone(&shared), Arc::clone(&is_last));
            move || shared.journal(is_last.load(Relaxed))
        };
        let file = AppendedFile::new(JournalFile::new(&shared.config.data_directory, JOURNAL));
        let journal = Keeper::start(Arc::clone(&shared.journal), file, state)?;
        let tracker = TaskTracker::new();
        health::watch(&shared, &tracker, &shutdown);
        tracker.spawn(sweep(Arc::clone(&shared), shutdown.clone()));
        let trimming = memory::keep_small(tracker.clone());
        tracker.spawn(shutdown.clone().run_until_cancelled_owned(trimming));
        let timed = Arc::clone(&shared);
        let timeouts = move || timed.timeouts();
        if let Some(http) = http {
            let secure =
                redirect::Secure { host: shared.config.host_address.clone(), port: secure.port() };
            tracker.spawn(redirect::serve(http, secure, timeouts.clone(), shutdown.clone()));
        }
        let config = &shared.config;
        let server = Server {
            listener: Listener::new(
                clients,
                config.max_connections.as_usize(),
                Arc::clone(&shared.unserved.connections),
            ),
            acceptor,
            timeouts: Box::new(timeouts),
            shutdown: shutdown.clone(),
        };
        let answering = Arc::clone(&shared);
        tracker.spawn(server.run(tracker.clone(), move |client, request| {
            let shared = Arc::clone(&answering);
            async move { routes::answer(&shared, client, request).await }
        }));
        let granting = Arc::clone(&shared);
        let router = local::router(Arc::clone(&shared) as Arc<dyn local::Observe>);
        let router = router.merge(ended::router()).merge(bans::router(shared));
        local::serve(local, router, shutdown).await?;
        tracker.close();
        finish(&granting, &tracker).await;
        is_last.store(true, Relaxed);
        granting.journal.write_whole();
        journal.finish().await
    }
}

/// Waits until requests in progress are answered and their grants are sent, for [`GRACE`] at most.
async fn finish(shared: &Shared, tracker: &TaskTracker) {
    let finished = async {
        tracker.wait().await;
        shared.gateways.finish().await;
    };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        warn!(connections = tracker.len(), "Requests in progress were aborted by the shutdown");
    }
}

/// Warns that authentication or single sign-on is configured but does not take place.
fn warn_of_kept(kept: &cmsg_config::kept::Kept) {
    if kept.oauth.is_enabled {
        warn!("`OauthEnabled` has no effect: only the broker authenticates users");
    }
    if kept.sso.is_enabled {
        warn!("`SsoEnabled` has no effect: users log on to their desktops with their passwords");
    }
}

fn listen(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen::tcp(address).with_context(|| format!("binding `{key}` = `{address}`"))
}

fn listening(key: &str, listener: &TcpListener) -> anyhow::Result<Listen> {
    let address = listener.local_addr().context("reading the bound address")?;
    Ok(Listen { key: key.to_owned(), transport: "tcp".to_owned(), address })
}

async fn sweep(shared: Arc<Shared>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
        shared.expire();
    }
}
