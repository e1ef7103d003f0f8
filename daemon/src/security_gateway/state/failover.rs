//! Sessions that another gateway serves, and that this one may take over.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use cmsg_proto::{
    control::Offer,
    failover::{Grant, Refusal, Standby},
};

use super::GatewayState;
use crate::clock;

/// The granted sessions. `None` if failover is not configured.
#[derive(Debug, Default)]
pub(super) struct Failover(Option<Mutex<Standby>>);

/// Why a grant is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum NotGranted {
    #[error("failover is not configured")]
    Off,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl GatewayState {
    /// Whether failover is configured.
    pub(in super::super) fn has_failover(&self) -> bool {
        self.failover.0.is_some()
    }

    /// The addresses of this gateway that a grant may be for.
    pub(in super::super) fn audience(&self) -> &[IpAddr] {
        &self.external
    }

    /// What the health document offers to Connection Managers.
    pub(in super::super) fn offer(&self) -> Offer {
        if !self.has_failover() {
            return Offer::default();
        }
        let core = self.core();
        let load = Offer::load(core.admission.count(), core.admission.max_connections());
        Offer { grants: true, load: Some(load) }
    }

    /// Handles a grant with a verified signature and an allowed agent.
    pub(in super::super) fn grant(&self, grant: Grant) -> Result<(), NotGranted> {
        let standby = self.failover.0.as_ref().ok_or(NotGranted::Off)?;
        let mut standby = standby.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(standby.grant(grant, clock::now())?)
    }
}

#[cfg(test)]
impl GatewayState {
    /// The same gateway with failover.
    pub(in super::super) fn with_failover(self, standby: Standby) -> Self {
        Self { failover: Failover(Some(Mutex::new(standby))), ..self }
    }
}
