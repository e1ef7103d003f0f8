//! Where agents may be.

use std::net::SocketAddr;

use cmsg_proto::gateway::canonical;

use super::{GatewayState, NotTaken};
use crate::own_addresses::is_local;

impl GatewayState {
    /// Whether an agent may be there.
    pub(super) fn judge(&self, agent: SocketAddr) -> Result<(), NotTaken> {
        if self.is_itself(agent) {
            return Err(NotTaken::Itself);
        }
        Ok(self.allowed.check(agent.ip(), |ip| self.own.contain(ip))?)
    }

    /// Whether that is where clients come. What was led there would come back for ever.
    fn is_itself(&self, agent: SocketAddr) -> bool {
        let Self { external, listen, .. } = self;
        let (agent, at) = (canonical(agent), canonical(*listen).ip());
        let here = agent.ip() == at || external.contains(&agent.ip());
        agent.port() == listen.port() && (here || at.is_unspecified() && is_local(agent.ip()))
    }
}
