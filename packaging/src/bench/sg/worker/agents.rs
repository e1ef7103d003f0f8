//! The agents' end of control connections: answers the first message, and sends blocks on request.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    super::wire::{PORT, Side, session_of},
    control,
};

/// Serves until it is dropped.
pub(super) struct Agents {
    _runtime: Runtime,
}

const BACKLOG: u32 = 1024;

impl Agents {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let acceptor = acceptor(folder)?;
        let listener = {
            let _entered = runtime.enter();
            let socket = TcpSocket::new_v4()?;
            socket.bind((Ipv4Addr::UNSPECIFIED, PORT).into()).context("binding TCP")?;
            socket.listen(BACKLOG).context("listening")?
        };
        runtime.spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    // The client notices if its agent fails.
                    tokio::spawn(async move { serve(stream, acceptor).await.ok() });
                }
            }
        });
        Ok(Self { _runtime: runtime })
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let IpAddr::V4(own) = stream.local_addr()?.ip() else { return Ok(()) };
    let mut stream = acceptor.accept(stream).await?;
    if control::read(&mut stream).await?.is_none() {
        return Ok(());
    }
    stream.write_all(&control::answer(Side::Agents.spi(session_of(own)))).await?;
    stream.flush().await?;
    while let Some(body) = control::read(&mut stream).await? {
        if let Some((block, millis)) = control::requested(&body) {
            send_blocks(&mut stream, block, Duration::from_millis(millis.into())).await?;
        }
    }
    Ok(())
}

async fn send_blocks(
    stream: &mut TlsStream<TcpStream>,
    block: u32,
    time: Duration,
) -> anyhow::Result<()> {
    let mut block = control::block(block as usize);
    let end = Instant::now() + time;
    while Instant::now() < end {
        stream.write_all(&block).await?;
        stream.flush().await?;
    }
    if let Some(last) = block.last_mut() {
        *last = control::LAST;
    }
    stream.write_all(&block).await?;
    stream.flush().await?;
    Ok(())
}

fn acceptor(folder: &Path) -> anyhow::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_file(folder.join("tls.crt"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
