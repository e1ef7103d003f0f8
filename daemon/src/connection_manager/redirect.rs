//! Redirects HTTP requests to HTTPS.

use std::sync::Arc;

use cmsg_config::{HostAddress, values::Host};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::{Request, body::Incoming};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::https::{
    Timeouts,
    listener::{Content, Listener, speak},
    plain,
};

/// Low, since only people who type `http://` need the redirect.
const MAX_CONNECTIONS: usize = 256;

/// The target of the redirect.
#[derive(Debug, Clone)]
pub(super) struct Secure {
    /// The configured name or address, used instead of that in the request.
    pub(super) host: HostAddress,
    pub(super) port: u16,
}

/// Redirects all requests until the shutdown.
pub(super) async fn serve(
    socket: TcpListener,
    secure: Secure,
    timeouts: impl Fn() -> Timeouts,
    shutdown: CancellationToken,
) {
    let listener = Listener::new(socket, MAX_CONNECTIONS, Arc::default());
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let (head, shutdown, secure) = (timeouts().head, shutdown.clone(), secure.clone());
        tokio::spawn(async move {
            let answer = |request| std::future::ready(answer(&request, &secure));
            let spoken = speak(accepted.stream, head, shutdown, answer);
            tokio::select! {
                () = spoken => {}
                () = accepted.permit.evicted() => {}
            }
        });
    }
}

fn answer(request: &Request<Incoming>, secure: &Secure) -> Response<Content> {
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    // Two `Host` headers are an error (RFC 9112, section 3.2).
    let host = hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = host.and_then(|host| location(host, path, secure));
    let location = location.and_then(|text| HeaderValue::try_from(text).ok());
    let mut response = match location {
        Some(location) => {
            let mut response = plain(StatusCode::PERMANENT_REDIRECT);
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        None => plain(StatusCode::BAD_REQUEST),
    };
    // Further requests would only be redirected too.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The same URL with HTTPS; `None` if the host is invalid.
fn location(host: &str, path: &str, secure: &Secure) -> Option<String> {
    // A user name would only disguise the target of the link.
    if host.contains('@') {
        return None;
    }
    let authority: http::uri::Authority = host.parse().ok()?;
    let host = secure.host.called(authority.host().parse::<Host>().ok()?);
    let port = if secure.port == 443 { String::new() } else { format!(":{}", secure.port) };
    let path = if path.starts_with('/') { path } else { "/" };
    Some(format!("https://{host}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    /// Sends these bytes to port 80 of a Connection Manager with HTTPS on 443, and returns its
    /// response.
    async fn exchange(request: &[u8]) -> String {
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let secure = Secure { host: HostAddress::default(), port: 443 };
        let minute = std::time::Duration::from_secs(60);
        let timeouts = move || Timeouts { handshake: minute, head: minute };
        let serving = tokio::spawn(serve(socket, secure, timeouts, shutdown.clone()));
        let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
        let request = request.to_vec();
        // The server may answer and close the connection before it has read everything.
        let sending = tokio::spawn(async move {
            let _ = writer.write_all(&request).await;
            writer
        });
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer).await;
        drop(sending.await.unwrap());
        shutdown.cancel();
        serving.await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Status and `Location`.
    fn read(answer: &str) -> (&str, Option<&str>) {
        let status = answer.get(9..12).unwrap_or_default();
        let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
        (status, location)
    }

    #[tokio::test]
    async fn every_request_is_redirected_and_the_connection_closed() {
        let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"];
        let paths =
            ["/", "/pcoip-broker/xml", "/pcoip-sg/xml", "/health?x=%0d%0a", "//evil.example/"];
        for method in methods {
            for path in paths {
                let head = format!("{method} {path} HTTP/1.1\r\nHost: cm.example\r\n");
                let answer =
                    exchange(format!("{head}Content-Length: 3\r\n\r\nabc").as_bytes()).await;

                let location = format!("https://cm.example{path}");
                assert_eq!(read(&answer), ("308", Some(location.as_str())), "{method} {path}");
                assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
                let body = answer.split_once("\r\n\r\n").unwrap().1;
                let expected = if method == "HEAD" { "" } else { "Permanent Redirect" };
                assert_eq!(body, expected, "{method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn a_second_request_on_the_connection_is_not_answered() {
        let request = "GET / HTTP/1.1\r\nHost: cm.example\r\n\r\n".repeat(2);

        assert_eq!(exchange(request.as_bytes()).await.matches("HTTP/1.1 308").count(), 1);
    }

    #[tokio::test]
    async fn the_redirect_keeps_the_host_for_any_form_of_target() {
        for (target, location) in [
            ("GET http://evil.example/a?b", "https://cm.example/a?b"),
            ("CONNECT evil.example:25", "https://cm.example/"),
            ("OPTIONS *", "https://cm.example/"),
        ] {
            let request = format!("{target} HTTP/1.1\r\nHost: cm.example\r\n\r\n");

            let answer = exchange(request.as_bytes()).await;

            assert_eq!(read(&answer), ("308", Some(location)), "{target}");
        }
    }

    #[tokio::test]
    async fn a_request_without_a_valid_host_is_refused() {
        let heads = [
            "",
            "Host: \r\n",
            "Host: a b\r\n",
            "Host: cm.example\r\nHost: evil.example\r\n",
            "Host: cm.example@evil.example\r\n",
            "Host: evil.example/\r\n",
            "Host: evil.example#\r\n",
            "Host: cm.example\u{e4}\r\n",
        ];
        for head in heads {
            let answer = exchange(format!("GET / HTTP/1.1\r\n{head}\r\n").as_bytes()).await;

            assert_eq!(read(&answer), ("400", None), "{head:?}");
        }
    }

    #[tokio::test]
    async fn an_invalid_or_oversized_request_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: x\r\n".repeat(1000));
        let path = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1 << 20));
        for (request, statuses) in [
            (long.as_bytes(), ["431", ""]),
            (many.as_bytes(), ["431", ""]),
            (path.as_bytes(), ["414", "431"]),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", ["400", ""]),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ["400", ""]),
        ] {
            let answer = exchange(request).await;

            // The system may drop the response if the request was not read completely.
            let (status, location) = read(&answer);
            assert!(statuses.contains(&status) && location.is_none(), "{answer}");
        }
    }

    #[test]
    fn a_redirect_has_the_same_host_and_path() {
        let table = [
            ("cm.example", "/", 443, Some("https://cm.example/")),
            ("cm.example:8080", "/health?x", 443, Some("https://cm.example/health?x")),
            ("[2001:db8::1]:80", "/", 8443, Some("https://[2001:db8::1]:8443/")),
            ("192.0.2.1", "*", 443, Some("https://192.0.2.1/")),
            ("cm.example@evil.example", "/", 443, None),
            ("cm.example/path", "/", 443, None),
            ("cm.example\u{7f}", "/", 443, None),
            ("a b", "/", 443, None),
            ("", "/", 443, None),
        ];
        for (host, path, port, leads) in table {
            let secure = Secure { host: HostAddress::default(), port };
            assert_eq!(location(host, path, &secure).as_deref(), leads, "{host}");
        }
    }
}
