//! Clients that log on one after the other, as fast as the server answers.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    identity::Certificates,
    log_on::{Client, Took},
};

/// How clients connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// A new TLS session for each log-on
    New,
    /// 32 clients that resume their TLS sessions
    #[value(name = "resumed-32")]
    #[serde(rename = "resumed-32")]
    Resumed32,
    /// 512 clients that resume their TLS sessions
    #[value(name = "resumed-512")]
    #[serde(rename = "resumed-512")]
    Resumed512,
    /// All log-ons of a client on one connection
    KeepAlive,
    /// The same, without `allocate-resource`
    WithoutAllocation,
    /// A new TLS session for each request
    EachRequest,
}

impl Mode {
    pub(super) fn keeps_connection(self) -> bool {
        matches!(self, Self::KeepAlive | Self::WithoutAllocation)
    }

    pub(super) fn connects_for_each_request(self) -> bool {
        self == Self::EachRequest
    }

    pub(super) fn allocates(self) -> bool {
        self != Self::WithoutAllocation
    }

    fn resumes(self) -> bool {
        matches!(self, Self::Resumed32 | Self::Resumed512)
    }

    /// Number of clients, of which `at_once` log on at the same time.
    fn clients(self, at_once: u16) -> u16 {
        match self {
            Self::Resumed32 => 32.max(at_once),
            Self::Resumed512 => 512.max(at_once),
            _ => at_once,
        }
    }
}

/// The clients of a server, in groups that log on at the same time.
pub(super) struct Load {
    groups: Vec<Vec<Client>>,
}

/// What clients noticed.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) took: Vec<Took>,
    pub(super) errors: Vec<String>,
    pub(super) seconds: f64,
}

impl Load {
    pub(super) fn new(
        mode: Mode,
        certificates: &Certificates,
        to: SocketAddr,
        at_once: u16,
    ) -> Self {
        let mut groups: Vec<_> = (0..at_once).map(|_| Vec::new()).collect();
        for number in 0..mode.clients(at_once) {
            let connector = certificates.connector(mode.resumes());
            let client = Client::new(mode, to, connector, number.into());
            groups[usize::from(number % at_once)].push(client);
        }
        Self { groups }
    }

    /// Logs on until the time is over.
    pub(super) async fn run(&mut self, time: Duration) -> Ran {
        let started = Instant::now();
        let mut running = JoinSet::new();
        for mut clients in self.groups.drain(..) {
            running.spawn_local(async move {
                let (mut took, mut errors) = (Vec::new(), Vec::new());
                'running: loop {
                    for client in &mut clients {
                        if started.elapsed() >= time || errors.len() >= MAX_ERRORS {
                            break 'running;
                        }
                        match client.log_on().await {
                            Ok(it) => took.push(it),
                            Err(error) => errors.push(format!("{error:#}")),
                        }
                    }
                }
                (clients, took, errors)
            });
        }
        let mut ran = Ran::default();
        while let Some(Ok((clients, took, errors))) = running.join_next().await {
            self.groups.push(clients);
            ran.took.extend(took);
            ran.errors.extend(errors);
        }
        ran.seconds = started.elapsed().as_secs_f64();
        ran
    }
}

/// A group stops after so many errors.
const MAX_ERRORS: usize = 10;
