//! Forwards announcements and grants of Connection Managers on other hosts, which arrive at port 443,
//! to the gateway of this host. Only the body, `Authorization` and the grant of an announced session
//! are forwarded, and the gateway verifies them.

use bytes::Bytes;
use cmsg_proto::{
    control::{self, Reply},
    failover::Grant,
    shares::Worth,
};
use http::{Response, StatusCode, header};
use hyper::{Request, body::Incoming};

use super::{
    announce::Gateway,
    request_log::{GATEWAY, RequestLog, as_error, record},
    shared::Shared,
};
use crate::https::{Client, content, listener::Content, text, whole};

/// Forwards an announcement, and returns the gateway's response.
pub(super) async fn announcement(
    shared: &Shared,
    gateway: &Gateway,
    client: Client,
    request: Request<Incoming>,
) -> Result<Response<Content>, StatusCode> {
    let (mut head, body) = request.into_parts();
    let account = shared.bodies.account(client.peer, Worth::Idle, client.place.cut_off());
    let buffer = account.buffer();
    let body = Bytes::from_owner(whole(body, control::MAX_BYTES, buffer).await?);
    let token = head.headers.remove(header::AUTHORIZATION);
    let grant = head.headers.remove(control::GRANT_HEADER);
    let answer = match gateway.pass_on(token, grant, body).await {
        Ok(reply) => answer(reply.status, Bytes::from_owner(reply.body)),
        Err(failure) => {
            let (log, error) = (log(&client), as_error(&failure));
            record!(warn, log, GATEWAY, error, "Failed to forward an announcement");
            let reason = AWAY.to_owned();
            answer(StatusCode::BAD_GATEWAY, Reply::Refused { reason }.render())
        }
    };
    Ok(answer)
}

/// Forwards a grant, and returns the gateway's response.
pub(super) async fn grant(
    shared: &Shared,
    gateway: &Gateway,
    client: Client,
    request: Request<Incoming>,
) -> Result<Response<Content>, StatusCode> {
    let account = shared.bodies.account(client.peer, Worth::Idle, client.place.cut_off());
    let token = whole(request.into_body(), Grant::MAX_BYTES, account.buffer()).await?;
    Ok(match gateway.pass_on_grant(Bytes::from_owner(token)).await {
        Ok(reply) => text(reply.status, Bytes::from_owner(reply.body)),
        Err(failure) => {
            let (log, error) = (log(&client), as_error(&failure));
            record!(warn, log, GATEWAY, error, "Failed to forward a grant");
            text(StatusCode::BAD_GATEWAY, AWAY)
        }
    })
}

const AWAY: &str = "the gateway does not answer";

fn log(client: &Client) -> RequestLog {
    RequestLog { session: None, number: None, connection: client.connection, client: client.peer }
}

fn answer(status: StatusCode, document: impl Into<Bytes>) -> Response<Content> {
    content(status, control::CONTENT_TYPE, Content::whole(document))
}
