//! Who comes to TCP 4172: a TLS handshake, then a session tag among the first plaintext, both within
//! their time. Who is admitted is handed to the relay.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use cmsg_config::{security_gateway::Timeouts, values::Host};
use cmsg_proto::gateway::{
    Admitted, Arrival, Search, canonical,
    chunks::{Found, Reader},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::{
    gate::Gate,
    limits::{Limits, Place},
    relay::{self, Agents},
    sockets::seen_at,
};
use crate::tls::{Trust, client_config, server_config};

/// Everything that a client's connection needs.
#[derive(Clone)]
pub(super) struct Door {
    gate: Arc<Gate>,
    tls: TlsAcceptor,
    agents: Agents,
    limits: Arc<Limits>,
    timeouts: Timeouts,
}

/// Connections that may be without a session at once, in all and from one source. An office behind
/// one address may come back all at once.
const UNADMITTED: (usize, usize) = (4096, 512);

/// After which accepting is tried again where the system has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

impl Door {
    pub(super) fn new(
        gate: Arc<Gate>,
        config: &cmsg_config::SecurityGateway,
    ) -> anyhow::Result<Self> {
        let trust = if config.agent_check {
            Trust::Verify { ca_certificates: config.ca_certificates.clone(), pins: Vec::new() }
        } else {
            Trust::Off
        };
        let sni = config.agent_sni.as_ref().map(server_name).transpose()?;
        let (in_all, from_one) = UNADMITTED;
        Ok(Self {
            gate,
            tls: TlsAcceptor::from(server_config(&config.certificate, &config.key)?),
            agents: Agents {
                tls: TlsConnector::from(client_config(&trust)?),
                sni,
                handshake: config.timeouts.tls_handshake,
            },
            limits: Limits::new(in_all, from_one),
            timeouts: config.timeouts,
        })
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr, place: Place) -> anyhow::Result<()> {
        relay::keep_alive(&stream);
        let arrival = Arrival { from: peer.ip(), at: seen_at(&stream, peer) };
        let handshake = timeout(self.timeouts.tls_handshake, self.tls.accept(stream)).await;
        let mut client = handshake.context("no TLS handshake in time")?.context("TLS handshake")?;
        let admission = timeout(self.timeouts.tag, self.admit(&mut client, arrival)).await;
        let (admitted, ended, first) = admission.context("no session tag in time")??;
        drop(place);
        relay::run(&self.gate, &self.agents, client, relay::Start { admitted, ended, first }).await;
        Ok(())
    }

    /// Reads until a tag is found that was announced. What was read is the agent's.
    async fn admit(
        &self,
        client: &mut TlsStream<TcpStream>,
        arrival: Arrival,
    ) -> anyhow::Result<(Admitted, CancellationToken, Zeroizing<Vec<u8>>)> {
        let mut seen = Zeroizing::new(vec![0; Search::MAX_BYTES]);
        let mut length = 0;
        let (mut reader, mut search) = (Reader::default(), Search::default());
        while length < seen.len() {
            let read = client.read(&mut seen[length..]).await.context("reading the session tag")?;
            if read == 0 {
                bail!("the client closed before it showed a session tag");
            }
            let mut found = Vec::new();
            reader.read(&seen[length..length + read], &mut found);
            length += read;
            let tag = |found| if let Found::Tag(tag) = found { Some(tag) } else { None };
            let mut tags: Vec<_> = found.into_iter().filter_map(tag).collect();
            tags.extend(search.advance(&seen[..length], &self.gate.tag_lengths()));
            if tags.is_empty() {
                continue;
            }
            if let Some((admitted, ended)) = self.gate.admit(&tags, arrival) {
                seen.truncate(length);
                return Ok((admitted, ended, seen));
            }
        }
        bail!("no announced session tag in the first {length} bytes");
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

/// Accepts until the shutdown. Connections that are open then are closed.
pub(super) async fn accept(
    listener: TcpListener,
    door: Arc<Door>,
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
                warn!(%error, "Accepting a connection failed");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = door.limits.enter(peer.ip()) else {
            debug!(%peer, "Too many connections without a session");
            continue;
        };
        let door = Arc::clone(&door);
        let stop = stop.clone();
        tasks.spawn(async move {
            let served = stop.run_until_cancelled(door.serve(stream, peer, place)).await;
            if let Some(Err(error)) = served {
                debug!(%peer, error = format!("{error:#}"), "Not admitted");
            }
        });
    }
}

fn server_name(host: &Host) -> anyhow::Result<ServerName<'static>> {
    ServerName::try_from(host.as_str().to_owned())
        .with_context(|| format!("`AgentSni` {host} is no server name"))
}
