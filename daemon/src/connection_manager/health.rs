//! Checks the broker and the gateways in the background. `/health` reports the last result, so
//! frequent requests do not cause further checks.

use std::{sync::Arc, time::Duration};

use cmsg_proto::control::Offer;
use http::{Response, StatusCode};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    announce::{Answer, Gateway},
    shared::Shared,
};
use crate::{
    drain,
    https::{self, listener::Content, plain},
};

/// How often broker and gateways are checked while they answer.
const EVERY: Duration = Duration::from_secs(5);

/// How often they are checked while they do not; both roles start at the same time.
const AGAIN: Duration = Duration::from_secs(1);

/// Checks broker and gateways until the shutdown.
pub(super) fn watch(shared: &Arc<Shared>, tracker: &TaskTracker, shutdown: &CancellationToken) {
    let broker = Arc::clone(shared);
    tracker.spawn(shutdown.clone().run_until_cancelled_owned(async move {
        loop {
            let mut look = broker.broker.look().await;
            let is_there = look.found.is_ok();
            broker.outage.checked(is_there);
            let is_news = broker.health.is_news(&look);
            if is_news && let Some(refusal) = look.about_time() {
                look.skew = broker.broker.skew(refusal).await;
            }
            broker.health.broker_found(look);
            broker.health.settle(broker.gateways.all(), is_news);
            tokio::time::sleep(if is_there { EVERY } else { AGAIN }).await;
        }
    }));
    for index in 0..shared.gateways.all().len() {
        let shared = Arc::clone(shared);
        tracker.spawn(shutdown.clone().run_until_cancelled_owned(async move {
            shared.gateways.all()[index].wait_for_start().await;
            loop {
                let takes = shared.gateways.all()[index].look().await;
                shared.health.settle(shared.gateways.all(), false);
                tokio::time::sleep(if takes { EVERY } else { AGAIN }).await;
            }
        }));
    }
}

/// The response to `/health`.
pub(super) async fn answer(shared: &Shared) -> Response<Content> {
    if shared.drain.is_on() {
        let draining = Err((StatusCode::SERVICE_UNAVAILABLE, drain::REASON));
        return https::health(draining, Offer::default());
    }
    let judged = shared.health.judged().await;
    let Some(health) = judged else { return plain(StatusCode::SERVICE_UNAVAILABLE) };
    let health = match health.reason() {
        None => Ok(()),
        Some(reason) => Err((StatusCode::INTERNAL_SERVER_ERROR, reason)),
    };
    https::health(health, Offer::default())
}

/// The response to Connection Managers on other hosts: the last known state of the gateway on this
/// host. Broker and other gateways do not count, since those hosts have their own.
pub(super) async fn of_gateway(gateway: &Gateway) -> Response<Content> {
    if gateway.found().is_none() {
        gateway.wait_for_start().await;
        gateway.look().await;
    }
    let answer = match gateway.found() {
        Some(Answer::Takes) => Ok(()),
        Some(Answer::Refuses(reason)) => Err((StatusCode::SERVICE_UNAVAILABLE, reason)),
        Some(Answer::Silent(_)) | None => {
            Err((StatusCode::BAD_GATEWAY, "the gateway does not answer".to_owned()))
        }
    };
    let answer = answer.as_ref().copied().map_err(|(status, reason)| (*status, reason.as_str()));
    https::health(answer, gateway.offer())
}
