//! Attacks with datagrams.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::net::UdpSocket;

use super::{super::clients::KEPT, Field, Pace};

/// Datagrams per second that belong to no session.
pub(super) const UNKNOWN: u32 = 2000;
/// Datagrams per second with an SPI of the kept session.
const DIVERTING: u32 = 50;

/// Datagrams with an SPI of a session, from other ports of its client's address. Their sequence
/// numbers are near those of the session.
pub(super) fn diverting(field: &Field<'_>, to: SocketAddr, spi: u32) {
    // The first byte identifies the attacker, and is not part of a plausible sequence number.
    send(field, to, DIVERTING, |_| KEPT, move |sequence| datagram(spi, sequence & 0x00ff_ffff));
}

/// Datagrams with unknown SPIs, half of them from the address of the kept session.
pub(super) fn unknown(field: &Field<'_>, to: SocketAddr, per_second: u32) {
    let source = |number: u8| match number % 2 {
        0 => KEPT,
        _ => Ipv4Addr::new(127, 0, 9, number).into(),
    };
    // Multiplying by an odd number yields each SPI once.
    let spi = |sequence: u32| sequence.wrapping_mul(0x9e37_79b1) | 0x0001_0000;
    send(field, to, per_second, source, move |sequence| datagram(spi(sequence), sequence));
}

fn send(
    field: &Field<'_>,
    to: SocketAddr,
    per_second: u32,
    source: impl Fn(u8) -> IpAddr,
    compose: impl Fn(u32) -> [u8; 64] + Copy + Send + 'static,
) {
    let pace = Pace::start(field.runtime, per_second);
    for number in 0..u8::try_from(field.number).unwrap_or(u8::MAX) {
        let (counts, pace) = (Arc::clone(field.counts), pace.clone());
        let source = source(number);
        field.runtime.spawn(async move {
            let Ok(socket) = UdpSocket::bind((source, 0)).await else { return };
            let mut sequence = u32::from(number) << 24;
            loop {
                pace.turn().await;
                sequence = sequence.wrapping_add(1);
                if socket.send_to(&compose(sequence), to).await.is_ok() {
                    counts.sent.fetch_add(1, Relaxed);
                }
            }
        });
    }
}

fn datagram(spi: u32, sequence: u32) -> [u8; 64] {
    let mut bytes = [0x5a; 64];
    bytes[..4].copy_from_slice(&spi.to_be_bytes());
    bytes[4..8].copy_from_slice(&sequence.to_be_bytes());
    bytes
}
