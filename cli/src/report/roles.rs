//! How the roles are, as their sockets tell it.

use std::{fmt::Write as _, io, time::Duration};

use cmsg_config::{
    Paths,
    socket::{self, BrokerStatus, LastRefusal, Listen, NO_BROKER, Role, Status, Usage},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{host::rejected::Rejection, shown::one_line};

/// A role answers at once or hangs.
const WAIT: Duration = Duration::from_secs(2);

/// How often a role that has just started is asked again, at most: five seconds in all.
const TIMES: u32 = 50;
const EVERY: Duration = Duration::from_millis(100);

/// One role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RoleView {
    #[serde(skip)]
    role: Role,
    live: bool,
    ready: bool,
    reason: Option<String>,
    listens: Vec<String>,
    sessions: usize,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    /// The connection broker, as the Connection Manager sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<BrokerStatus>,
    /// Gateways that refused the last session, with when and why.
    #[serde(skip)]
    refusing: Vec<(String, LastRefusal)>,
    /// Why it ended, where it rejected its configuration.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    rejection: Option<Rejection>,
}

impl RoleView {
    /// Asks a role, and why it has ended where it does not answer.
    pub(crate) fn ask(paths: &Paths, role: Role) -> Self {
        let answer = socket::get::<Status>(&paths.run(), role, "/status", WAIT);
        let rejection = answer.is_err().then(|| Rejection::read(paths, role)).flatten();
        let mut view = Self::of(role, answer);
        let is_current = |rejection: &Rejection| !rejection.is_changed;
        view.reason = match &rejection {
            None => view.reason,
            Some(it) if is_current(it) => Some("its configuration is invalid".to_owned()),
            Some(_) => Some("its configuration was invalid; a file has changed since".to_owned()),
        };
        view.rejection = rejection.filter(is_current);
        view
    }

    /// Asks a role that may have just started, or whose gateway has: it lives before it has looked
    /// for what it needs, and gets a moment for that, unless the operator interrupts.
    pub(crate) fn settled(
        mut ask: impl FnMut() -> Self,
        mut pause: impl FnMut(Duration) -> bool,
    ) -> Self {
        let mut view = ask();
        for _ in 0..TIMES {
            let is_passing = |reason: &str| {
                reason == socket::NOT_LOOKED || reason.starts_with(socket::NO_GATEWAY)
            };
            if !view.reason.as_deref().is_some_and(is_passing) || pause(EVERY) {
                break;
            }
            view = ask();
        }
        view
    }

    /// What the answer says.
    pub(crate) fn of(role: Role, answer: io::Result<Status>) -> Self {
        match answer {
            Ok(status) => Self::told(role, in_one_line(status)),
            Err(error) => Self {
                role,
                live: false,
                ready: false,
                reason: Some(one_line(&format!("does not answer: {error}"))),
                listens: Vec::new(),
                sessions: 0,
                usage: Some(Usage::default()),
                broker: None,
                refusing: Vec::new(),
                rejection: None,
            },
        }
    }

    fn told(role: Role, status: Status) -> Self {
        Self {
            role,
            live: true,
            ready: status.ready,
            reason: status
                .reason
                .clone()
                .map(|reason| reason + &refusals(&status) + &trouble(&status)),
            listens: status.listens.iter().map(listen).collect(),
            sessions: status.sessions,
            usage: status.usage,
            refusing: refusing(&status),
            broker: status.broker,
            rejection: None,
        }
    }

    /// Which role.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// The role's name in a document.
    pub(crate) fn key(&self) -> &'static str {
        match self.role {
            Role::Cm => "cm",
            Role::Sg => "sg",
        }
    }

    /// The role's name for people.
    pub(crate) fn name(&self) -> String {
        self.role.command().replace('-', " ")
    }

    /// Whether it does not answer.
    pub(crate) fn is_down(&self) -> bool {
        !self.live
    }

    /// Why it cannot do its work although it lives, where that is so.
    pub(crate) fn why_not_ready(&self) -> Option<&str> {
        let why = || self.reason.as_deref().unwrap_or("it does not say why");
        (self.live && !self.ready).then(why)
    }

    /// Why it ended, where it rejected its configuration.
    pub(crate) fn rejection(&self) -> Option<&Rejection> {
        self.rejection.as_ref()
    }

    /// The connection broker, as the Connection Manager sees it.
    pub(crate) fn broker(&self) -> Option<&BrokerStatus> {
        self.broker.as_ref()
    }

    /// The gateways that refused the last session, with when and why.
    pub(crate) fn refusing(&self) -> &[(String, LastRefusal)] {
        &self.refusing
    }

    /// Lines for people.
    pub(crate) fn lines(&self) -> String {
        let state = match (self.live, self.ready) {
            (false, _) => "down",
            (true, false) => "live, not ready",
            (true, true) => "live, ready",
        };
        let mut text = format!("{}: {state}", self.name());
        if let Some(reason) = &self.reason {
            let _ = write!(text, " ({reason})");
        }
        if self.live {
            let _ = match self.usage {
                Some(Usage { in_use, resumable }) => {
                    write!(text, "\n  sessions: {in_use} in use, {resumable} resumable")
                }
                None => write!(text, "\n  sessions: {}", self.sessions),
            };
        }
        for listen in &self.listens {
            let _ = write!(text, "\n  {listen}");
        }
        text
    }
}

/// The same with each text in one line: names that strangers chose are in some of them.
fn in_one_line(status: Status) -> Status {
    fn all(value: &mut Value) {
        match value {
            Value::String(text) => *text = one_line(text),
            Value::Array(values) => values.iter_mut().for_each(all),
            Value::Object(values) => values.values_mut().for_each(all),
            _ => {}
        }
    }
    let mut document = json!(status);
    all(&mut document);
    serde_json::from_value(document).unwrap_or(status)
}

/// The roles by their keys.
pub(crate) fn document(views: &[RoleView]) -> Map<String, Value> {
    views.iter().map(|view| (view.key().to_owned(), json!(view))).collect()
}

/// As `--listen` takes it, with the transport behind.
fn listen(listen: &Listen) -> String {
    format!("{}={}/{}", listen.key, listen.address, listen.transport)
}

/// What other gateways say, where it is for them that a Connection Manager is not ready.
fn refusals(status: &Status) -> String {
    let all = status.unserved.iter().flat_map(|unserved| &unserved.gateways);
    let is_about_them = status.reason.as_deref() == Some(socket::NO_GATEWAY);
    let said = all.filter(|gateway| is_about_them && !gateway.takes_sessions);
    let said = said.filter_map(|it| Some(format!("{}: {}", it.gateway, it.reason.as_ref()?)));
    let said: Vec<_> = said.collect();
    if said.is_empty() { String::new() } else { format!("; {}", said.join("; ")) }
}

/// Why a Connection Manager cannot use the broker, and since when; nothing where another reason keeps
/// it from being ready.
fn trouble(status: &Status) -> String {
    let broker = status.broker.as_ref().filter(|_| status.reason.as_deref() == Some(NO_BROKER));
    let Some(BrokerStatus { reason: Some(reason), since, .. }) = broker else {
        return String::new();
    };
    let since = since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
    format!("{since}: {reason}")
}

fn refusing(status: &Status) -> Vec<(String, LastRefusal)> {
    let all = status.unserved.iter().flat_map(|unserved| &unserved.gateways);
    all.filter_map(|it| Some((it.gateway.clone(), it.last_refusal.clone()?))).collect()
}
