//! The results as a table or as JSON.

use serde::Serialize;

use super::{Force, run::Row};

#[derive(Serialize)]
pub(super) struct Report {
    schema: u32,
    seconds: u64,
    scale: f64,
    pub(super) rows: Vec<Row>,
}

const HEAD: [&str; 14] = [
    "attack",
    "log-ons",
    "lost",
    "p50 ms",
    "p99 ms",
    "calm lost",
    "p50 ms",
    "p99 ms",
    "kept %",
    "CM MiB",
    "SG MiB",
    "disk MiB",
    "log MiB/s",
    "thrown out",
];

impl Report {
    pub(super) fn new(force: Force) -> Self {
        let Force { time, scale } = force;
        Self { schema: 1, seconds: time.as_secs(), scale, rows: Vec::new() }
    }

    /// The lines of the table: for each attack the users under attack, then the same users without
    /// it.
    pub(super) fn table(&self) -> Vec<String> {
        let head = HEAD.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> =
            std::iter::once(head).chain(self.rows.iter().map(cells)).collect();
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        rows.iter().map(|row| line(row, &widths)).collect()
    }
}

/// Aligns the first column left and all others right.
fn line(row: &[String], widths: &[usize]) -> String {
    let mut cells = row.iter().zip(widths);
    let mut line = cells.next().map(|(text, width)| format!("{text:<width$}")).unwrap_or_default();
    for (text, width) in cells {
        line.push_str(&format!("  {text:>width$}"));
    }
    line
}

fn cells(row: &Row) -> Vec<String> {
    let (manager, gateway) = (&row.connection_manager, &row.security_gateway);
    let mut memory = vec![manager.rss_before_kib, manager.rss_peak_kib, manager.rss_after_kib];
    memory.extend(manager.rss_later_kib);
    let memory: Vec<_> = memory.into_iter().map(|kib| (kib / 1024).to_string()).collect();
    let gateway_memory =
        [gateway.rss_before_kib, gateway.rss_peak_kib].map(|kib| (kib / 1024).to_string());
    let written = mib(manager.disk_bytes + gateway.disk_bytes);
    let logged = mib(manager.log_bytes + gateway.log_bytes) / row.seconds;
    let second = row.second_factor.map(|s| format!("{}/{}", s.thrown_out, s.users));
    vec![
        row.attack.to_owned(),
        row.attacked.attempted.to_string(),
        row.attacked.lost.to_string(),
        milliseconds(row.attacked.p50_ms),
        milliseconds(row.attacked.p99_ms),
        format!("{}/{}", row.calm.lost, row.calm.attempted),
        milliseconds(row.calm.p50_ms),
        milliseconds(row.calm.p99_ms),
        format!("{:.1}", row.kept.share * 100.0),
        memory.join("→"),
        gateway_memory.join("→"),
        format!("{written:.1}"),
        format!("{logged:.2}"),
        second.unwrap_or_else(|| "-".to_owned()),
    ]
}

fn milliseconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"))
}

fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let bytes = bytes as f64;
    bytes / f64::from(1 << 20)
}
