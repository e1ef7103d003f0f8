//! Detects a PROXY protocol header in place of TLS. A load balancer with this option breaks every
//! connection, and the cause would be hard to find.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::net::TcpStream;
use tracing::warn;

/// The start of version 1, and the signature of version 2.
const VERSIONS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];

/// Peeks at the first bytes of a connection. A PROXY header is logged once.
pub(crate) async fn look(stream: &TcpStream, peer: IpAddr) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    let mut first = [0; 12];
    let Ok(length) = stream.peek(&mut first).await else { return };
    if is_header(&first[..length]) && !IS_SAID.swap(true, Ordering::Relaxed) {
        warn!(
            %peer,
            "Received a PROXY protocol header instead of TLS; disable it on the load balancer"
        );
    }
}

fn is_header(first: &[u8]) -> bool {
    VERSIONS.iter().any(|version| first.starts_with(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_recognised() {
        for (first, is) in [
            (&b"PROXY TCP4 1"[..], true),
            (b"\r\n\r\n\0\r\nQUIT\n", true),
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc", false),
            (b"PROXY", false),
            (b"GET / HTTP/1", false),
            (b"", false),
        ] {
            assert_eq!(is_header(first), is, "{first:?}");
        }
    }
}
