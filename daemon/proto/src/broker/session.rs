//! A client's session at the Connection Manager, from its `hello` to its `bye`: one plain value, and
//! the rules of what a request may do and what an answer changes.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    Authentication, BrokerCookies, ClientCookie, Hello, Logon, NotKept, Refusal, RequestKind,
    ResponseKind, SetCookies, Version,
};
use crate::{SessionId, SessionKey, Time};

pub use journal::{Journal, Seal, Unreadable};
pub use table::{Extent, Full, Sessions};

mod journal;
mod table;

/// A session. Whoever reads its serialized form can take it over: it holds both sides' cookies. It
/// is therefore only written down sealed, and then with the user's password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// Its number since the start, for the log.
    pub number: u64,
    /// The cookie that the client shows.
    pub cookie: ClientCookie,
    /// The session log id.
    pub id: SessionId,
    /// The client's address.
    pub client: IpAddr,
    /// What the client told of itself.
    pub hello: Hello,
    /// When it was opened.
    pub opened: Time,
    /// What gateways are told to call it by; none where an older version opened it.
    #[serde(default)]
    pub key: Option<SessionKey>,
    /// The version of the protocol that client and broker agreed on.
    version: Version,
    /// With what the agent is asked to log the user on.
    logon: Option<Logon>,
    broker_cookies: BrokerCookies,
    stage: Stage,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The broker answered the `hello`. Some brokers ask for no logon at all.
    Greeted,
    /// The user was asked and is not logged on yet: a step failed, or another one is wanted.
    Authenticating,
    /// The user is logged on.
    Authenticated,
    /// A resource was allocated.
    Allocated,
    /// Something went wrong; only `bye` is left.
    Invalid,
}

impl Stage {
    /// Its name in the status.
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

/// Who opens a session.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its number since the start.
    pub number: u64,
    /// The cookie for the client.
    pub cookie: ClientCookie,
    /// The session log id.
    pub id: SessionId,
    /// What gateways are told to call it by.
    pub key: SessionKey,
    /// The client's address.
    pub client: IpAddr,
    /// What the client told of itself.
    pub hello: Hello,
    /// When.
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
            broker_cookies,
            stage: Stage::Greeted,
        }
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The version of the protocol that client and broker agreed on.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// With what the agent is asked to log the user on.
    #[must_use]
    pub fn logon(&self) -> Option<&Logon> {
        self.logon.as_ref()
    }

    /// The cookies to show the broker.
    #[must_use]
    pub fn broker_cookies(&self) -> &BrokerCookies {
        &self.broker_cookies
    }

    /// Whether the request may be passed on. The broker is the judge of what a user may do; here
    /// are only refused a session that is broken, and resources while a step of the logon is
    /// missing, so that a second factor cannot be skipped at a broker that forgets to ask.
    ///
    /// # Errors
    ///
    /// How the request is refused.
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

    /// Takes what the broker answered to a request. Returns why cookies were not kept.
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
                self.authenticated(&step.method, step.logon.as_ref(), *result);
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

    /// After a failure between Connection Manager and broker nobody knows what the broker thinks of
    /// the session; after one of the agent, clients expect it to be over.
    pub fn fail(&mut self) {
        self.stage = Stage::Invalid;
        self.logon = None;
    }

    /// A failed password is forgotten and may be tried again; a failed further step leaves the
    /// password that was right.
    fn authenticated(&mut self, method: &str, logon: Option<&Logon>, result: Authentication) {
        if self.stage == Stage::Invalid {
            return;
        }
        self.stage = match result {
            Authentication::Complete => Stage::Authenticated,
            Authentication::Incomplete | Authentication::Failed => Stage::Authenticating,
        };
        if method == "password" {
            let kept = logon.filter(|logon| result != Authentication::Failed && logon.fits());
            self.logon = kept.cloned();
        }
    }
}

/// No host's name is longer; everybody can open a session, so it must not be large.
const MAX_DEVICE_NAME: usize = 253;

#[cfg(test)]
mod tests;
