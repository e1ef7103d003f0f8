//! The client for PCoIP agents: launches sessions over HTTPS.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use cmsg_config::values::{Host, HostPort};
use cmsg_proto::{
    agent::{Failure, LaunchSession, Launched, SessionInfo},
    allowed::Reached,
    broker::{BrokerTarget, redact},
    xml,
};
use http::Method;

use super::{
    request_log::{AGENT, RequestLog, as_error, document, record},
    upstream::{self, Address, Client},
};
use crate::{https::bodies::Account, reload::Files};
use addresses::Addresses;

mod addresses;

const PATH: &str = "/pcoip-agent/xml";

/// Agents are contacted once for each session.
pub(super) struct Agents {
    client: Client,
    port: u16,
    addresses: Arc<Addresses>,
}

/// A launched session that waits for its client.
pub(super) struct AgentSession {
    /// The address to which the gateway connects, or the client if there is no gateway.
    pub(super) agent: SocketAddr,
    pub(super) info: SessionInfo,
}

impl Agents {
    pub(super) fn new(
        config: &cmsg_config::ConnectionManager,
        files: &Files,
    ) -> anyhow::Result<Self> {
        let addresses = Arc::new(Addresses::new(config));
        let trust = upstream::trust(config, config.agent_check, Vec::new());
        let admit = Some(addresses.filter());
        let client = Client::new(&trust, files, config.agent_wait, admit)?;
        Ok(Self { client, port: config.agent_port, addresses })
    }

    /// Requests a session from the agent of this target.
    pub(super) async fn launch(
        &self,
        log: &RequestLog,
        target: &BrokerTarget,
        launch: &LaunchSession<'_>,
        account: &Account,
    ) -> Result<AgentSession, Failure> {
        let Some(at) = self.address(target) else {
            return Err(Failure::generic("the target is not a host name"));
        };
        record!(info, log, AGENT, "Communicating with https://{at}{PATH}");
        if let Err(error) = self.addresses.check(&at.host) {
            record!(warn, log, AGENT, error = as_error(&error), "Refused to connect to the agent");
            return Err(Failure::generic(UNREACHABLE));
        }
        let document = launch.render();
        let sent = || redact::bytes(document.as_bytes());
        document!(log, AGENT, sent, "Sending request to PCoIP Agent");
        let to = Arc::new(Address::Tcp(at));
        let request = self.client.request(Method::POST, &to, PATH).closing();
        let sending = request.send_document(document, account.buffer(), xml::MAX_BYTES);
        let reply = match sending.await {
            Ok(reply) => reply,
            Err(error) => {
                record!(warn, log, AGENT, error = as_error(&error), "The agent does not answer");
                return Err(Failure::generic(reason_for_clients(&error)));
            }
        };
        let got = || redact::bytes(&reply.body);
        document!(log, AGENT, got, "Received response from PCoIP Agent");
        match (Launched::parse(&reply.body), reply.from) {
            (Ok(Launched::Session(info)), Some(from)) => {
                let agent = self.agent(log, &info, target, from.ip());
                Ok(AgentSession { agent, info })
            }
            (Ok(Launched::Session(_)), None) => Err(Failure::generic(UNREACHABLE)),
            (Ok(Launched::Failed(failure)), _) => {
                let (result, reason) = (&failure.said, &failure.reason);
                record!(warn, log, AGENT, result, reason, "The agent did not launch the session");
                Err(failure)
            }
            (Err(error), _) => {
                let (status, error) = (reply.status.as_u16(), as_error(&error));
                record!(warn, log, AGENT, status, error, "The agent's response is invalid");
                Err(Failure::generic("the agent's response is invalid"))
            }
        }
    }

    fn address(&self, target: &BrokerTarget) -> Option<HostPort> {
        let host = target.host()?.parse::<Host>().ok()?;
        Some(HostPort { host, port: self.port })
    }

    /// The address of the session, which need not be the one that the agent names.
    fn agent(
        &self,
        log: &RequestLog,
        info: &SessionInfo,
        target: &BrokerTarget,
        ip: IpAddr,
    ) -> SocketAddr {
        let said = SocketAddr::new(info.ip_address.to_canonical(), info.port);
        let reached = Reached { ip, named: target.ip_address, port: target.port };
        let agent = self.addresses.choose(said, reached);
        if agent != said {
            let (ignored, used) = (said.to_string(), agent.to_string());
            record!(
                warn,
                log,
                AGENT,
                ignored,
                used,
                "The address in the agent's session-info is ignored; if it is right, allow it with \
                 `--allowed-agents`"
            );
        }
        agent
    }
}

fn reason_for_clients(failure: &upstream::Failure) -> &'static str {
    match failure {
        upstream::Failure::TimedOut => "Timed out communicating with PCoIP Agent",
        upstream::Failure::Failed(_)
        | upstream::Failure::TooLarge { .. }
        | upstream::Failure::OverBudget(_) => UNREACHABLE,
    }
}

const UNREACHABLE: &str = "Cannot communicate with PCoIP Agent";
