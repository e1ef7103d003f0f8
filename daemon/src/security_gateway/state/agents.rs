//! Which addresses an agent may have.

use std::net::SocketAddr;

use cmsg_proto::gateway::canonical;

use super::{GatewayState, NotTaken};
use crate::own_addresses::is_local;

impl GatewayState {
    /// Checks the address of an agent.
    pub(in super::super) fn judge(&self, agent: SocketAddr) -> Result<(), NotTaken> {
        if self.is_itself(agent) {
            return Err(NotTaken::Itself);
        }
        Ok(self.settings.allowed().check(agent.ip(), |ip| self.own.contain(ip))?)
    }

    /// Whether the address is the gateway's own listener. Relaying there would loop.
    fn is_itself(&self, agent: SocketAddr) -> bool {
        let Self { external, listen, .. } = self;
        let (agent, at) = (canonical(agent), canonical(*listen).ip());
        let here = agent.ip() == at || external.contains(&agent.ip());
        agent.port() == listen.port() && (here || at.is_unspecified() && is_local(agent.ip()))
    }
}
