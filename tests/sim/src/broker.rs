//! The simulated connection broker: two-step authentication, a list of resources, and one agent for
//! all of them. It only accepts requests in the form of a Connection Manager, and reports
//! violations.

mod answers;
mod rules;
mod sessions;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::credentials::Credentials;
use crate::events::Events;
use crate::faults::Faults;
use crate::http::server;
use crate::random;
use crate::serve::{self, Running, Scope, StartError};
use crate::tls::{CertificateKind, Identity};
use sessions::Sessions;

/// How a broker behaves.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    /// What kind of certificate it shows.
    pub certificate: CertificateKind,
    /// The user that it knows.
    pub credentials: Credentials,
    /// The second factor that it asks for.
    pub passcode: SecretString,
    /// How many resources the user is entitled to.
    pub resources: NonZeroU16,
    /// Where every resource is.
    pub target: Target,
}

/// The agents to which a broker sends its users.
#[derive(Clone, Debug)]
pub struct Target {
    /// The address of each agent. They take turns by the broker's sessions.
    pub ips: Vec<IpAddr>,
    pub hostname: String,
    /// The agents' PCoIP port.
    pub port: u16,
}

/// What a broker has to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    Ready {
        /// The address with the port that was taken.
        address: SocketAddr,
        /// The digest of its certificate.
        certificate_sha256: String,
    },
    /// It got a request.
    Request(Facts),
    /// The previous request violated the protocol.
    Violation {
        /// What is wrong with it.
        what: String,
    },
}

/// The relevant values of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The message's name, or nothing if it could not be read.
    pub kind: Option<String>,
    /// The number of the session that it belongs to.
    pub session: Option<u64>,
    pub x_forwarded_for: Option<String>,
    pub client_log_id: Option<String>,
    /// The ends of the session cookie.
    pub cookie: Option<String>,
    pub content_type: Option<String>,
    /// The `result-id` of the response, if it has one.
    pub result: Option<&'static str>,
}

/// A broker that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Broker {
    pub address: SocketAddr,
    /// The digest of its certificate.
    pub certificate_sha256: String,
    /// What it has to say, [`Event::Ready`] first.
    pub events: UnboundedReceiver<Event>,
    /// What it does wrong.
    pub faults: Faults,
    running: Running,
}

pub async fn start(options: Options) -> Result<Broker, StartError> {
    let (listener, address) = serve::listen(options.listen).await?;
    let identity = Identity::generate(options.certificate, address.ip())?;
    let (sink, events) = Events::channel();
    let certificate_sha256 = identity.sha256.clone();
    sink.emit(Event::Ready { address, certificate_sha256: certificate_sha256.clone() });

    let scope = Scope::default();
    let faults = Faults::default();
    let played = faults.clone();
    let sessions = Arc::new(Mutex::new(Sessions::new(options)));
    scope.accept(listener, identity.acceptor, move |stream, _| {
        let (sessions, sink, faults) = (Arc::clone(&sessions), sink.clone(), played.clone());
        async move {
            let answer = |request: &_| {
                let cookie = random::hex(&random::array::<16>()).to_uppercase();
                let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
                let (response, events) = sessions.answer(request, &cookie);
                events.into_iter().for_each(|event| sink.emit(event));
                response
            };
            server::serve(stream, &faults, answer).await;
        }
    });
    Ok(Broker { address, certificate_sha256, events, faults, running: Running::new(scope) })
}

impl Broker {
    /// Stops the broker, and returns when all tasks have ended.
    pub async fn stop(&self) {
        self.running.stop().await;
    }
}
