//! Clients that log on as fast as the server answers, or at a given rate.

use std::{
    cell::RefCell,
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{
    task::{JoinError, JoinSet},
    time::interval,
};

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

    pub(super) fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self)
            .map_or_else(String::new, |it| it.get_name().to_owned())
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

/// The clients of a server. Those that are not logging on wait in a queue.
pub(super) struct Load<'a> {
    mode: Mode,
    certificates: &'a Certificates,
    to: SocketAddr,
    at_once: u16,
    idle: Rc<RefCell<VecDeque<Client>>>,
    /// Number of clients so far.
    created: u64,
}

/// What clients noticed.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) took: Vec<Took>,
    pub(super) errors: Vec<String>,
    pub(super) seconds: f64,
}

impl<'a> Load<'a> {
    pub(super) fn new(
        mode: Mode,
        certificates: &'a Certificates,
        to: SocketAddr,
        at_once: u16,
    ) -> Self {
        let idle = Rc::default();
        let mut load = Self { mode, certificates, to, at_once, idle, created: 0 };
        for _ in 0..mode.clients(at_once) {
            let client = load.client();
            load.idle.borrow_mut().push_back(client);
        }
        load
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    fn client(&mut self) -> Client {
        self.created += 1;
        let connector = self.certificates.connector(self.mode.resumes());
        Client::new(self.mode, self.to, connector, self.created)
    }

    /// Logs on as fast as the server answers, until the time is over.
    pub(super) async fn run(&mut self, time: Duration) -> Ran {
        let started = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..self.at_once {
            let idle = Rc::clone(&self.idle);
            running.spawn_local(async move {
                let mut ran = Ran::default();
                while started.elapsed() < time && ran.errors.len() < MAX_ERRORS {
                    let next = idle.borrow_mut().pop_front();
                    let Some(mut client) = next else { break };
                    ran.add(client.log_on().await);
                    idle.borrow_mut().push_back(client);
                }
                ran
            });
        }
        let mut ran = Ran::default();
        while let Some(part) = running.join_next().await {
            match part {
                Ok(part) => {
                    ran.took.extend(part.took);
                    ran.errors.extend(part.errors);
                }
                Err(error) => ran.errors.push(error.to_string()),
            }
        }
        ran.seconds = started.elapsed().as_secs_f64();
        ran
    }

    /// Begins so many log-ons a second, whether earlier ones have ended or not.
    pub(super) async fn paced(&mut self, time: Duration, per_second: f64) -> Ran {
        let started = Instant::now();
        let mut due = interval(Duration::from_secs_f64(1.0 / per_second.max(1.0)));
        let mut running = JoinSet::new();
        let mut ran = Ran::default();
        while started.elapsed() < time && ran.errors.len() < MAX_ERRORS {
            due.tick().await;
            while let Some(ended) = running.try_join_next() {
                ran.end(ended);
            }
            if running.len() >= MAX_IN_PROGRESS {
                ran.errors.push(format!("{MAX_IN_PROGRESS} log-ons are in progress"));
                break;
            }
            let idle = Rc::clone(&self.idle);
            let next = idle.borrow_mut().pop_front();
            let mut client = next.unwrap_or_else(|| self.client());
            running.spawn_local(async move {
                let logged_on = client.log_on().await;
                idle.borrow_mut().push_back(client);
                logged_on
            });
        }
        while let Some(ended) = running.join_next().await {
            ran.end(ended);
        }
        ran.seconds = started.elapsed().as_secs_f64();
        ran
    }
}

impl Ran {
    fn add(&mut self, logged_on: anyhow::Result<Took>) {
        match logged_on {
            Ok(took) => self.took.push(took),
            Err(error) => self.errors.push(format!("{error:#}")),
        }
    }

    fn end(&mut self, ended: Result<anyhow::Result<Took>, JoinError>) {
        match ended {
            Ok(logged_on) => self.add(logged_on),
            Err(error) => self.errors.push(error.to_string()),
        }
    }

    /// Log-ons a second.
    pub(super) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a measured number")]
        let log_ons = self.took.len() as f64;
        log_ons / self.seconds
    }
}

/// A client or a paced load stops after so many errors.
const MAX_ERRORS: usize = 10;
const MAX_IN_PROGRESS: usize = 1000;
