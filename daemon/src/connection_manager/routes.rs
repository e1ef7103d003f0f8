//! The HTTPS paths for clients, load balancers and other hosts, and the conversion of HTTP requests
//! to exchanges.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cmsg_config::values::BrokerUrl;
use cmsg_proto::{
    broker::{ClientCookie, Invalid},
    control,
    shares::Worth,
    xml,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::{Request, body::Incoming};
use tracing::debug;

use super::{
    exchange::{self, Answer, Asked},
    forward, health,
    request_log::as_error,
    shared::Shared,
};
use crate::https::{
    Client, HEALTH, beside_get,
    bodies::{Kept, LONG},
    content,
    listener::Content,
    not_allowed, path, plain, whole,
};

/// Maximum size of a request without a session, in bytes; a logon has a few kilobytes.
const STRANGERS_BODY: usize = 64 * 1024;

/// Handles one HTTP request.
pub(super) async fn answer(
    shared: &Shared,
    client: Client,
    request: Request<Incoming>,
) -> Response<Content> {
    match (path(&request), request.method()) {
        (BrokerUrl::PATH, &Method::POST) => {
            broker(shared, client, request).await.unwrap_or_else(plain)
        }
        (BrokerUrl::PATH, _) => not_allowed("POST"),
        (HEALTH, &Method::GET | &Method::HEAD) => health::answer(shared).await,
        (control::HEALTH, method) => match shared.gateways.own() {
            Some(own) if matches!(*method, Method::GET | Method::HEAD) => {
                health::of_gateway(own).await
            }
            Some(_) => beside_get(method),
            None => plain(StatusCode::NOT_FOUND),
        },
        (HEALTH, method) => beside_get(method),
        (control::GRANT_PATH, method) => match shared.gateways.own() {
            Some(own) if *method == Method::POST => {
                forward::grant(shared, own, client, request).await.unwrap_or_else(plain)
            }
            Some(_) => not_allowed("POST"),
            None => plain(StatusCode::NOT_FOUND),
        },
        (control::PATH, method) => match shared.gateways.own() {
            Some(own) if *method == Method::POST => {
                forward::announcement(shared, own, client, request).await.unwrap_or_else(plain)
            }
            Some(_) => not_allowed("POST"),
            None => plain(StatusCode::NOT_FOUND),
        },
        _ => plain(StatusCode::NOT_FOUND),
    }
}

/// Handles a request of the broker protocol. Anything else is refused with an HTTP status.
async fn broker(
    shared: &Shared,
    client: Client,
    request: Request<Incoming>,
) -> Result<Response<Content>, StatusCode> {
    let (head, body) = request.into_parts();
    let client = Client { peer: shared.client(client.peer, &head.headers), ..client };
    if !is_xml(&head.headers) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let cookie = texts(&head.headers, header::COOKIE.as_str()).find_map(ClientCookie::find);
    let worth = shared.worth(cookie.as_ref());
    let number = shared.number(cookie.as_ref());
    let account = shared.bodies.account(client.peer, worth, client.place.cut_off());
    let account = account.for_session(number, client.connection);
    client.place.belongs_to(worth, client.peer);
    keep(shared, &client, worth, number);
    let limit = if is_stranger(worth) { STRANGERS_BODY } else { xml::MAX_BYTES };
    let asked = Asked {
        body: whole(body, limit, account.buffer()).await?,
        account,
        cookie,
        log_id: texts(&head.headers, "client-log-id").find_map(|id| id.trim().parse().ok()),
        shed: AtomicBool::new(false),
    };
    let _answering = match number {
        Some(number) => Some(shared.held.begin(number).ok_or(StatusCode::TOO_MANY_REQUESTS)?),
        None => None,
    };
    client.place.answer_begun();
    let exchanged = exchanged(shared, &client, worth, &asked).await?;
    // The memory of the request is free while the answer is delayed.
    let cookie = asked.cookie.clone();
    drop(asked);
    match exchanged {
        Ok(answer) => {
            shared.logons.delay(client.peer, answer.delay).await;
            let cookie = answer.cookie.as_ref().or(cookie.as_ref());
            let worth = shared.worth(cookie);
            client.place.session_is_worth(worth);
            keep(shared, &client, worth, shared.number(cookie));
            Ok(response(&client, answer))
        }
        Err(error) => {
            let (c, client, error) = (client.connection, client.peer, as_error(&error));
            debug!(c, %client, error, "A request was refused");
            Err(StatusCode::BAD_REQUEST)
        }
    }
}

fn response(client: &Client, answer: Answer) -> Response<Content> {
    let document = document(client, answer.kept, answer.document);
    let mut response = content(StatusCode::OK, "application/xml; charset=UTF-8", document);
    let cookie = answer.cookie.map(|cookie| HeaderValue::from_str(&cookie.set_cookie()));
    if let Some(Ok(cookie)) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// The response body. A long one keeps its memory until it is sent.
fn document(client: &Client, kept: Option<Kept>, document: String) -> Content {
    let Some(kept) = kept else { return Content::chunked(document) };
    if document.len() > LONG {
        client.place.announce_long_answer();
    }
    Content::chunked(kept.hold(document))
}

/// Protects the connection from eviction if its session belongs to a logged-on user.
fn keep(shared: &Shared, client: &Client, worth: Worth, session: Option<u64>) {
    if let (Worth::User, Some(number)) = (worth, session) {
        shared.held.keep(number, &client.place);
    }
}

/// Runs the exchange, unless it is evicted for the request of another client.
async fn exchanged(
    shared: &Shared,
    client: &Client,
    worth: Worth,
    asked: &Asked,
) -> Result<Result<Answer, Invalid>, StatusCode> {
    let permit = match is_stranger(worth) {
        true => shared.strangers.enter_unless_fullest(client.peer).map(Some).ok_or(()),
        false => Ok(None),
    };
    let evicted = async {
        match &permit {
            Ok(Some(permit)) => permit.evicted().await,
            Ok(None) => std::future::pending().await,
            Err(()) => {}
        }
        asked.shed.store(true, Relaxed);
    };
    let out_of_memory = async {
        asked.body.evicted().await;
        asked.shed.store(true, Relaxed);
    };
    tokio::select! {
        biased;
        () = evicted => {
            shared.unserved.strangers.fetch_add(1, Relaxed);
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
        () = out_of_memory => Err(StatusCode::SERVICE_UNAVAILABLE),
        answered = exchange::answer(shared, client.clone(), asked) => Ok(answered),
    }
}

/// Whether the user has not given a correct password yet.
fn is_stranger(worth: Worth) -> bool {
    worth < Worth::FirstFactor
}

/// Clients send `text/xml` or `application/xml`, and some send no `Content-Type`.
fn is_xml(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split([';', ' ']).next().unwrap_or_default();
    ["text/xml", "application/xml"].iter().any(|known| essence.eq_ignore_ascii_case(known))
}

fn texts<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| (name.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn only_xml_is_accepted() {
        for (kind, taken) in [
            ("text/xml; charset=UTF-8", true),
            ("application/xml charset=UTF-8", true),
            ("Application/XML", true),
            ("application/json", false),
            ("application/xmlx", false),
            ("", false),
        ] {
            assert_eq!(is_xml(&headers("content-type", &[kind])), taken, "{kind}");
        }
        assert!(is_xml(&HeaderMap::new()));
    }
}
