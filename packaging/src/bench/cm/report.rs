//! The figures of a run.

use serde::Serialize;

use super::{
    load::{Mode, Ran},
    memory::{Held, Storm},
    server::{Kind, Used},
};
use crate::bench::sg::statistics::{median, percentile};

/// How many log-ons there were in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// As many as the server could answer.
    Saturation,
    /// Half of what the slowest server reached.
    HalfLoad,
}

/// What a round belongs to.
pub(super) type Key = (Stage, Mode, Kind);

/// One server in one round.
#[derive(Debug, Serialize)]
pub(super) struct Round {
    pub(super) stage: Stage,
    pub(super) mode: Mode,
    pub(super) server: Kind,
    pub(super) log_ons: usize,
    pub(super) errors: usize,
    pub(super) error: Option<String>,
    pub(super) per_second: f64,
    pub(super) cpu_ms: f64,
    /// The part of `cpu_ms` that the gateway used.
    pub(super) gateway_ms: f64,
    /// The share of a CPU that the server used.
    pub(super) busy: f64,
    pub(super) written: f64,
    /// Median and 99th percentile of a whole log-on in microseconds.
    pub(super) log_on_us: [u32; 2],
    /// The same of `allocate-resource`.
    pub(super) allocate_us: [u32; 2],
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) rounds: Vec<Round>,
    /// Median and 99th percentile of `fdatasync` in microseconds, of two writers at the same time.
    pub(super) disk: Vec<[u32; 2]>,
    pub(super) memory: Vec<Held>,
    pub(super) storms: Vec<Storm>,
}

impl Round {
    pub(super) fn new((stage, mode, server): Key, ran: &Ran, used: Used) -> Self {
        let log_ons = ran.took.len();
        #[expect(clippy::cast_precision_loss, reason = "a measured number")]
        let each = |total: u64| total as f64 / (log_ons.max(1) as f64);
        #[expect(clippy::cast_precision_loss, reason = "a measured number")]
        let busy = used.cpu_ns as f64 / 1e9 / ran.seconds;
        Self {
            stage,
            mode,
            server,
            log_ons,
            errors: ran.errors.len(),
            error: ran.errors.first().cloned(),
            per_second: ran.per_second(),
            cpu_ms: each(used.cpu_ns) / 1e6,
            gateway_ms: each(used.gateway_ns) / 1e6,
            busy,
            written: each(used.written),
            log_on_us: percentiles(ran.took.iter().map(|it| it.whole.as_micros()).collect()),
            allocate_us: percentiles(ran.took.iter().map(|it| it.allocate.as_micros()).collect()),
        }
    }

    pub(super) fn key(&self) -> Key {
        (self.stage, self.mode, self.server)
    }

    pub(super) fn line(&self) -> String {
        let error = self.error.as_ref().map(|error| format!("; {} errors: {error}", self.errors));
        let [p50, p99] = self.log_on_us.map(|micros| f64::from(micros) / 1000.0);
        format!(
            "{} {}: {:.3} ms of CPU a log-on, {:.0} log-ons/s, {p50:.1} and {p99:.1} ms{}",
            self.mode.name(),
            self.server.name(),
            self.cpu_ms,
            self.per_second,
            error.unwrap_or_default()
        )
    }
}

impl Report {
    /// Number of errors.
    pub(super) fn failed(&self) -> usize {
        let rounds = self.rounds.iter().map(|round| round.errors);
        let memory = self.memory.iter().map(|row| row.errors.len());
        let storms = self.storms.iter().map(|row| row.errors.len());
        rounds.chain(memory).chain(storms).sum()
    }

    /// The modes and servers of a stage, in the order of their first rounds.
    pub(super) fn keys(&self, stage: Stage) -> Vec<Key> {
        let mut keys = Vec::new();
        for round in self.rounds.iter().filter(|round| round.stage == stage) {
            if !keys.contains(&round.key()) {
                keys.push(round.key());
            }
        }
        keys
    }

    /// A figure of each round, in their order.
    pub(super) fn values(&self, key: Key, of: &dyn Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().filter(|round| round.key() == key).map(of).collect()
    }

    pub(super) fn median(&self, key: Key, of: &dyn Fn(&Round) -> f64) -> f64 {
        median(&self.values(key, of)).unwrap_or_default()
    }

    pub(super) fn errors(&self, key: Key) -> usize {
        self.rounds.iter().filter(|round| round.key() == key).map(|round| round.errors).sum()
    }

    /// CPU time of a log-on in milliseconds, by the names of modes and servers.
    pub(super) fn cpu_ms(&self) -> Vec<(String, &'static str, f64)> {
        let keys = self.keys(Stage::Saturation).into_iter();
        let value = |key: Key| self.median(key, &|round| round.cpu_ms);
        keys.map(|key| (key.1.name(), key.2.name(), value(key))).collect()
    }
}

/// The median and the 99th percentile.
pub(super) fn percentiles(micros: Vec<u128>) -> [u32; 2] {
    let mut sorted: Vec<_> =
        micros.into_iter().map(|it| u32::try_from(it).unwrap_or(u32::MAX)).collect();
    sorted.sort_unstable();
    [50, 99].map(|percent| percentile(&sorted, percent).unwrap_or_default())
}
