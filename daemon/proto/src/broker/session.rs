//! A client's session at the Connection Manager, from `hello` to `bye`: a plain value, and the
//! rules of which requests it permits and how a response changes it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    Authenticate, Authentication, BrokerCookies, ClientCookie, Hello, Logon, NotKept, Refusal,
    RequestKind, ResponseKind, SetCookies, Version, logons::User,
};
use crate::{SessionId, SessionKey, Time};

pub use journal::{Journal, Record, Seal};
pub use table::{Extent, Full, Sessions};

mod journal;
mod table;

/// A session. Its serialized form contains the cookies of both sides, and lets a reader take over
/// the session. It is therefore only persisted sealed, together with the user's password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// Number of the session since the first start, for the log.
    pub number: u64,
    /// The cookie that the client sends.
    pub cookie: ClientCookie,
    /// The session log id.
    pub id: SessionId,
    /// Address of the client.
    pub client: IpAddr,
    /// What the client said in its `hello`.
    pub hello: Hello,
    /// Time of the `hello`.
    pub opened: Time,
    /// Identifies the session at gateways. `None` if an earlier version opened it.
    #[serde(default)]
    pub key: Option<SessionKey>,
    /// The protocol version that client and broker agreed on.
    version: Version,
    /// The credentials for the agent.
    logon: Option<Logon>,
    /// The user of the last step that named one, if `logon` does not have it.
    #[serde(skip)]
    user: Option<User>,
    broker_cookies: BrokerCookies,
    stage: Stage,
}

/// The stage of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The broker answered the `hello`. Some brokers require no logon.
    Greeted,
    /// The user is not logged on yet: a step failed, or another one is required.
    Authenticating,
    /// The user is logged on.
    Authenticated,
    /// A resource was allocated.
    Allocated,
    /// A request failed; only `bye` is permitted.
    Invalid,
}

impl Stage {
    /// The name of the stage in `GET /connections`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Greeted => "greeted",
            Self::Authenticating => "authenticating",
            Self::Authenticated => "authenticated",
            Self::Allocated => "allocated",
            Self::Invalid => "invalid",
        }
    }
}

/// The values of a new session.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Number of the session since the first start.
    pub number: u64,
    /// The new cookie for the client.
    pub cookie: ClientCookie,
    /// The session log id.
    pub id: SessionId,
    /// Identifies the session at gateways.
    pub key: SessionKey,
    /// Address of the client.
    pub client: IpAddr,
    /// What the client said in its `hello`.
    pub hello: Hello,
    /// Time of the `hello`.
    pub at: Time,
}

impl Session {
    /// A session whose `hello` the broker has answered.
    #[must_use]
    pub fn open(opening: Opening, version: Version, broker_cookies: BrokerCookies) -> Self {
        let device_name = opening.hello.device_name.filter(|name| name.len() <= MAX_DEVICE_NAME);
        Self {
            number: opening.number,
            cookie: opening.cookie,
            id: opening.id,
            client: opening.client,
            hello: Hello { device_name, ..opening.hello },
            opened: opening.at,
            key: Some(opening.key),
            version,
            logon: None,
            user: None,
            broker_cookies,
            stage: Stage::Greeted,
        }
    }

    /// The stage of the session.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The protocol version that client and broker agreed on.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The credentials for the agent.
    #[must_use]
    pub fn logon(&self) -> Option<&Logon> {
        self.logon.as_ref()
    }

    /// The user whom further steps of the logon are about.
    #[must_use]
    pub fn user(&self) -> Option<User> {
        let logon = self.logon.as_ref();
        let user = logon.map(|logon| User::new(&logon.username, logon.domain.as_deref()));
        user.or_else(|| self.user.clone())
    }

    /// The cookies to send to the broker.
    #[must_use]
    pub fn broker_cookies(&self) -> &BrokerCookies {
        &self.broker_cookies
    }

    /// Whether the request may be forwarded. The broker decides what a user may do. Refused here
    /// are all requests but `bye` of a session in which a request failed, and resources before the
    /// logon is complete, so that a second factor cannot be skipped if the broker forgets to check
    /// it.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidSession`].
    pub fn permits(&self, request: &RequestKind) -> Result<(), Refusal> {
        match (self.stage, request) {
            (_, RequestKind::Bye) => Ok(()),
            (Stage::Invalid, _) | (_, RequestKind::Hello(_)) => Err(Refusal::InvalidSession),
            (
                Stage::Authenticating,
                RequestKind::GetResourceList | RequestKind::AllocateResource(_),
            ) => Err(Refusal::InvalidSession),
            _ => Ok(()),
        }
    }

    /// Updates the session from the broker's response. Returns why cookies were ignored.
    pub fn answered(
        &mut self,
        request: &RequestKind,
        answer: &ResponseKind,
        set: &SetCookies,
    ) -> Vec<NotKept> {
        let stored = set.values.iter().map(|it| self.broker_cookies.store(it, set.answered));
        let not_kept = stored.filter_map(Result::err).collect();
        match (request, answer) {
            (_, ResponseKind::Error) => self.fail(),
            (RequestKind::Authenticate(step), ResponseKind::Authenticate(result)) => {
                self.authenticated(step, *result);
            }
            (RequestKind::AllocateResource(_), ResponseKind::AllocateResource(Some(_)))
                if self.stage != Stage::Invalid =>
            {
                self.stage = Stage::Allocated;
            }
            _ => {}
        }
        not_kept
    }

    /// Invalidates the session. After a failure between Connection Manager and broker, the broker's
    /// state is unknown; after a failure of the agent, clients expect the session to be over.
    pub fn fail(&mut self) {
        self.stage = Stage::Invalid;
        self.logon = None;
    }

    /// Notes that nobody waits for the broker's answer to a step of the logon. The broker may have
    /// accepted it, but the session does not count as logged on.
    pub fn abandon(&mut self, step: &Authenticate) {
        if self.stage != Stage::Invalid {
            self.stage = Stage::Authenticating;
            if step.user.is_some() {
                (self.logon, self.user) = (None, step.user.clone());
            }
        }
    }

    /// A wrong password is discarded, and the user may try again. If a later step fails, the
    /// correct password is kept.
    fn authenticated(&mut self, step: &Authenticate, result: Authentication) {
        if self.stage == Stage::Invalid {
            return;
        }
        self.stage = match result {
            Authentication::Complete => Stage::Authenticated,
            Authentication::Incomplete | Authentication::Failed => Stage::Authenticating,
        };
        if step.method == "password" {
            let is_kept = |logon: &&Logon| result != Authentication::Failed && logon.fits();
            self.logon = step.logon.as_ref().filter(is_kept).cloned();
            self.user = step.user.clone().filter(|_| self.logon.is_none());
        }
    }
}

/// Longest host name, in bytes. Opening a session needs no authentication, so sessions must be
/// small.
const MAX_DEVICE_NAME: usize = 253;

#[cfg(test)]
mod tests;
