//! How the roles are, as their sockets tell it.

use std::{fmt::Write as _, io, time::Duration};

use cmsg_config::{
    Paths, cause,
    socket::{
        self, BrokerStatus, DRAINING, FailoverStatus, GatewayStanding, LastRefusal, Listen,
        LogonCounts, NO_BROKER, Role, Status, Usage,
    },
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{host::rejected::Rejection, shown::one_line};

/// A role answers at once or hangs.
const WAIT: Duration = Duration::from_secs(2);

/// How often a role that has just started is asked again, at most: five seconds in all.
const TIMES: u32 = 50;
const EVERY: Duration = Duration::from_millis(100);

/// The state of a role in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RoleState {
    Healthy,
    /// It runs and accepts no sessions.
    NotReady,
    /// It was told to accept no new sessions.
    Draining,
    /// Something listens on its socket and does not answer.
    NotResponding,
    /// It does not run.
    Stopped,
    /// It is restarted again and again.
    CrashLooping,
    /// It does not run since it rejected its configuration.
    ConfigurationRejected,
}

impl RoleState {
    /// Whether the role answers.
    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Healthy | Self::NotReady | Self::Draining)
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NotReady => "not ready",
            Self::Draining => "draining",
            Self::NotResponding => "not responding",
            Self::Stopped => "stopped",
            Self::CrashLooping => "crash-looping",
            Self::ConfigurationRejected => "configuration rejected",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RoleView {
    #[serde(skip)]
    role: Role,
    state: RoleState,
    live: bool,
    ready: bool,
    reason: Option<String>,
    /// The same without the causes that the broker and the gateways have.
    #[serde(skip)]
    own_reason: Option<String>,
    listens: Vec<String>,
    sessions: usize,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    /// The version of the daemon that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// When it started, in milliseconds since 1970, if it reports that.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<u64>,
    /// How often it was restarted, if that happens again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts: Option<u64>,
    /// The gateways of the Connection Manager.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gateways: Vec<GatewayStanding>,
    /// The connection broker, as the Connection Manager sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<BrokerStatus>,
    /// Failed log-ons at the Connection Manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    logons: Option<LogonCounts>,
    /// The sessions that gateways take over from each other, as the gateway reports them.
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<FailoverStatus>,
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
        if rejection.is_some() {
            view.own_reason.clone_from(&view.reason);
        }
        view.rejection = rejection.filter(is_current);
        if view.rejection.is_some() {
            view.state = RoleState::ConfigurationRejected;
        }
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
                state: silent(&error),
                live: false,
                ready: false,
                reason: Some(one_line(&format!("does not answer: {}", cause::of_socket(&error)))),
                own_reason: match silent(&error) {
                    RoleState::Stopped => None,
                    _ => Some(one_line(&cause::of_socket(&error))),
                },
                listens: Vec::new(),
                sessions: 0,
                usage: Some(Usage::default()),
                version: None,
                started: None,
                restarts: None,
                gateways: Vec::new(),
                broker: None,
                logons: None,
                failover: None,
                rejection: None,
            },
        }
    }

    fn told(role: Role, status: Status) -> Self {
        let is_draining = status.reason.as_deref() == Some(DRAINING);
        Self {
            role,
            state: match status.ready {
                true => RoleState::Healthy,
                false if is_draining => RoleState::Draining,
                false => RoleState::NotReady,
            },
            live: true,
            ready: status.ready,
            own_reason: status.reason.clone(),
            reason: status
                .reason
                .clone()
                .map(|reason| reason + &refusals(&status) + &trouble(&status)),
            listens: status.listens.iter().map(listen).collect(),
            sessions: status.sessions,
            usage: status.usage,
            version: Some(status.version),
            started: status.started,
            restarts: None,
            gateways: status.unserved.map(|unserved| unserved.gateways).unwrap_or_default(),
            broker: status.broker,
            logons: status.logons,
            failover: status.failover,
            rejection: None,
        }
    }

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
        let why = || self.reason.as_deref().unwrap_or("it reports no reason");
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

    /// Failed log-ons at the Connection Manager.
    pub(crate) fn logons(&self) -> Option<&LogonCounts> {
        self.logons.as_ref()
    }

    /// The sessions that gateways take over from each other.
    pub(crate) fn failover(&self) -> Option<&FailoverStatus> {
        self.failover.as_ref()
    }

    /// The gateways that refused the last session, with when and why.
    pub(crate) fn refusing(&self) -> Vec<(String, LastRefusal)> {
        let refused = |it: &GatewayStanding| Some((it.gateway.clone(), it.last_refusal.clone()?));
        self.gateways.iter().filter_map(refused).collect()
    }

    /// Its state in one word.
    pub(crate) fn state(&self) -> RoleState {
        self.state
    }

    /// Why it is not healthy, without the causes that the broker and the gateways have.
    pub(crate) fn own_reason(&self) -> Option<&str> {
        self.own_reason.as_deref()
    }

    /// Its sessions, where it answers and counts them.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage.filter(|_| self.live)
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions
    }

    /// The version of the daemon that runs.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// When it started, in milliseconds since 1970, if it reports that.
    pub(crate) fn started(&self) -> Option<u64> {
        self.started
    }

    /// How often it was restarted, if that happens again and again.
    pub(crate) fn restarts(&self) -> Option<u64> {
        self.restarts
    }

    /// The addresses that it listens on, as `--listen` takes them.
    pub(crate) fn listens(&self) -> &[String] {
        &self.listens
    }

    /// The gateways of the Connection Manager.
    pub(crate) fn gateways(&self) -> &[GatewayStanding] {
        &self.gateways
    }

    /// Notes that a role that does not run is restarted again and again.
    pub(crate) fn restarted(self, restarts: Option<u64>) -> Self {
        match restarts {
            Some(_) if self.state == RoleState::Stopped => {
                Self { state: RoleState::CrashLooping, restarts, ..self }
            }
            _ => self,
        }
    }

    pub(crate) fn lines(&self) -> String {
        let mut text = format!("{}: {}", self.name(), self.state.words());
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

/// The state of a role whose socket does not answer.
fn silent(error: &io::Error) -> RoleState {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => RoleState::Stopped,
        _ => RoleState::NotResponding,
    }
}
