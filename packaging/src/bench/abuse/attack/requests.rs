//! Attacks with many requests over few connections.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use pcoip_sim::client::{RawConnection, hello_request, xml_request};
use tokio::time::sleep;

use super::{ATTACKER, Counts, Field, Held, Pace};

/// Requests per second whose documents are logged.
pub(super) const LOGGED: u32 = 200;
/// Size of a document in bytes, close to the maximum of a log line.
const LOGGED_TEXT: usize = 60 * 1024;
/// Pause before a refused connection is opened again.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens sessions without using them.
pub(super) fn hellos(field: &Field<'_>, to: SocketAddr, per_second: u32) {
    flood(field, to, per_second, hello_request("localhost"));
}

/// Documents without a session whose text is logged.
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

/// Sends requests until the connection closes.
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
