//! Sends grants of an announced session to the other gateways, in the background.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use cmsg_config::cause;
use cmsg_proto::control::{AddConnection, GrantClaims};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::{Gateway, Gateways, gateway::Queued};
use crate::{
    clock,
    connection_manager::{
        random::random,
        request_log::{GATEWAY, RequestLog, record},
    },
};

/// The tasks that send grants.
#[derive(Debug, Clone, Default)]
pub(super) struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Whether the log says that grants cannot be signed.
    is_unsigned: Arc<AtomicBool>,
}

impl Gateways {
    /// The signed grant of a session, if a gateway accepts grants.
    pub(super) fn sign_grant(&self, announcement: &AddConnection) -> Option<Bytes> {
        let mut gateways = self.all.iter();
        let signer =
            self.signer.as_ref().filter(|_| gateways.any(|gateway| gateway.accepts_grants()))?;
        let signed = self.claims(announcement).and_then(|claims| {
            // A session from before an update has no key, and cannot be granted.
            claims.map(|claims| signer.load().sign_grant(&claims)).transpose()
        });
        match signed {
            Ok(token) => token.map(Bytes::from),
            Err(error) => {
                self.background.note_unsigned(&error);
                None
            }
        }
    }

    /// Sends the grant to all gateways that accept grants, except the one that the session was
    /// announced to. Returns immediately.
    pub(super) fn grant(&self, log: &RequestLog, granted: Option<Bytes>, announced: &Gateway) {
        if let Some(granted) = granted {
            self.background.send(log, &granted, self.queue(announced));
        }
    }

    /// The gateways that get a grant, each once.
    fn queue(&self, announced: &Gateway) -> Vec<(Arc<Gateway>, Queued)> {
        let mut others: Vec<&Arc<Gateway>> = Vec::new();
        for gateway in self.all.iter().filter(|gateway| gateway.accepts_grants()) {
            if !gateway.is_same(announced) && !others.iter().any(|other| other.is_same(gateway)) {
                others.push(gateway);
            }
        }
        let queued = |gateway: &Arc<Gateway>| Some((Arc::clone(gateway), gateway.queue_grant()?));
        others.into_iter().filter_map(queued).collect()
    }

    /// The claims for all gateways; `None` if the session has no key.
    fn claims(&self, announcement: &AddConnection) -> anyhow::Result<Option<GrantClaims>> {
        let addresses = self.all.iter().flat_map(|gateway| gateway.addresses()).copied();
        Ok(GrantClaims::of(announcement, addresses, random()?, clock::wall()))
    }

    /// Waits until the grants that are being sent have arrived or failed. They are not repeated any
    /// more.
    pub(in crate::connection_manager) async fn finish(&self) {
        let Background { tasks, stop, .. } = &self.background;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

impl Background {
    fn send(&self, log: &RequestLog, token: &Bytes, queued: Vec<(Arc<Gateway>, Queued)>) {
        self.is_unsigned.store(false, Relaxed);
        for (gateway, place) in queued {
            let (token, log, stop) = (token.clone(), log.clone(), self.stop.clone());
            self.tasks.spawn(async move {
                if let Err(refused) = gateway.send_grant(token, place, &stop).await {
                    record!(
                        warn,
                        log,
                        GATEWAY,
                        gateway = gateway.name(),
                        status = refused.status.as_u16(),
                        reason = refused.reason,
                        "The gateway refused the grant of the session"
                    );
                }
            });
        }
    }

    /// Logs the error once, until a grant is signed.
    fn note_unsigned(&self, error: &anyhow::Error) {
        if !self.is_unsigned.swap(true, Relaxed) {
            let error = cause::chain(error.as_ref());
            warn!(error, "Sessions are not granted to other gateways");
        }
    }
}
