//! Accepts connections on TCP 4172: a TLS handshake, then a session tag in the first plaintext,
//! each with a timeout. An admitted client is passed to the relay.

use std::{
    cmp::Reverse,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use cmsg_config::values::Host;
use cmsg_proto::{
    TagDigest,
    gateway::{
        Admitted, Search, Shown, canonical,
        chunks::{Item, Reader},
    },
    shares::{Order, Worth},
};
use rustls::{ServerConfig, pki_types::ServerName};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::{
    counters::count,
    relay::{self, Agents},
    state::GatewayState,
};
use crate::{
    limiter::{Files as OpenFiles, Limiter, Permit},
    proxy_header,
    reload::Files,
    tls::{
        Trust, client_config, server_config,
        socket::{Received, ServerSocket},
    },
};

/// What every connection of a client needs.
#[derive(Clone)]
pub(super) struct ControlAcceptor {
    gateway: Arc<GatewayState>,
    tls: Arc<ServerConfig>,
    agents: Agents,
    limiter: Arc<Limiter>,
}

/// Maximum number of connections without a session. A further one replaces the oldest of the
/// address with the most, so that many clients behind one address can reconnect at once.
const UNADMITTED: usize = 4096;

/// How long to wait before accepting again when the system is out of file descriptors.
const PAUSE: Duration = Duration::from_millis(20);

impl ControlAcceptor {
    pub(super) fn new(
        gateway: Arc<GatewayState>,
        config: &cmsg_config::SecurityGateway,
        files: &Files,
    ) -> anyhow::Result<Self> {
        let trust = if config.agent_check {
            Trust::Verify { ca_certificates: config.ca_certificates.clone(), pins: Vec::new() }
        } else {
            Trust::Off
        };
        let sni = config.agent_sni.as_ref().map(server_name).transpose()?;
        // The name in the certificate is verified, but only sent to agents as SNI if configured.
        let mut agents = Arc::unwrap_or_clone(client_config(&trust, files)?);
        agents.enable_sni = sni.is_some();
        Ok(Self {
            gateway,
            tls: server_config(&config.certificate, &config.key, files)?,
            agents: Agents { tls: Arc::new(agents), sni },
            limiter: Limiter::new(OpenFiles::Unadmitted.fit(UNADMITTED), Order::SourceFirst),
        })
    }

    pub(super) async fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        permit: Permit,
    ) -> anyhow::Result<()> {
        let arrived = tokio::select! {
            // A client that is admitted at the same time is kept.
            biased;
            arrived = Box::pin(self.arrive(stream, peer, &permit)) => arrived,
            () = permit.evicted() => {
                count(&self.gateway.counters.refusals.crowded);
                bail!("closed to make room: too many connections without a session");
            }
        };
        drop(permit);
        let (client, start) = arrived?;
        relay::run(&self.gateway, &self.agents, client, start).await;
        Ok(())
    }

    async fn arrive(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        permit: &Permit,
    ) -> anyhow::Result<(ServerSocket, relay::Start)> {
        relay::keep_alive(&stream);
        let refusals = &self.gateway.counters.refusals;
        let timeouts = self.gateway.timeouts();
        let handshake = timeout(timeouts.tls_handshake, async {
            proxy_header::look(&stream, peer.ip()).await;
            ServerSocket::accept(stream, Arc::clone(&self.tls)).await
        });
        let handshake = handshake.await.context("the TLS handshake timed out");
        let mut client = handshake
            .and_then(|client| client.context("TLS handshake"))
            .inspect_err(|_| count(&refusals.no_tls))?;
        permit.set_worth(Worth::Started);
        let admission = timeout(timeouts.tag, self.admit(&mut client, peer.ip())).await;
        let admission = admission.context("timed out waiting for a session tag");
        let (admitted, ended, first) =
            admission.flatten().inspect_err(|_| count(&refusals.no_tag))?;
        Ok((client, relay::Start { admitted, ended, first }))
    }

    /// Reads until it finds the tag of an announced session, which may be announced meanwhile. The
    /// bytes read belong to the agent.
    async fn admit(
        &self,
        client: &mut ServerSocket,
        from: IpAddr,
    ) -> anyhow::Result<(Admitted, CancellationToken, Zeroizing<Vec<u8>>)> {
        let mut announcements = self.gateway.announcements();
        let mut seen = Zeroizing::new(Vec::new());
        // A read may return more, which is not searched.
        let mut length = 0;
        let mut candidates = Candidates::default();
        let mut open: Option<Open> = None;
        loop {
            announcements.mark_unchanged();
            let shown = candidates.shown(&seen[..length], &self.gateway.tag_lengths());
            open = match self.announced(&shown) {
                Some(found)
                    if found.is_whole
                        || length == Search::MAX_BYTES
                        || is_over(open, found.tag) =>
                {
                    if let Some((admitted, ended)) = self.gateway.admit(&[found.tag], from) {
                        return Ok((admitted, ended, seen));
                    }
                    None
                }
                Some(found) => {
                    open.filter(|open| open.tag == found.tag).or(Some(Open::of(found.tag)))
                }
                None => None,
            };
            if length == Search::MAX_BYTES {
                bail!("no announced session tag in the first {length} bytes");
            }
            let read = tokio::select! {
                read = client.read(&mut seen) => read.context("reading the session tag")?,
                Ok(()) = announcements.changed(), if candidates.are_any() => continue,
                () = until(open), if open.is_some() => continue,
            };
            if read == Received::Closed {
                bail!("the client closed the connection before it sent a session tag");
            }
            let searched = seen.len().min(Search::MAX_BYTES);
            candidates.read(&seen[length..searched]);
            length = searched;
        }
    }

    /// The longest announced tag.
    fn announced(&self, shown: &[Shown]) -> Option<Shown> {
        let tag = {
            let tags: Vec<_> = shown.iter().map(|shown| shown.tag).collect();
            self.gateway.announced(&tags)?
        };
        shown.iter().find(|shown| shown.tag == tag).copied()
    }
}

/// An announced tag that may be the prefix of a longer one.
#[derive(Debug, Clone, Copy)]
struct Open {
    tag: TagDigest,
    until: Instant,
}

impl Open {
    /// How long to wait for bytes after a tag.
    const WAIT: Duration = Duration::from_millis(200);

    fn of(tag: TagDigest) -> Self {
        Self { tag, until: Instant::now() + Self::WAIT }
    }
}

/// Whether nothing followed the tag within [`Open::WAIT`].
fn is_over(open: Option<Open>, tag: TagDigest) -> bool {
    open.is_some_and(|open| open.tag == tag && Instant::now() >= open.until)
}

async fn until(open: Option<Open>) {
    if let Some(open) = open {
        sleep_until(open.until).await;
    }
}

/// Possible tags in the first bytes of a connection. A client may connect before its announcement.
#[derive(Default)]
struct Candidates {
    reader: Reader,
    search: Search,
    /// Tags in chunks.
    named: Vec<TagDigest>,
}

impl Candidates {
    /// Maximum number of tags in chunks; a client sends one.
    const MAX_NAMED: usize = 16;

    /// Parses the next bytes as chunks.
    fn read(&mut self, bytes: &[u8]) {
        let mut found = Vec::new();
        self.reader.read(bytes, &mut found);
        let tag = |found| if let Item::Tag(tag) = found { Some(tag) } else { None };
        let room = Self::MAX_NAMED - self.named.len();
        self.named.extend(found.into_iter().filter_map(tag).take(room));
    }

    /// Whether one of them may belong to a session that is announced later.
    fn are_any(&self) -> bool {
        !self.named.is_empty() || self.search.is_on_to_something()
    }

    /// The possible tags in all bytes so far, the longest first. A tag in a chunk takes precedence.
    /// The bytes are only searched if they have another layout, or their first message has no tag.
    fn shown(&mut self, seen: &[u8], lengths: &[usize]) -> Vec<Shown> {
        let mut shown: Vec<_> =
            self.named.iter().map(|tag| Shown { tag: *tag, is_whole: true }).collect();
        let is_parsed = self.reader.understands() && !self.reader.has_message();
        if shown.is_empty() && !is_parsed {
            shown = self.search.advance(seen, lengths);
        }
        shown.sort_by_key(|shown| (Reverse(shown.tag.length), !shown.is_whole));
        shown
    }
}

impl std::fmt::Debug for ControlAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlAcceptor").finish_non_exhaustive()
    }
}

/// Accepts connections until the shutdown, and then closes the open ones.
pub(super) async fn accept(
    listener: TcpListener,
    acceptor: Arc<ControlAcceptor>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, canonical(peer)),
            Err(error) => {
                // If file descriptors have run out, an evicted connection frees one.
                if !acceptor.limiter.relieve() {
                    warn!(%error, "Failed to accept a connection");
                }
                sleep(PAUSE).await;
                continue;
            }
        };
        // Connections without a session can always be evicted.
        let Some(permit) = acceptor.limiter.enter(peer.ip(), Worth::Idle) else { continue };
        let acceptor = Arc::clone(&acceptor);
        let stop = stop.clone();
        tasks.spawn(async move {
            let served = stop.run_until_cancelled(acceptor.serve(stream, peer, permit)).await;
            if let Some(Err(error)) = served {
                debug!(%peer, error = format!("{error:#}"), "Not admitted");
            }
        });
    }
}

fn server_name(host: &Host) -> anyhow::Result<ServerName<'static>> {
    ServerName::try_from(host.as_str().to_owned())
        .with_context(|| format!("`AgentSni` {host} is not a valid server name"))
}
