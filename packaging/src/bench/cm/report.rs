//! The figures of a run.

use serde::Serialize;

use super::{
    load::{Mode, Ran},
    server::{Kind, Used},
};
use crate::bench::sg::statistics::{median, paired_ratio, percentile};

/// One server in one round.
#[derive(Debug, Serialize)]
pub(super) struct Round {
    mode: Mode,
    server: Kind,
    log_ons: usize,
    errors: usize,
    error: Option<String>,
    per_second: f64,
    cpu_ms: f64,
    written: f64,
    /// Median and 99th percentile of a whole log-on in microseconds.
    log_on_us: [u32; 2],
    /// The same of `allocate-resource`.
    allocate_us: [u32; 2],
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) rounds: Vec<Round>,
}

impl Round {
    pub(super) fn new(mode: Mode, server: Kind, ran: &Ran, used: Used) -> Self {
        let log_ons = ran.took.len();
        #[expect(clippy::cast_precision_loss, reason = "a measured number")]
        let each = |total: u64| total as f64 / (log_ons.max(1) as f64);
        let percentiles = |micros: Vec<u128>| {
            let mut sorted: Vec<_> =
                micros.into_iter().map(|it| u32::try_from(it).unwrap_or(u32::MAX)).collect();
            sorted.sort_unstable();
            [50, 99].map(|percent| percentile(&sorted, percent).unwrap_or_default())
        };
        #[expect(clippy::cast_precision_loss, reason = "a measured number")]
        let per_second = log_ons as f64 / ran.seconds;
        Self {
            mode,
            server,
            log_ons,
            errors: ran.errors.len(),
            error: ran.errors.first().cloned(),
            per_second,
            cpu_ms: each(used.cpu_ns) / 1e6,
            written: each(used.written),
            log_on_us: percentiles(ran.took.iter().map(|it| it.whole.as_micros()).collect()),
            allocate_us: percentiles(ran.took.iter().map(|it| it.allocate.as_micros()).collect()),
        }
    }

    pub(super) fn line(&self) -> String {
        let error = self.error.as_ref().map(|error| format!("; {} errors: {error}", self.errors));
        format!(
            "{} {}: {:.3} ms of CPU a log-on, {:.0} log-ons/s{}",
            name(self.mode),
            self.server.name(),
            self.cpu_ms,
            self.per_second,
            error.unwrap_or_default()
        )
    }
}

impl Report {
    pub(super) fn has_errors(&self) -> bool {
        self.rounds.iter().any(|round| round.errors > 0)
    }

    /// A table in Markdown. Ratios are those of the CPU time in the same round.
    pub(super) fn table(&self) -> Vec<String> {
        let head = "| mode | server | CPU ms a log-on | to nginx | log-ons/s | log-on ms, p50 and p99 | \
                    `allocate-resource` ms | written, bytes a log-on | errors |";
        let mut lines = vec![head.to_owned(), "|---|---|---|---|---|---|---|---|---|".to_owned()];
        let mut seen: Vec<(Mode, Kind)> = Vec::new();
        for round in &self.rounds {
            let key = (round.mode, round.server);
            if !seen.contains(&key) {
                seen.push(key);
                lines.push(self.row(key));
            }
        }
        lines
    }

    fn row(&self, (mode, server): (Mode, Kind)) -> String {
        let middle = |of: &dyn Fn(&Round) -> f64| {
            median(&self.values((mode, server), of)).unwrap_or_default()
        };
        let ms = |of: &dyn Fn(&Round) -> u32| middle(&|round| f64::from(of(round)) / 1000.0);
        let cpu = |server| self.values((mode, server), &|round| round.cpu_ms);
        let ratio = paired_ratio(&cpu(server), &cpu(Kind::Nginx));
        let errors: usize = self.of((mode, server)).map(|round| round.errors).sum();
        format!(
            "| {} | {} | {:.3} | {} | {:.0} | {:.1}, {:.1} | {:.1}, {:.1} | {:.0} | {errors} |",
            name(mode),
            server.name(),
            middle(&|round| round.cpu_ms),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            middle(&|round| round.per_second),
            ms(&|round| round.log_on_us[0]),
            ms(&|round| round.log_on_us[1]),
            ms(&|round| round.allocate_us[0]),
            ms(&|round| round.allocate_us[1]),
            middle(&|round| round.written),
        )
    }

    fn values(&self, key: (Mode, Kind), of: &dyn Fn(&Round) -> f64) -> Vec<f64> {
        self.of(key).map(of).collect()
    }

    fn of(&self, key: (Mode, Kind)) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(move |round| (round.mode, round.server) == key)
    }
}

fn name(mode: Mode) -> String {
    clap::ValueEnum::to_possible_value(&mode)
        .map_or_else(String::new, |it| it.get_name().to_owned())
}
