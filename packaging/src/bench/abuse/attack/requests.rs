//! Attacks that send many requests over few connections.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use pcoip_sim::client::{RawConnection, hello_request, xml_request};
use tokio::time::sleep;

use super::{ATTACKER, Counts, Field, Held, Pace};

/// Requests a second whose documents are logged.
pub(super) const LOGGED: u32 = 200;
/// Of the 64 KiB that one document may have in a log.
const LOGGED_TEXT: usize = 60 * 1024;
/// A connection that was refused is not opened again before.
const PAUSE: Duration = Duration::from_millis(200);

/// Sessions that nobody goes on with.
pub(super) fn hellos(field: &Field<'_>, to: SocketAddr, per_second: u32) {
    flood(field, to, per_second, hello_request("localhost"));
}

/// Documents without a session, whose text shows in the log.
pub(super) fn logged(field: &Field<'_>, to: SocketAddr, per_second: u32) {
    let text = "a".repeat(LOGGED_TEXT);
    flood(
        field,
        to,
        per_second,
        xml_request(&format!(
            "<pcoip-client version=\"2.1\"><get-resource-list><label>{text}</label>\
             </get-resource-list></pcoip-client>"
        )),
    );
}

fn flood(field: &Field<'_>, to: SocketAddr, per_second: u32, request: String) {
    let pace = Pace::start(field.runtime, per_second);
    let request: Arc<str> = request.into();
    for _ in 0..field.number {
        let (counts, pace) = (Arc::clone(field.counts), pace.clone());
        let (connector, request) = (field.connector.clone(), Arc::clone(&request));
        field.runtime.spawn(async move {
            loop {
                pace.turn().await;
                if let Ok(mut connection) = connector.connect(ATTACKER, to).await {
                    let _held = Held::count(&counts);
                    send(&mut connection, &pace, &request, &counts).await;
                }
                sleep(PAUSE).await;
            }
        });
    }
}

/// Until the connection ends.
async fn send(connection: &mut RawConnection, pace: &Pace, request: &str, counts: &Counts) {
    loop {
        if connection.send(request.as_bytes()).await.is_err() {
            return;
        }
        counts.sent.fetch_add(1, Relaxed);
        match connection.response().await {
            Ok(200) => counts.answered.fetch_add(1, Relaxed),
            Ok(_) => 0,
            Err(_) => return,
        };
        pace.turn().await;
    }
}
