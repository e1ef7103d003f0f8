//! The simulated client: performs all steps of a real one, from hello to bye, and checks the
//! responses.

mod answers;
mod broker;
mod channel;
mod endpoint;
mod error;
mod half_way;
mod hold;
mod messages;
mod raw;
mod session;
mod source;
mod visit;
mod window;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::credentials::Credentials;
use crate::datagram::DatagramSize;
use crate::events::{Events, milliseconds_since, with_causes};
use crate::layout::Layout;
use crate::tag::Tag;
use crate::tls::{Connectors, Trust};
use crate::traffic::{Totals, Traffic};
use broker::Broker;
pub use endpoint::{Endpoint, EndpointError};
use error::Error;
pub use half_way::{AtSecondFactor, half_way};
pub use raw::{RawConnection, RawConnector, hello_request, xml_request};
use session::Session;
pub use visit::visit;

/// What a client does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the broker's side is: usually the Connection Manager.
    pub connect: Endpoint,
    /// Which certificates it accepts.
    pub trust: Trust,
    pub credentials: Credentials,
    /// What is entered when a second factor is asked for.
    pub passcode: Option<SecretString>,
    /// What is done in the session.
    pub session: SessionOptions,
}

/// What a client does in its PCoIP session.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// The spelling of control messages.
    pub layout: Layout,
    /// Whether datagrams have a transport header.
    pub transport_header: bool,
    /// How many datagrams must go each way.
    pub datagrams: u32,
    /// How many bytes each has.
    pub datagram_size: DatagramSize,
    /// How long pings and datagrams go on after that.
    pub hold: Duration,
    /// What becomes of the control connection while the session is held.
    pub control: ControlUse,
    /// Further addresses at which a lost control connection is opened again.
    pub alternates: Vec<IpAddr>,
    /// The source address of all connections and datagrams; chosen by the system unless given.
    pub source: Option<IpAddr>,
}

/// How a client uses its control connection while it holds a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ControlUse {
    /// Opens another one if it is lost.
    #[default]
    Reconnect,
    /// Continues with datagrams alone if it is lost.
    Continue,
    /// Ends the session if it is lost.
    End,
    /// Closes it, and continues with datagrams alone.
    Close,
}

/// What a client has to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The broker's side has shown its certificate.
    Certificate {
        sha256: String,
    },
    /// A stage has ended.
    Stage {
        name: Stage,
        /// How long it took.
        ms: f64,
        /// Whether all was right.
        ok: bool,
    },
    /// The control connection was lost, and there is another one.
    Resumed {
        /// How long that took.
        ms: f64,
    },
    Result(Box<Report>),
}

/// A step of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Says hello to the broker.
    Hello,
    /// Sends name and password.
    Authenticate,
    /// Fills in the broker's dialog.
    SecondFactor,
    List,
    /// Asks for the first of them.
    Allocate,
    /// Opens the control connection, and shows the tag.
    Tls,
    Udp,
    /// Keeps the session for a while.
    Hold,
    /// Ends the session at the agent and at the broker.
    Bye,
}

/// The result of a client.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether all was right.
    pub ok: bool,
    pub error: Option<String>,
    /// The spelling of control messages.
    pub layout: Layout,
    /// The UUID by which every log knows this session.
    pub session_log_id: String,
    /// The address of the session.
    pub target: Option<Target>,
    /// What was sent and received.
    #[serde(flatten)]
    pub traffic: Totals,
    /// What went on in the session.
    #[serde(flatten)]
    pub record: Record,
}

/// The address to which an allocation sends the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The address for TCP and UDP.
    pub ip: IpAddr,
    /// The port for both.
    pub port: u16,
    /// The server name for TLS.
    pub sni: String,
    /// The agent's number for the session, in decimal digits.
    pub session_id: String,
    #[serde(skip)]
    tag: Tag,
}

/// Statistics of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// How many datagrams were sent again.
    pub retransmitted: u64,
    /// How often the control connection was lost and opened again.
    pub resumed: u64,
    /// The longest time without a datagram while the session was held.
    pub silence_ms: f64,
}

pub async fn walk(options: &Options) -> Report {
    walk_watched(options, &Events::discarded(), &CancellationToken::new()).await
}

/// Performs all steps, emits events, and stops when cancelled.
pub async fn walk_watched(
    options: &Options,
    events: &Events<Event>,
    stop: &CancellationToken,
) -> Report {
    walk_counted(options, events, stop, &Arc::default()).await
}

/// The same as [`walk_watched`], with traffic that can be read meanwhile.
pub async fn walk_counted(
    options: &Options,
    events: &Events<Event>,
    stop: &CancellationToken,
    traffic: &Arc<Traffic>,
) -> Report {
    let mut report = Report::new(options);
    let outcome = tokio::select! {
        outcome = run(options, events, traffic, &mut report) => outcome,
        () = stop.cancelled() => Err("stopped".to_owned()),
    };
    report.traffic = traffic.totals();
    report.ok = outcome.is_ok();
    report.error = outcome.err();
    events.emit(Event::Result(Box::new(report.clone())));
    report
}

async fn run(
    options: &Options,
    events: &Events<Event>,
    traffic: &Arc<Traffic>,
    report: &mut Report,
) -> Result<(), String> {
    let connectors = Connectors::new(&options.trust).map_err(|error| with_causes(&error))?;
    let mut broker = Broker::new(options, events, &connectors, &report.session_log_id);
    step(events, Stage::Hello, broker.hello()).await?;
    if let Some(dialog) = step(events, Stage::Authenticate, broker.authenticate()).await? {
        step(events, Stage::SecondFactor, broker.second_factor(&dialog)).await?;
    }
    let resource = step(events, Stage::List, broker.list()).await?;
    let target = step(events, Stage::Allocate, broker.allocate(&resource)).await?;
    report.target = Some(target.clone());

    let way = session::Way { options: &options.session, connectors: &connectors, traffic, target };
    let mut session = step(events, Stage::Tls, Session::open(way, &mut report.record)).await?;
    step(events, Stage::Udp, session.exchange(options.session.datagrams)).await?;
    if !options.session.hold.is_zero() {
        step(events, Stage::Hold, session.hold(events)).await?;
    }
    // The broker gets a bye even if the agent does not respond.
    step(events, Stage::Bye, async { session.bye().await.and(broker.bye().await) }).await
}

/// Performs one step, and reports its result.
async fn step<T>(
    events: &Events<Event>,
    name: Stage,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, String> {
    let started = Instant::now();
    let outcome = match name {
        Stage::Hold => work.await,
        _ => timeout(PATIENCE, work).await.unwrap_or(Err(Error::Timeout)),
    };
    let ms = milliseconds_since(started);
    events.emit(Event::Stage { name, ms, ok: outcome.is_ok() });
    outcome.map_err(|error| format!("{name}: {}", with_causes(&error)))
}

impl Report {
    fn new(options: &Options) -> Self {
        Self {
            ok: false,
            error: None,
            layout: options.session.layout,
            session_log_id: Uuid::new_v4().to_string(),
            target: None,
            traffic: Totals::default(),
            record: Record::default(),
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(formatter)
    }
}

/// Longer than any timeout of the Connection Manager.
const PATIENCE: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_can_go_in_any_thread() {
        fn spawnable<T: Send>(_: &T) {}
        let options = Options {
            connect: "https://localhost".parse().unwrap(),
            trust: Trust::Any,
            credentials: Credentials {
                user: "u".to_owned(),
                password: "p".into(),
                domain: "d".to_owned(),
            },
            passcode: None,
            session: SessionOptions::default(),
        };

        spawnable(&walk(&options));
    }
}
