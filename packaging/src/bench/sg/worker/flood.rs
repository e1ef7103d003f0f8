//! The flood: datagrams with unknown SPIs from many addresses, as whole Ethernet frames. They have
//! no UDP checksum, so that the gateway's system does not merge them.

use std::{
    io::IoSlice,
    net::Ipv4Addr,
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, socket,
    },
};

use super::{
    super::{
        network::{COPIES, GATEWAY_OUTSIDE},
        orders::Flood,
    },
    now, wait_until,
};

/// Frames that are sent at once. Each is copied [`COPIES`] times on the way.
const BATCH: usize = 16;
/// Bytes of a datagram.
const PAYLOAD: usize = 64;
const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;
const FRAME: usize = ETHERNET + IP + UDP + PAYLOAD;
/// How often frames are sent, in nanoseconds.
const TICK: u64 = 200_000;

/// Sends for the time of the order. Returns the number of datagrams.
pub(super) fn send(interface: &str, order: &Flood) -> anyhow::Result<u64> {
    let socket = open(interface).context("opening the link of the flood")?;
    let mut frames = vec![frame(order); BATCH];
    let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
    let (mut sent, mut tick) = (0_u64, order.time.from);
    while tick < order.time.until {
        wait_until(tick);
        #[expect(clippy::cast_precision_loss, reason = "a flood takes seconds")]
        let passed = now().min(order.time.until).saturating_sub(order.time.from) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is counted"
        )]
        let due = (passed * order.per_second / 1e9) as u64;
        while sent + (BATCH * COPIES) as u64 <= due && now() < order.time.until {
            for (frame, number) in frames.iter_mut().zip(sent / COPIES as u64..) {
                vary(frame, number);
            }
            let slices: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
            let (none, control) = (vec![None; BATCH], []);
            let fd = socket.as_raw_fd();
            match sendmmsg(fd, &mut headers, slices.iter(), none, control, MsgFlags::empty()) {
                Ok(results) => sent += (results.count() * COPIES) as u64,
                Err(Errno::ENOBUFS | Errno::EAGAIN) => break,
                Err(error) => return Err(error).context("sending the flood"),
            }
        }
        tick = (tick + TICK).max(now().saturating_sub(TICK));
    }
    Ok(sent)
}

fn open(interface: &str) -> anyhow::Result<OwnedFd> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
    let link = getifaddrs()?
        .filter(|found| found.interface_name == interface)
        .find_map(|found| LinkAddr::clone(found.address?.as_link_addr()?).into())
        .with_context(|| format!("there is no interface `{interface}`"))?;
    bind(socket.as_raw_fd(), &link)?;
    Ok(socket)
}

/// A frame, whose varying fields are still zero.
fn frame(order: &Flood) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[..6].copy_from_slice(&order.hardware);
    frame[6..12].copy_from_slice(&[0x02, 0x53, 0x47, 0x00, 3, 2]);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let ip = &mut frame[ETHERNET..];
    let length = u16::try_from(IP + UDP + PAYLOAD).unwrap_or_default();
    (ip[0], ip[8], ip[9]) = (0x45, 64, 17);
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    ip[16..20].copy_from_slice(&GATEWAY_OUTSIDE.octets());
    let udp = &mut ip[IP..];
    udp[2..4].copy_from_slice(&order.port.to_be_bytes());
    let length = u16::try_from(UDP + PAYLOAD).unwrap_or_default();
    udp[4..6].copy_from_slice(&length.to_be_bytes());
    udp[UDP + 4..].fill(0x5a);
    frame
}

/// Gives a frame another source and SPI.
fn vary(frame: &mut [u8; FRAME], number: u64) {
    // Multiplying by an odd number yields each value once.
    let [.., e, f, g, h] = number.to_be_bytes();
    let mixed = u32::from_be_bytes([e, f, g, h]).wrapping_mul(0x9e37_79b1);
    let [a, b, c, d] = mixed.to_be_bytes();
    let ip = &mut frame[ETHERNET..];
    ip[12..16].copy_from_slice(&Ipv4Addr::new(10, 12, a, b).octets());
    ip[10..12].fill(0);
    let sum = checksum(&ip[..IP]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = &mut ip[IP..];
    udp[..2].copy_from_slice(&[c | 0x80, d]);
    udp[UDP..UDP + 4].copy_from_slice(&(mixed | 0x0001_0000).to_be_bytes());
}

/// The checksum of an IPv4 header (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let words =
        header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from(folded & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{super::super::orders::Span, *};

    #[test]
    fn a_frame_has_a_valid_header_and_its_own_source() {
        let time = Span { from: 0, until: 1 };
        let order = Flood { per_second: 1.0, time, hardware: [2; 6], port: 4172 };
        let mut frames = [frame(&order); 2];

        for (frame, number) in frames.iter_mut().zip(7..) {
            vary(frame, number);
        }

        let [one, other] = frames;
        assert_eq!(checksum(&one[ETHERNET..ETHERNET + IP]), 0, "the sum includes the checksum");
        assert_eq!(one[36..40], [0x10, 0x4c, 0, 72], "port and length");
        assert_ne!(one[26..36], other[26..36], "source address and port");
        assert_ne!(one[42..46], other[42..46], "SPI");
        // An example of RFC 1071.
        assert_eq!(checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }
}
