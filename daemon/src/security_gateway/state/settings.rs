//! The settings that can change while the gateway runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use cmsg_config::{SecurityGateway, memory, security_gateway::Timeouts, socket::Role};
use cmsg_proto::{
    AllowedAgents,
    gateway::{self, Rules},
};
use tracing::warn;

use super::GatewayState;
use crate::{limiter::Files, memory::limit};

/// The current settings, apart from the rules of the admission.
#[derive(Debug)]
pub(super) struct Settings {
    allowed: ArcSwap<AllowedAgents>,
    timeouts: ArcSwap<Timeouts>,
    /// Number of sessions that were possible at the start.
    at_start: usize,
}

impl Settings {
    pub(super) fn new(config: &SecurityGateway, sessions: usize) -> Self {
        Self {
            allowed: ArcSwap::from_pointee(allowed(config)),
            timeouts: ArcSwap::from_pointee(config.timeouts),
            at_start: sessions,
        }
    }

    pub(super) fn allowed(&self) -> Arc<AllowedAgents> {
        self.allowed.load_full()
    }
}

impl GatewayState {
    /// Applies the settings that can change. The sessions that exist continue, with the new
    /// timeouts; only new announcements are judged by the new `AllowedAgents`.
    pub(in super::super) fn apply(&self, config: &SecurityGateway) {
        let settings = &self.settings;
        settings.allowed.store(Arc::new(allowed(config)));
        settings.timeouts.store(Arc::new(config.timeouts));
        let wanted = config.max_connections.as_usize();
        let affordable = affordable(wanted, settings.at_start, limit());
        if affordable < wanted {
            warn!(
                limit = affordable,
                configured = wanted,
                "`MaxConnections` is reduced to what the memory limit of the service allows; run \
                 `pcoip-cmsg-setup configure` to raise the memory limit and restart the service"
            );
        }
        let sessions = Files::Sessions.fit_configured(affordable);
        let mut core = self.core();
        self.counters.reserve(sessions);
        core.admission.set_rules(rules(sessions, &config.timeouts));
        self.settle(&mut core);
    }

    /// The timeouts of the next connection.
    pub(in super::super) fn timeouts(&self) -> Timeouts {
        **self.settings.timeouts.load()
    }
}

/// `MaxConnections` at the start, or what the open-file limit allows.
pub(super) fn sessions(config: &SecurityGateway) -> usize {
    Files::Sessions.fit_configured(config.max_connections.as_usize())
}

pub(super) fn rules(sessions: usize, timeouts: &Timeouts) -> Rules {
    let Timeouts { announced, resume, udp_idle, .. } = *timeouts;
    let max_connections = u32::try_from(sessions).unwrap_or(u32::MAX);
    Rules { max_connections, timeouts: gateway::Timeouts { announced, resume, udp_idle } }
}

fn allowed(config: &SecurityGateway) -> AllowedAgents {
    AllowedAgents::new(config.allowed_agents.clone())
}

/// How many of the wanted sessions the memory limit in bytes allows. Those at the start stay
/// possible: an administrator may have chosen a lower limit.
fn affordable(wanted: usize, at_start: usize, limit: Option<u64>) -> usize {
    let most = limit.map_or(usize::MAX, |bytes| memory::connections(Role::Sg, bytes / MEBIBYTE));
    wanted.min(most.max(at_start))
}

const MEBIBYTE: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_sessions_are_possible_within_the_memory_limit() {
        let rendered = |sessions: &str| {
            let sessions = sessions.parse().unwrap();
            Some(memory::limit(Role::Sg, sessions) * MEBIBYTE)
        };
        let table = [
            (8000, 5000, rendered("5000"), 5000),
            (8000, 5000, rendered("8000"), 8000),
            (8000, 5000, Some(u64::MAX), 8000),
            (8000, 5000, None, 8000),
            (100, 5000, rendered("5000"), 100),
            (5000, 5000, Some(64 * MEBIBYTE), 5000),
            (8000, 5000, Some(64 * MEBIBYTE), 5000),
        ];
        for (wanted, at_start, limit, sessions) in table {
            assert_eq!(affordable(wanted, at_start, limit), sessions, "{wanted} {limit:?}");
        }
    }
}
