//! The control connections of clients: TLS to a gateway, which stays open.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddrV4},
    ops::RangeInclusive,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use anyhow::{Context as _, bail, ensure};
use jsonwebtoken::EncodingKey;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    runtime::Runtime,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    super::wire::{Kind, Relay, Side, client_ip},
    announce::{Announcer, tag},
    control, now,
};

/// Sessions that are set up at the same time.
const AT_ONCE: usize = 16;
/// Bytes that are written before a sync, about as many as the gateway writes for a session.
const RECORD: usize = 200;

pub(super) struct Controls {
    runtime: Runtime,
    tools: Arc<Tools>,
    /// By relay and session.
    open: HashMap<(u8, u32), TlsStream<TcpStream>>,
}

/// A session that was set up.
struct Opened {
    session: u32,
    /// Microseconds that the announcement took.
    announced: u32,
    stream: TlsStream<TcpStream>,
}

/// What every connection needs.
struct Tools {
    tls: TlsConnector,
    key: EncodingKey,
}

impl Controls {
    /// Uses the certificate of the relays and the key of announcements in this directory.
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let key = fs::read(folder.join("jwt.key")).context("reading the key of announcements")?;
        let key = EncodingKey::from_ec_pem(&key).context("reading the key of announcements")?;
        let tools = Arc::new(Tools { tls: connector(folder)?, key });
        Ok(Self { runtime, tools, open: HashMap::new() })
    }

    /// Announces and connects sessions, if the relay is a gateway. Returns the microseconds that
    /// each announcement took.
    pub(super) fn set_up(
        &mut self,
        relay: &Relay,
        sessions: RangeInclusive<u32>,
    ) -> anyhow::Result<Vec<u32>> {
        if !matches!(relay.kind, Kind::Gateway { .. }) {
            return Ok(Vec::new());
        }
        let next = Arc::new(AtomicU32::new(*sessions.start()));
        let mut tasks = JoinSet::new();
        let opened = self.runtime.block_on(async {
            for _ in sessions.clone().take(AT_ONCE) {
                let (tools, relay) = (Arc::clone(&self.tools), relay.clone());
                let (next, last) = (Arc::clone(&next), *sessions.end());
                tasks.spawn(async move { tools.set_up(&relay, &next, last).await });
            }
            tasks.join_all().await
        });
        let mut announced = Vec::new();
        for opened in opened {
            for Opened { session, announced: micros, stream } in opened? {
                self.open.insert((relay.id, session), stream);
                announced.push(micros);
            }
        }
        Ok(announced)
    }

    /// Announces sessions one after the other, and syncs a file of the same disk after each. Returns
    /// the microseconds that each took.
    pub(super) fn announce(
        &mut self,
        relay: &Relay,
        sessions: RangeInclusive<u32>,
        file: &Path,
    ) -> anyhow::Result<(Vec<u32>, Vec<u32>)> {
        let Kind::Gateway { socket } = &relay.kind else { bail!("the relay is no gateway") };
        let mut file = fs::File::options().append(true).create(true).open(file)?;
        self.runtime.block_on(async {
            let mut announcer = Announcer::connect(socket, relay.id).await?;
            let (mut announced, mut synced) = (Vec::new(), Vec::new());
            for session in sessions {
                let began = now();
                announcer.announce(&self.tools.key, session).await?;
                announced.push(micros_since(began));
                let began = now();
                file.write_all(&[0; RECORD])?;
                file.sync_data().context("syncing a file")?;
                synced.push(micros_since(began));
            }
            Ok((announced, synced))
        })
    }

    /// Closes the connections of sessions.
    pub(super) fn hang_up(&mut self, relay: u8, sessions: RangeInclusive<u32>) {
        for session in sessions {
            if let Some(mut stream) = self.open.remove(&(relay, session)) {
                // The gateway may have closed it already.
                let _ = self.runtime.block_on(stream.shutdown());
            }
        }
    }

    /// Opens the connection of session 1 to a proxy.
    pub(super) fn connect(&mut self, relay: &Relay) -> anyhow::Result<()> {
        let stream = self.runtime.block_on(self.tools.connect(relay, 1))?;
        self.open.insert((relay.id, 1), stream);
        Ok(())
    }

    /// Receives blocks on the connection of session 1. Returns the bytes and nanoseconds.
    pub(super) fn stream(
        &mut self,
        relay: u8,
        block: u32,
        millis: u32,
    ) -> anyhow::Result<(u64, u64)> {
        let stream = self.open.get_mut(&(relay, 1)).context("the session is not connected")?;
        self.runtime.block_on(async {
            let began = now();
            stream.write_all(&control::request(block, millis)).await?;
            stream.flush().await?;
            let mut buffer = vec![0; 1 << 16];
            let mut total = 0;
            loop {
                let read = stream.read(&mut buffer).await.context("reading blocks")?;
                ensure!(read > 0, "the relay closed the connection");
                total += read as u64;
                if buffer[read - 1] == control::LAST {
                    break;
                }
            }
            ensure!(total % u64::from(block) == 0, "{total} bytes are not a number of blocks");
            Ok((total, now() - began))
        })
    }
}

impl Tools {
    /// Sets up the next sessions, until the last one.
    async fn set_up(
        &self,
        relay: &Relay,
        next: &AtomicU32,
        last: u32,
    ) -> anyhow::Result<Vec<Opened>> {
        let Kind::Gateway { socket } = &relay.kind else { bail!("the relay is no gateway") };
        let mut announcer = Announcer::connect(socket, relay.id).await?;
        let mut opened = Vec::new();
        loop {
            let session = next.fetch_add(1, Relaxed);
            if session > last {
                return Ok(opened);
            }
            let began = now();
            announcer.announce(&self.key, session).await?;
            let announced = micros_since(began);
            let stream = self.connect(relay, session).await;
            let stream = stream.with_context(|| format!("connecting session {session}"))?;
            opened.push(Opened { session, announced, stream });
        }
    }

    /// Connects, sends the tag and waits for the agent's answer.
    async fn connect(&self, relay: &Relay, session: u32) -> anyhow::Result<TlsStream<TcpStream>> {
        let to = relay.tls.context("the relay has no TLS")?;
        let stream = tcp(client_ip(session), to).await.context("connecting by TCP")?;
        let name = ServerName::try_from(NAME).context("the name of the certificate")?;
        let mut stream = self.tls.connect(name, stream).await.context("connecting by TLS")?;
        let first = control::first(&tag(relay.id, session), Side::Clients.spi(session));
        stream.write_all(&first).await?;
        stream.flush().await?;
        let answer = control::read(&mut stream).await?;
        answer.context("the relay closed the connection")?;
        Ok(stream)
    }
}

fn micros_since(began: u64) -> u32 {
    u32::try_from((now() - began) / 1000).unwrap_or(u32::MAX)
}

async fn tcp(from: Ipv4Addr, to: SocketAddrV4) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddrV4::new(from, 0).into())?;
    let stream = socket.connect(to.into()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Name in the certificate of the relays.
const NAME: &str = "localhost";

fn connector(folder: &Path) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(folder.join("tls.crt"))? {
        roots.add(certificate?).context("trusting the certificate of the relays")?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
