//! Plain HTTP: every request is sent to HTTPS.

use std::{sync::Arc, time::Duration};

use cmsg_config::values::Host;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::{Request, body::Incoming};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::https::{
    listener::{Content, Listener, speak},
    plain,
};

/// It is for people who forgot the `s`.
const MAX_CONNECTIONS: usize = 256;

/// Sends everybody to HTTPS on that port until the shutdown.
pub(super) async fn serve(
    socket: TcpListener,
    secure: u16,
    head: Duration,
    shutdown: CancellationToken,
) {
    let listener = Listener::new(socket, MAX_CONNECTIONS, Arc::default());
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let answer = |request| std::future::ready(answer(&request, secure));
            speak(accepted.stream, head, shutdown, answer).await;
            drop(accepted.place);
        });
    }
}

fn answer(request: &Request<Incoming>, secure: u16) -> Response<Content> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = host.and_then(|host| location(host, path, secure));
    let Some(location) = location.and_then(|text| HeaderValue::try_from(text).ok()) else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let mut response = plain(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The same place over HTTPS; `None` where the host is none.
fn location(host: &str, path: &str, secure: u16) -> Option<String> {
    let authority: http::uri::Authority = host.parse().ok()?;
    let host: Host = authority.host().parse().ok()?;
    let port = if secure == 443 { String::new() } else { format!(":{secure}") };
    let path = if path.starts_with('/') { path } else { "/" };
    Some(format!("https://{host}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_the_same_host_over_https() {
        let table = [
            ("cm.example", "/", 443, Some("https://cm.example/")),
            ("cm.example:8080", "/health?x", 443, Some("https://cm.example/health?x")),
            ("[2001:db8::1]:80", "/", 8443, Some("https://[2001:db8::1]:8443/")),
            ("192.0.2.1", "*", 443, Some("https://192.0.2.1/")),
            ("user@evil.example", "/", 443, Some("https://evil.example/")),
            ("a b", "/", 443, None),
            ("", "/", 443, None),
        ];
        for (host, path, port, leads) in table {
            assert_eq!(location(host, path, port).as_deref(), leads, "{host}");
        }
    }
}
