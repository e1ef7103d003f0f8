//! Readiness, for load balancers. It is looked for in the background, so that however often
//! `/health` is asked, neither the broker nor a gateway is.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cmsg_config::socket::{BrokerStatus, NO_BROKER, NO_GATEWAY};
use http::{Response, StatusCode};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

mod causes;

use causes::Causes;

use super::{
    announce::{Found, Gateway},
    broker::{Broker, BrokerState, Look},
    shared::Shared,
};
use crate::{
    clock, drain,
    https::{self, listener::Content, plain},
};

/// How often broker and gateways are looked for while they are there.
const EVERY: Duration = Duration::from_secs(5);

/// How often one of them while it is away; both roles start at the same time.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether sessions can be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Ready,
    BrokerAway,
    GatewayAway,
}

impl Health {
    /// Why not, in the documented words.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Ready => None,
            Self::BrokerAway => Some(NO_BROKER),
            Self::GatewayAway => Some(NO_GATEWAY),
        }
    }
}

/// What the looks have found so far.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// Nothing until it was looked for.
    broker: Mutex<Option<BrokerState>>,
    verdict: watch::Sender<Option<Health>>,
    logged: Mutex<Causes>,
}

impl Readiness {
    /// The verdict; nothing until enough was looked at.
    pub(super) fn now(&self) -> Option<Health> {
        *self.verdict.borrow()
    }

    /// The broker for the unix socket.
    pub(super) fn broker_status(&self, broker: &Broker) -> BrokerStatus {
        let (url, is_verified) = (broker.address().to_owned(), broker.is_verified());
        match &*self.broker() {
            Some(state) => state.status(url, is_verified),
            None => BrokerStatus { url, is_verified, ..BrokerStatus::default() },
        }
    }

    fn broker(&self) -> MutexGuard<'_, Option<BrokerState>> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn causes(&self) -> MutexGuard<'_, Causes> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a check found something else than the one before.
    fn is_news(&self, look: &Look) -> bool {
        self.broker().as_ref().is_none_or(|state| state.differs(look))
    }

    fn broker_found(&self, look: Look) {
        let mut broker = self.broker();
        let now = clock::wall();
        *broker = Some(match broker.take() {
            Some(state) => state.looked(look, now),
            None => BrokerState::first(look, now),
        });
    }

    /// Judges anew, and logs a change: of the verdict, or of why the broker cannot be used.
    fn settle(&self, gateways: &[Gateway], is_broker_news: bool) {
        self.verdict.send_if_modified(|verdict| {
            let trouble = self.broker().as_ref().map(BrokerState::trouble);
            let fix = trouble.as_ref().and_then(|trouble| trouble.as_ref()?.1);
            let broker = trouble.map(|trouble| trouble.map_or(Ok(()), |(cause, _)| Err(cause)));
            let found = gateways.iter().map(|gateway| (gateway.name(), gateway.found()));
            let Some((health, cause)) = judge(broker, found.collect()) else { return false };
            let changed = verdict.replace(health) != Some(health);
            let is_news = is_broker_news && health == Health::BrokerAway;
            let is_due = self.causes().is_due(changed, is_news, Instant::now());
            match health.reason() {
                _ if !is_due => {}
                None => info!("Ready for sessions"),
                Some(reason) => {
                    let fix = fix.filter(|_| health == Health::BrokerAway);
                    // What a stranger chose is in the cause.
                    warn!(reason, fix, cause, "Not ready for sessions");
                }
            }
            changed
        });
    }
}

/// Whether sessions can be set up, and what keeps them from it. One gateway that takes them is
/// enough.
fn judge(
    broker: Option<Result<(), String>>,
    gateways: Vec<(String, Option<Found>)>,
) -> Option<(Health, String)> {
    if let Err(cause) = broker? {
        return Some((Health::BrokerAway, cause));
    }
    if gateways.is_empty() || gateways.iter().any(|(_, found)| *found == Some(Found::Takes)) {
        return Some((Health::Ready, String::new()));
    }
    let cause = |(name, found)| match found? {
        Found::Refuses(reason) | Found::Silent(reason) => Some(format!("{name}: {reason}")),
        Found::Takes => None,
    };
    let causes: Option<Vec<String>> = gateways.into_iter().map(cause).collect();
    Some((Health::GatewayAway, causes?.join("; ")))
}

/// Looks for broker and gateways until the shutdown.
pub(super) fn watch(shared: &Arc<Shared>, tracker: &TaskTracker, shutdown: &CancellationToken) {
    let broker = Arc::clone(shared);
    tracker.spawn(shutdown.clone().run_until_cancelled_owned(async move {
        loop {
            let mut look = broker.broker.look().await;
            let is_there = look.found.is_ok();
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

/// The answer of `/health`.
pub(super) async fn answer(shared: &Shared) -> Response<Content> {
    if shared.drain.is_on() {
        return https::health(Err((StatusCode::SERVICE_UNAVAILABLE, drain::REASON)));
    }
    let mut found = shared.health.verdict.subscribe();
    let found = found.wait_for(Option::is_some).await.map(|health| *health);
    let Ok(Some(health)) = found else { return plain(StatusCode::SERVICE_UNAVAILABLE) };
    https::health(match health.reason() {
        None => Ok(()),
        Some(reason) => Err((StatusCode::INTERNAL_SERVER_ERROR, reason)),
    })
}

/// What Connection Managers on other hosts are told of the own gateway, as it was when it was looked
/// at last. Broker and other gateways do not count: those hosts have their own.
pub(super) async fn of_gateway(gateway: &Gateway) -> Response<Content> {
    if gateway.found().is_none() {
        gateway.wait_for_start().await;
        gateway.look().await;
    }
    let answer = match gateway.found() {
        Some(Found::Takes) => Ok(()),
        Some(Found::Refuses(reason)) => Err((StatusCode::SERVICE_UNAVAILABLE, reason)),
        Some(Found::Silent(_)) | None => {
            Err((StatusCode::BAD_GATEWAY, "the gateway does not answer".to_owned()))
        }
    };
    https::health(answer.as_ref().copied().map_err(|(status, reason)| (*status, reason.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gateway_that_takes_sessions_is_enough() {
        let there = || Some(Ok(()));
        let full = || Some(Found::Refuses("full".to_owned()));
        let silent = || Some(Found::Silent("gone".to_owned()));
        let takes = || Some(Found::Takes);
        let table = [
            (None, vec![takes()], None),
            (
                Some(Err("no route".to_owned())),
                vec![takes()],
                Some((Health::BrokerAway, "no route")),
            ),
            (there(), vec![], Some((Health::Ready, ""))),
            (there(), vec![None], None),
            (there(), vec![full(), None], None),
            (there(), vec![None, takes()], Some((Health::Ready, ""))),
            (there(), vec![full(), takes()], Some((Health::Ready, ""))),
            (there(), vec![silent(), takes()], Some((Health::Ready, ""))),
            (there(), vec![full(), silent()], Some((Health::GatewayAway, "sg0: full; sg1: gone"))),
        ];
        for (broker, gateways, judged) in table {
            let names = (0..).map(|number| format!("sg{number}"));
            let gateways: Vec<_> = names.zip(gateways).collect();
            let judged = judged.map(|(health, cause)| (health, cause.to_owned()));
            assert_eq!(judge(broker.clone(), gateways.clone()), judged, "{broker:?} {gateways:?}");
        }
    }
}
