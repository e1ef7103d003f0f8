//! What the response of a gateway to a check means.

use http::StatusCode;

use super::{super::reachability::Answer, Reply};

/// Whether a proxy, or the Connection Manager on its host, reports that it cannot be reached.
pub(super) fn is_away(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
}

/// Evaluates the response to a check. A gateway that does not support checks may accept sessions
/// all the same.
pub(super) fn found(reply: &Reply) -> Answer {
    let reason = || {
        let document: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
        let reason = document.as_ref().and_then(|document| document.get("reason")?.as_str());
        reason.map_or_else(|| format!("it returned {}", reply.status), str::to_owned)
    };
    match reply.status {
        status if is_away(status) => Answer::Silent(reason()),
        StatusCode::SERVICE_UNAVAILABLE => Answer::Refuses(reason()),
        _ => Answer::Takes,
    }
}
