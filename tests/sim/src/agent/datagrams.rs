//! The agent's end of all data channels: each valid datagram is answered with another one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::UdpSocket;

use super::{Event, Shared};
use crate::datagram::{Datagram, DatagramSize};
use crate::traffic::Direction;

pub(super) async fn serve(shared: Arc<Shared>, socket: UdpSocket) {
    let mut buffer = vec![0; BUFFER];
    loop {
        // The error is about an earlier response that was not delivered.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let bytes = buffer.get(..length).unwrap_or_default();
        shared.traffic.count_datagram(Direction::ToAgent, length);
        match answer(&shared, bytes, from) {
            Ok(None) => {}
            Ok(Some(answer)) => {
                if socket.send_to(&answer, from).await.is_ok() {
                    shared.traffic.count_datagram(Direction::ToClient, answer.len());
                }
            }
            Err(what) => {
                if shared.rejected.fetch_add(1, Ordering::Relaxed) < MAX_VIOLATIONS {
                    shared.violation(format!("datagram from `{from}`: {what}"));
                }
            }
        }
    }
}

fn answer(shared: &Shared, bytes: &[u8], from: SocketAddr) -> Result<Option<Vec<u8>>, String> {
    let datagram = shared.format().parse(bytes).map_err(|error| error.to_string())?;
    let size = DatagramSize::new(bytes.len()).map_err(|error| error.to_string())?;
    let answered = shared.sessions().answer(shared.options.requires, datagram.spi, from);
    let Some(channel) = answered.map_err(|error| error.to_string())? else { return Ok(None) };
    shared.source_ports().insert(from.port());
    if channel.answered == 1 {
        let [spi, answer_spi] = [datagram.spi, channel.to_client].map(|spi| format!("{spi:08x}"));
        let session_id = channel.session.decimal();
        shared.events.emit(Event::Udp { from, session_id, spi, answer_spi });
    }
    let answer =
        Datagram { spi: channel.to_client, sequence: channel.answered, index: datagram.index };
    Ok(Some(shared.format().compose(answer, size)))
}

const BUFFER: usize = 65_536;
/// Only this many invalid datagrams are reported; all are counted.
const MAX_VIOLATIONS: u64 = 16;
