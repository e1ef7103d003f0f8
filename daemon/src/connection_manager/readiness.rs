//! Whether sessions can be set up, by the last checks of the broker and the gateways.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use cmsg_config::socket::{BrokerStatus, NO_BROKER, NO_GATEWAY};
use tokio::sync::watch;
use tracing::{info, warn};

mod causes;

use causes::Causes;

use super::{
    announce::{Answer, Gateway},
    broker::{Broker, BrokerState, Look},
};
use crate::clock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Ready,
    BrokerAway,
    GatewayAway,
}

impl Health {
    /// The documented reason; `None` if sessions can be set up.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Ready => None,
            Self::BrokerAway => Some(NO_BROKER),
            Self::GatewayAway => Some(NO_GATEWAY),
        }
    }
}

/// The results of the last checks.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// `None` before the first check.
    broker: Mutex<Option<BrokerState>>,
    verdict: watch::Sender<Option<Health>>,
    logged: Mutex<Causes>,
}

impl Readiness {
    /// The current state; `None` until enough was checked.
    pub(super) fn now(&self) -> Option<Health> {
        *self.verdict.borrow()
    }

    /// Waits for the first state, and returns the current one.
    pub(super) async fn judged(&self) -> Option<Health> {
        let mut verdict = self.verdict.subscribe();
        verdict.wait_for(Option::is_some).await.ok().and_then(|verdict| *verdict)
    }

    /// The broker's state for `GET /status`.
    pub(super) fn broker_status(&self, broker: &Broker) -> BrokerStatus {
        let (url, is_verified) = (broker.address().to_owned(), broker.is_verified());
        let status = match &*self.broker() {
            Some(state) => state.status(url, is_verified),
            None => BrokerStatus { url, is_verified, ..BrokerStatus::default() },
        };
        BrokerStatus { is_pinned: Some(broker.is_pinned()), ..status }
    }

    fn broker(&self) -> MutexGuard<'_, Option<BrokerState>> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn causes(&self) -> MutexGuard<'_, Causes> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a check of the broker differs from the previous one.
    pub(super) fn is_news(&self, look: &Look) -> bool {
        self.broker().as_ref().is_none_or(|state| state.differs(look))
    }

    /// Records a check of the broker.
    pub(super) fn broker_found(&self, look: Look) {
        let mut broker = self.broker();
        let now = clock::wall();
        *broker = Some(match broker.take() {
            Some(state) => state.looked(look, now),
            None => BrokerState::first(look, now),
        });
    }

    /// Updates the state. Logs a change of the state or of why the broker is not usable.
    pub(super) fn settle(&self, gateways: &[Arc<Gateway>], is_broker_news: bool) {
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
                    // The peer chose parts of the cause, so `cause` comes last.
                    warn!(reason, fix, cause, "Not ready for sessions");
                }
            }
            changed
        });
    }
}

/// Whether sessions can be set up, and if not, why. One gateway that accepts sessions is enough.
fn judge(
    broker: Option<Result<(), String>>,
    gateways: Vec<(String, Option<Answer>)>,
) -> Option<(Health, String)> {
    if let Err(cause) = broker? {
        return Some((Health::BrokerAway, cause));
    }
    if gateways.is_empty() || gateways.iter().any(|(_, found)| *found == Some(Answer::Takes)) {
        return Some((Health::Ready, String::new()));
    }
    let cause = |(name, found)| match found? {
        Answer::Refuses(reason) | Answer::Silent(reason) => Some(format!("{name}: {reason}")),
        Answer::Takes => None,
    };
    let causes: Option<Vec<String>> = gateways.into_iter().map(cause).collect();
    Some((Health::GatewayAway, causes?.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gateway_that_accepts_sessions_is_enough() {
        let there = || Some(Ok(()));
        let full = || Some(Answer::Refuses("full".to_owned()));
        let silent = || Some(Answer::Silent("gone".to_owned()));
        let takes = || Some(Answer::Takes);
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
