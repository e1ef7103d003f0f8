//! Agents, called over HTTPS to launch sessions.

use cmsg_config::values::{Host, HostPort};
use cmsg_proto::{
    agent::{Failure, LaunchSession, Launched, SessionInfo},
    broker::redact,
};
use reqwest::Client;

use super::{
    trail::{AGENT, Trail, as_error, told},
    upstream,
};
use crate::reload::Files;

/// All agents: each is called once for a session.
pub(super) struct Agents {
    client: Client,
    port: u16,
}

impl Agents {
    pub(super) fn new(
        config: &cmsg_config::ConnectionManager,
        files: &Files,
    ) -> anyhow::Result<Self> {
        let trust = upstream::trust(config, config.agent_check, Vec::new());
        let client = upstream::client(&trust, files, config.agent_wait, |builder| {
            builder.pool_max_idle_per_host(0)
        })?;
        Ok(Self { client, port: config.agent_port })
    }

    /// Has the agent of that host launch a session.
    pub(super) async fn launch(
        &self,
        trail: &Trail,
        host: &str,
        launch: &LaunchSession<'_>,
    ) -> Result<SessionInfo, Failure> {
        let Ok(host) = host.parse::<Host>() else {
            return Err(Failure::generic("the target is no host name"));
        };
        let url = format!("https://{}/pcoip-agent/xml", HostPort { host, port: self.port });
        let document = launch.render();
        told!(info, trail, AGENT, "Communicating with {url}");
        let sent = || redact::bytes(document.as_bytes());
        told!(info, trail, AGENT, "Sending request to PCoIP Agent: {}", sent());
        let reply = match upstream::send(self.client.post(url), document).await {
            Ok(reply) => reply,
            Err(error) => {
                told!(warn, trail, AGENT, error = as_error(&error), "The agent does not answer");
                return Err(Failure::generic(told_to_clients(&error)));
            }
        };
        let got = || redact::bytes(&reply.body);
        told!(info, trail, AGENT, "Received response from PCoIP Agent: {}", got());
        match Launched::parse(&reply.body) {
            Ok(Launched::Session(info)) => Ok(info),
            Ok(Launched::Failed(failure)) => {
                let (result, reason) = (&failure.said, &failure.reason);
                told!(warn, trail, AGENT, result, reason, "The agent did not launch the session");
                Err(failure)
            }
            Err(error) => {
                let (status, error) = (reply.status.as_u16(), as_error(&error));
                told!(warn, trail, AGENT, status, error, "The agent's answer cannot be used");
                Err(Failure::generic("the agent's response is invalid"))
            }
        }
    }
}

fn told_to_clients(failure: &upstream::Failure) -> &'static str {
    match failure {
        upstream::Failure::TimedOut => "Timed out communicating with PCoIP Agent",
        upstream::Failure::Failed(_) | upstream::Failure::TooLarge => {
            "Cannot communicate with PCoIP Agent"
        }
    }
}
