//! Attacks that keep connections open, and replace those that are closed.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use super::{ATTACKER, Counts, Field, Held, Pace};

/// Maximum number of connections opened per second.
const OPENED: u32 = 2000;
/// Maximum number of TLS connections opened per second.
const OPENED_WITH_TLS: u32 = 200;

/// Maximum body size of the Connection Manager in bytes.
const BODY: usize = 1 << 20;
const PIECE: usize = 1 << 16;

/// Connections that send nothing, distributed over these addresses.
pub(super) fn bare(field: &Field<'_>, to: SocketAddr, sources: &[IpAddr]) {
    let pace = Pace::start(field.runtime, OPENED);
    for (_, source) in (0..field.number).zip(sources.iter().copied().cycle()) {
        let (counts, pace) = (Arc::clone(field.counts), pace.clone());
        field.runtime.spawn(async move {
            loop {
                pace.turn().await;
                if let Ok(mut stream) = connect(source, to).await {
                    let _held = Held::count(&counts);
                    let _ = stream.read_u8().await;
                }
            }
        });
    }
}

async fn connect(from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// Requests with one byte of the body per second.
pub(super) fn slow_posts(field: &Field<'_>, to: SocketAddr) {
    let pace = Pace::start(field.runtime, OPENED_WITH_TLS);
    for _ in 0..field.number {
        let (counts, pace) = (Arc::clone(field.counts), pace.clone());
        let connector = field.connector.clone();
        field.runtime.spawn(async move {
            loop {
                pace.turn().await;
                let Ok(mut connection) = connector.connect(ATTACKER, to).await else { continue };
                let _held = Held::count(&counts);
                if connection.send(head(1000).as_bytes()).await.is_err() {
                    continue;
                }
                counts.sent.fetch_add(1, Relaxed);
                loop {
                    tokio::select! {
                        () = connection.stirred() => break,
                        () = sleep(Duration::from_secs(1)) => {}
                    }
                    if connection.send(b" ").await.is_err() {
                        break;
                    }
                }
            }
        });
    }
}

/// Concurrent bodies, each without its last byte. None is sent twice.
pub(super) fn bodies(field: &Field<'_>, to: SocketAddr) {
    let pace = Pace::start(field.runtime, OPENED_WITH_TLS);
    for _ in 0..field.number {
        let (counts, pace) = (Arc::clone(field.counts), pace.clone());
        let connector = field.connector.clone();
        field.runtime.spawn(async move {
            pace.turn().await;
            let Ok(mut connection) = connector.connect(ATTACKER, to).await else { return };
            let _held = Held::count(&counts);
            tokio::select! {
                () = unfinished(&mut connection, &counts) => {}
                // A limit refused the body, so sending the rest does not matter.
                () = sleep(Duration::from_secs(120)) => {}
            }
        });
    }
}

async fn unfinished(connection: &mut pcoip_sim::client::RawConnection, counts: &Counts) {
    let piece = [b' '; PIECE];
    if connection.send(head(BODY).as_bytes()).await.is_err() {
        return;
    }
    for sent in (0..BODY).step_by(PIECE) {
        let rest = (BODY - 1 - sent).min(PIECE);
        if connection.send(&piece[..rest]).await.is_err() {
            return;
        }
    }
    counts.sent.fetch_add(1, Relaxed);
    connection.stirred().await;
}

fn head(length: usize) -> String {
    format!(
        "POST /pcoip-broker/xml HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}
