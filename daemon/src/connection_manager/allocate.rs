//! What happens when the broker grants a resource: the agent launches the session, it is announced
//! to a gateway, and the client learns where to connect.

use std::time::Instant;

use cmsg_proto::{
    agent::{Failure, LaunchSession},
    broker::{
        AGENT_FAILURE, Allocation, BrokerTarget, ClientTarget, Refusal, Response, agent_failure,
        session::Session,
    },
    control::AddConnection,
};

use super::{agent::AgentSession, exchange::Exchange};

/// Why the client cannot connect.
pub(super) enum NoTarget {
    Agent(Failure),
    Gateway,
}

impl Exchange<'_> {
    /// Determines the address to which the client connects.
    pub(super) async fn allocate(
        &self,
        session: &Session,
        allocation: &Allocation,
        target: &BrokerTarget,
    ) -> Result<ClientTarget, NoTarget> {
        let launched = self.launch(session, allocation, target).await.map_err(NoTarget::Agent)?;
        let AgentSession { agent, info } = launched;
        self.shared.records().change(session.number, |c| c.agent = Some(agent.to_string()));
        let direct = ClientTarget {
            ip_address: agent.ip(),
            hostname: target.hostname.clone(),
            sni: info.sni,
            port: agent.port(),
            session_id: info.session_id,
            connect_tag: info.session_tag,
        };
        if self.shared.gateways.is_empty() {
            return Ok(direct);
        }
        let announcement = AddConnection {
            agent,
            hostname: target.host().and_then(|host| host.parse().ok()),
            tag: direct.connect_tag.clone(),
            connection_id: session.id.clone(),
            session_key: session.key,
        };
        let started = Instant::now();
        let gateways = &self.shared.gateways;
        let announced = gateways.announce(&self.log, &announcement, self.client.peer).await;
        self.note("announce", started.elapsed());
        let announced = announced.ok_or(NoTarget::Gateway)?;
        Ok(ClientTarget {
            ip_address: announced.address,
            sni: Some(announced.sni),
            port: announced.port,
            connect_tag: announced.tag,
            ..direct
        })
    }

    async fn launch(
        &self,
        session: &Session,
        allocation: &Allocation,
        target: &BrokerTarget,
    ) -> Result<AgentSession, Failure> {
        let license_path = self.shared.config.license_servers.join(";");
        let launch = LaunchSession {
            ip_address: target.ip_address,
            hostname: target.hostname.as_deref(),
            logon: session.logon(),
            client_mac: allocation.mac_address.as_deref(),
            client_ip: allocation.ip_address.as_deref(),
            client_name: session.hello.device_name.as_deref(),
            license_path: &license_path,
            session_log_id: &session.id,
            time_zone_windows: allocation.time_zone_windows.as_deref(),
        };
        let started = Instant::now();
        let launched = self.shared.agents.launch(&self.log, target, &launch, self.account).await;
        self.note("launch-session", started.elapsed());
        launched
    }

    /// The response for the client: the broker's with the address to connect to, or an error. If
    /// the agent failed, the session is over, as with the vendor's Connection Manager: only `bye`
    /// is forwarded afterwards.
    pub(super) fn with_target(
        &self,
        session: &Session,
        response: &Response<'_>,
        allocated: Result<ClientTarget, NoTarget>,
    ) -> Result<String, Refusal> {
        match allocated {
            Ok(target) => Ok(response.to_client_at(&target)),
            Err(NoTarget::Agent(failure)) => {
                self.shared.change(&session.cookie, Session::fail);
                self.log_error(AGENT_FAILURE, &failure.to_string());
                Ok(agent_failure(self.request.version(), &failure))
            }
            Err(NoTarget::Gateway) => Err(Refusal::GatewayFailed),
        }
    }
}
