//! Readiness, for load balancers. It is looked for in the background, so that however often
//! `/health` is asked, the broker is not.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use cmsg_config::socket::{self, Role, Status};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::shared::Shared;

/// How often broker and gateway are looked for while they are there.
const EVERY: Duration = Duration::from_secs(5);

/// How often while one of them is away; both roles start at the same time.
const AGAIN: Duration = Duration::from_secs(1);

/// Longest wait for the own gateway, which is on the same host.
const GATEWAY_WAIT: Duration = Duration::from_secs(2);

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
            Self::BrokerAway => Some("Cannot communicate with broker"),
            Self::GatewayAway => Some("Security Gateway is enabled but does not respond"),
        }
    }
}

/// Looks for broker and gateway until the shutdown.
pub(super) async fn watch(shared: Arc<Shared>, shutdown: CancellationToken) {
    let looking = async {
        loop {
            let (found, cause) = match look(&shared).await {
                Ok(()) => (Health::Ready, String::new()),
                Err((away, cause)) => (away, format!("{cause:#}")),
            };
            if shared.health.send_replace(Some(found)) != Some(found) {
                match found.reason() {
                    None => info!("Ready for sessions"),
                    Some(reason) => warn!(reason, cause, "Not ready for sessions"),
                }
            }
            tokio::time::sleep(if found == Health::Ready { EVERY } else { AGAIN }).await;
        }
    };
    shutdown.run_until_cancelled(looking).await;
}

/// Who is away, and why.
async fn look(shared: &Shared) -> Result<(), (Health, anyhow::Error)> {
    shared.broker.look().await.map_err(|cause| (Health::BrokerAway, cause))?;
    if shared.config.own_gateway.is_empty() {
        return Ok(());
    }
    look_at_gateway(shared).await.map_err(|cause| (Health::GatewayAway, cause))
}

async fn look_at_gateway(shared: &Shared) -> anyhow::Result<()> {
    let run = shared.config.run_directory.clone();
    let asking = tokio::task::spawn_blocking(move || {
        socket::get::<Status>(&run, Role::Sg, "/status", GATEWAY_WAIT)
    });
    let status = asking.await?.with_context(|| format!("asking `{}`", Role::Sg.socket()))?;
    match status.reason {
        Some(reason) if !status.ready => bail!("{reason}"),
        _ => Ok(()),
    }
}
