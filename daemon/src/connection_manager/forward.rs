//! Forwards announcements of Connection Managers on other hosts, which arrive at port 443, to the
//! gateway of this host. Only the body and `Authorization` are forwarded, and the gateway verifies
//! them.

use bytes::Bytes;
use cmsg_proto::{
    control::{self, Reply},
    shares::Worth,
};
use http::{Response, StatusCode, header};
use hyper::{Request, body::Incoming};

use super::{
    announce::Gateway,
    request_log::{GATEWAY, RequestLog, as_error, record},
    shared::Shared,
};
use crate::https::{Client, content, listener::Content, whole};

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
    let answer = match gateway.pass_on(token, body).await {
        Ok(reply) => answer(reply.status, Bytes::from_owner(reply.body)),
        Err(failure) => {
            let (connection, client) = (client.connection, client.peer);
            let log = RequestLog { session: None, number: None, connection, client };
            let error = as_error(&failure);
            record!(warn, log, GATEWAY, error, "Failed to forward an announcement");
            let reason = "the gateway does not answer".to_owned();
            answer(StatusCode::BAD_GATEWAY, Reply::Refused { reason }.render())
        }
    };
    Ok(answer)
}

fn answer(status: StatusCode, document: impl Into<Bytes>) -> Response<Content> {
    content(status, control::CONTENT_TYPE, Content::whole(document))
}
