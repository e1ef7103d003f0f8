//! The gateway's HTTPS listener, for hosts without a Connection Manager: announcements and grants of
//! Connection Managers on other hosts, and health checks of load balancers.

use std::{fmt, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use cmsg_config::{security_gateway::Timeouts, socket::Listen};
use cmsg_proto::{
    control::{self, CONTENT_TYPE, GRANT_PATH, MAX_BYTES, PATH},
    failover::Grant,
    shares::Worth,
};
use http::{Method, Response, StatusCode};
use hyper::{Request, body::Incoming};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::announce::AnnouncementHandler;
use crate::{
    https::{
        self, Client, HEALTH, Server, beside_get,
        bodies::{Account, Bodies},
        content,
        listener::{Content, Listener},
        not_allowed, path, plain, whole,
    },
    listen,
    reload::Files,
    tls,
};

/// Maximum number of connections. Only Connection Managers and load balancers connect.
const CONNECTIONS: usize = 4096;

/// The bound port, which is not served yet.
pub(super) struct Https {
    socket: TcpListener,
    acceptor: TlsAcceptor,
}

impl Https {
    /// Binds the port, if `HttpsListenAddress` is set.
    pub(super) fn bind(
        config: &cmsg_config::SecurityGateway,
        files: &Files,
    ) -> anyhow::Result<Option<Self>> {
        let Some(address) = config.https_listen else { return Ok(None) };
        Ok(Some(Self {
            socket: listen::tcp(address)
                .with_context(|| format!("binding `HttpsListenAddress` = `{address}`"))?,
            acceptor: tls::server_config(&config.certificate, &config.key, files)?.into(),
        }))
    }

    /// The bound address. It has the name of the Connection Manager's listener, which it replaces.
    pub(super) fn listens(&self) -> anyhow::Result<Listen> {
        let address = self.socket.local_addr().context("reading the bound address")?;
        Ok(Listen { key: "broker".to_owned(), transport: "tcp".to_owned(), address })
    }

    /// Serves requests until the shutdown.
    pub(super) async fn serve(
        self,
        handler: Arc<AnnouncementHandler>,
        connections: TaskTracker,
        shutdown: CancellationToken,
    ) {
        let server = Server {
            listener: Listener::new(self.socket, CONNECTIONS, Arc::default()),
            acceptor: self.acceptor,
            timeouts: {
                let gateway = Arc::clone(&handler.gateway);
                Box::new(move || {
                    let Timeouts { tls_handshake, http_head, .. } = gateway.timeouts();
                    https::Timeouts { handshake: tls_handshake, head: http_head }
                })
            },
            shutdown,
        };
        let bodies = Bodies::new();
        let answer = move |client: Client, request| {
            let handler = Arc::clone(&handler);
            let account = bodies.account(client.peer, Worth::Idle, client.place.cut_off());
            async move { answer(&handler, &account, request).await }
        };
        server.run(connections, answer).await;
    }
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Https").field("socket", &self.socket).finish_non_exhaustive()
    }
}

async fn answer(
    handler: &AnnouncementHandler,
    account: &Account,
    request: Request<Incoming>,
) -> Response<Content> {
    match (path(&request), request.method()) {
        (PATH, &Method::POST) => {
            announcement(handler, account, request).await.unwrap_or_else(plain)
        }
        (GRANT_PATH, &Method::POST) => grant(handler, account, request).await.unwrap_or_else(plain),
        (PATH | GRANT_PATH, _) => not_allowed("POST"),
        (HEALTH | control::HEALTH, &Method::GET | &Method::HEAD) => handler.health(),
        (HEALTH | control::HEALTH, method) => beside_get(method),
        _ => plain(StatusCode::NOT_FOUND),
    }
}

async fn announcement(
    handler: &AnnouncementHandler,
    account: &Account,
    request: Request<Incoming>,
) -> Result<Response<Content>, StatusCode> {
    let (head, body) = request.into_parts();
    let body = whole(body, MAX_BYTES, account.buffer()).await?;
    let (status, reply) = handler.answer(&head.headers, Ok(Bytes::from_owner(body))).await;
    Ok(content(status, CONTENT_TYPE, Content::whole(reply.render())))
}

async fn grant(
    handler: &AnnouncementHandler,
    account: &Account,
    request: Request<Incoming>,
) -> Result<Response<Content>, StatusCode> {
    let token = whole(request.into_body(), Grant::MAX_BYTES, account.buffer()).await?;
    Ok(handler.grant(&token))
}
