//! The report as tables in Markdown.

use super::{
    memory::{Held, Storm},
    report::{Key, Report, Round, Stage},
    server::Kind,
};
use crate::bench::sg::statistics::{median, paired_ratio};

pub(super) fn lines(report: &Report) -> Vec<String> {
    let tables = [
        table(SATURATION, &report.keys(Stage::Saturation), |key| saturation(report, *key)),
        table(HALF_LOAD, &report.keys(Stage::HalfLoad), |key| half_load(report, *key)),
        disk(report),
        table(MEMORY, &report.memory, held_row),
        table(STORM, &report.storms, storm_row),
        errors(report),
    ];
    let tables: Vec<_> = tables.into_iter().filter(|table| !table.is_empty()).collect();
    tables.join(&String::new())
}

/// A heading and a row for each item; nothing without items.
fn table<T>(head: &str, items: &[T], row: impl Fn(&T) -> String) -> Vec<String> {
    if items.is_empty() {
        return Vec::new();
    }
    let columns = head.matches('|').count() - 1;
    let rule = format!("|{}", "---|".repeat(columns));
    [head.to_owned(), rule].into_iter().chain(items.iter().map(row)).collect()
}

const SATURATION: &str = "| mode | server | CPU ms a log-on | of which gateway | to nginx | log-ons/s | \
    CPU busy % | log-on ms, p50 and p99 | `allocate-resource` ms | written, bytes a log-on | errors |";

/// Ratios are those of the CPU time in the same round.
fn saturation(report: &Report, key: Key) -> String {
    let (stage, mode, server) = key;
    let cpu = |server| report.values((stage, mode, server), &|round| round.cpu_ms);
    let ratio = paired_ratio(&cpu(server), &cpu(Kind::Nginx));
    let median = |of: &dyn Fn(&Round) -> f64| report.median(key, of);
    format!(
        "| {} | {} | {:.3} | {:.3} | {} | {:.0} | {:.0} | {} | {} | {:.0} | {} |",
        mode.name(),
        server.name(),
        median(&|round| round.cpu_ms),
        median(&|round| round.gateway_ms),
        ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        median(&|round| round.per_second),
        median(&|round| round.busy * 100.0),
        ms([0, 1].map(|at| median(&|round| f64::from(round.log_on_us[at])))),
        ms([0, 1].map(|at| median(&|round| f64::from(round.allocate_us[at])))),
        median(&|round| round.written),
        report.errors(key),
    )
}

const HALF_LOAD: &str = "| half load, mode | server | log-ons/s | CPU ms a log-on | log-on ms, p50 and p99 | \
    added to the broker's | `allocate-resource` ms, p50 and p99 | errors |";

fn half_load(report: &Report, key: Key) -> String {
    let (stage, mode, server) = key;
    let median_of = |of: &dyn Fn(&Round) -> f64| report.median(key, of);
    let log_on = |server, at: usize| {
        report.values((stage, mode, server), &|round| f64::from(round.log_on_us[at]))
    };
    let added =
        [0, 1].map(|at| median(&differences(&log_on(server, at), &log_on(Kind::Direct, at))));
    let added = match added {
        [Some(p50), Some(p99)] if server != Kind::Direct => ms([p50, p99]),
        _ => String::new(),
    };
    format!(
        "| {} | {} | {:.0} | {:.3} | {} | {added} | {} | {} |",
        mode.name(),
        server.name(),
        median_of(&|round| round.per_second),
        median_of(&|round| round.cpu_ms),
        ms([0, 1].map(|at| median_of(&|round| f64::from(round.log_on_us[at])))),
        ms([0, 1].map(|at| median_of(&|round| f64::from(round.allocate_us[at])))),
        report.errors(key),
    )
}

/// Differences of values that were measured in the same round.
fn differences(ours: &[f64], reference: &[f64]) -> Vec<f64> {
    ours.iter().zip(reference).map(|(ours, other)| ours - other).collect()
}

fn disk(report: &Report) -> Vec<String> {
    let at =
        |at: usize| -> Vec<f64> { report.disk.iter().map(|round| f64::from(round[at])).collect() };
    match (median(&at(0)), median(&at(1))) {
        (Some(p50), Some(p99)) => {
            vec![format!("`fdatasync` of two writers, p50 and p99: {} ms", ms([p50, p99]))]
        }
        _ => Vec::new(),
    }
}

const MEMORY: &str = "| memory, server | sessions | before, MiB | connected, MiB | disconnected, MiB | \
    KiB a connected session | KiB a disconnected session | errors |";

fn held_row(held: &Held) -> String {
    let [before, connected, disconnected] = held.rss_kib;
    format!(
        "| {} | {} | {} | {:.1} | {:.1} | {} |",
        held.server.name(),
        held.sessions,
        mib(held.rss_kib),
        each(before, connected, held.sessions),
        each(before, disconnected, held.sessions),
        held.errors.len(),
    )
}

/// Growth in KiB for each session.
fn each(before: u64, after: u64, sessions: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a measured number")]
    let (before, after, sessions) = (before as f64, after as f64, sessions.max(1) as f64);
    (after - before) / sessions
}

const STORM: &str = "| storm, server | log-ons | before, MiB | peak, MiB | a minute later, MiB | sessions kept | \
    to before + 4 KiB × sessions | errors |";

fn storm_row(storm: &Storm) -> String {
    let [before, _, later] = storm.rss_kib;
    #[expect(clippy::cast_precision_loss, reason = "a measured number")]
    let ratio = later as f64 / (before as f64 + 4.0 * storm.kept as f64);
    format!(
        "| {} | {} | {} | {} | {ratio:.2} | {} |",
        storm.server.name(),
        storm.log_ons,
        mib(storm.rss_kib),
        storm.kept,
        storm.errors.len(),
    )
}

/// The first error of each server.
fn errors(report: &Report) -> Vec<String> {
    let rounds = report.rounds.iter().filter_map(|it| Some((it.server, it.error.as_ref()?)));
    let memory = report.memory.iter().filter_map(|it| Some((it.server, it.errors.first()?)));
    let storms = report.storms.iter().filter_map(|it| Some((it.server, it.errors.first()?)));
    let mut seen = Vec::new();
    let mut lines = Vec::new();
    for (server, error) in rounds.chain(memory).chain(storms) {
        if !seen.contains(&server) {
            seen.push(server);
            lines.push(format!("first error of {}: {error}", server.name()));
        }
    }
    lines
}

fn ms(micros: [f64; 2]) -> String {
    let [p50, p99] = micros.map(|micros| micros / 1000.0);
    format!("{p50:.1}, {p99:.1}")
}

fn mib(kib: [u64; 3]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a measured number")]
    let [one, two, three] = kib.map(|kib| kib as f64 / 1024.0);
    format!("{one:.1} | {two:.1} | {three:.1}")
}

#[cfg(test)]
mod tests {
    use super::{super::load::Mode, *};

    fn round(stage: Stage, server: Kind, cpu_ms: f64, log_on_us: [u32; 2]) -> Round {
        Round {
            stage,
            mode: Mode::New,
            server,
            log_ons: 100,
            errors: 0,
            error: None,
            per_second: 200.0,
            cpu_ms,
            gateway_ms: 0.0,
            busy: 0.5,
            written: 0.0,
            log_on_us,
            allocate_us: [0, 0],
        }
    }

    #[test]
    fn servers_are_compared_within_a_round() {
        let mut report = Report::default();
        // The host was slower in the second round.
        for slow in [1, 2] {
            let ms = |ms: f64| ms * f64::from(slow);
            let us = |us: [u32; 2]| us.map(|us| us * slow);
            report.rounds.extend([
                round(Stage::Saturation, Kind::Manager, ms(1.5), us([9000, 9000])),
                round(Stage::Saturation, Kind::Nginx, ms(1.0), us([9000, 9000])),
                round(Stage::HalfLoad, Kind::Manager, ms(1.5), us([3000, 6000])),
                round(Stage::HalfLoad, Kind::Direct, 0.0, us([1000, 2000])),
            ]);
        }

        let lines = lines(&report);

        assert!(lines.contains(
            &"| new | manager | 2.250 | 0.000 | 1.50 | 200 | 50 | 13.5, 13.5 | 0.0, 0.0 | 0 | 0 |"
                .to_owned()
        ));
        assert!(lines.contains(
            &"| new | manager | 200 | 2.250 | 4.5, 9.0 | 3.0, 6.0 | 0.0, 0.0 | 0 |".to_owned()
        ));
        assert!(
            lines.contains(&"| new | direct | 200 | 0.000 | 1.5, 3.0 |  | 0.0, 0.0 | 0 |".into())
        );
    }

    #[test]
    fn memory_is_given_for_each_session() {
        let held = Held {
            server: Kind::Manager,
            sessions: 512,
            errors: vec!["closed".to_owned()],
            rss_kib: [10 * 1024, 30 * 1024, 12 * 1024],
        };
        let storm = Storm {
            server: Kind::Manager,
            log_ons: 512,
            errors: Vec::new(),
            rss_kib: [10 * 1024, 30 * 1024, 12 * 1024],
            kept: 512,
        };
        let report = Report { memory: vec![held], storms: vec![storm], ..Report::default() };

        let lines = lines(&report);

        assert!(
            lines.contains(&"| manager | 512 | 10.0 | 30.0 | 12.0 | 40.0 | 4.0 | 1 |".to_owned())
        );
        assert!(
            lines.contains(&"| manager | 512 | 10.0 | 30.0 | 12.0 | 512 | 1.00 | 0 |".to_owned())
        );
        assert_eq!(lines.last().map(String::as_str), Some("first error of manager: closed"));
    }
}
