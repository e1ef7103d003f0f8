//! The results as a table or as JSON.

use serde::Serialize;

use super::statistics::{median, paired_ratio};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    rounds: u32,
    seconds: f64,
    /// Whether measured threads had a real-time priority.
    pub(super) realtime: bool,
    /// Relays that could not be measured, and why.
    pub(super) skipped: Vec<Skipped>,
    /// What was found to be wrong, beside wrong deliveries.
    pub(super) failures: Vec<String>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Skipped {
    pub(super) relay: String,
    pub(super) missing: String,
}

/// One figure of a relay in a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) cell: String,
    pub(super) relay: String,
    /// What the values are, with their unit.
    pub(super) figure: &'static str,
    pub(super) median: f64,
    /// One value a round.
    pub(super) values: Vec<f64>,
    /// Medians of the ratios to other relays in the same round.
    pub(super) ratios: Vec<Ratio>,
    /// Largest share of lost datagrams in a round, in percent.
    pub(super) loss_percent: Option<f64>,
    /// Datagrams that were delivered to a wrong place, in all rounds.
    pub(super) wrong: u64,
    pub(super) detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Ratio {
    pub(super) to: String,
    pub(super) median: f64,
}

/// What a relay gave in the rounds of a cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    pub(super) relay: String,
    pub(super) values: Vec<f64>,
    pub(super) loss_percent: Option<f64>,
    pub(super) wrong: u64,
    pub(super) detail: String,
}

/// Relays that others are compared with, where they are measured.
const REFERENCES: [&str; 3] = ["nginx", "nginx, 4 MiB", "gateway 1"];

const HEAD: [&str; 11] = [
    "cell",
    "relay",
    "figure",
    "median",
    "lowest",
    "highest",
    "to nginx",
    "to nginx, 4 MiB",
    "to gateway 1",
    "loss %",
    "wrong",
];

impl Report {
    pub(super) fn new(rounds: u32, seconds: f64) -> Self {
        Self {
            schema: 1,
            rounds,
            seconds,
            realtime: false,
            skipped: Vec::new(),
            failures: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds the rows of a cell: one for each relay with values.
    pub(super) fn add(&mut self, cell: &str, figure: &'static str, series: &[Series]) {
        for one in series {
            let Some(median) = median(&one.values) else { continue };
            let ratios = series
                .iter()
                .filter(|other| REFERENCES.contains(&other.relay.as_str()))
                .filter(|other| other.relay != one.relay)
                .filter_map(|other| {
                    let median = paired_ratio(&one.values, &other.values)?;
                    Some(Ratio { to: other.relay.clone(), median })
                })
                .collect();
            self.rows.push(Row {
                cell: cell.to_owned(),
                relay: one.relay.clone(),
                figure,
                median,
                values: one.values.clone(),
                ratios,
                loss_percent: one.loss_percent,
                wrong: one.wrong,
                detail: one.detail.clone(),
            });
        }
    }

    /// Datagrams that our gateway delivered to a wrong place.
    pub(super) fn wrong(&self) -> u64 {
        let own = self.rows.iter().filter(|row| row.relay.starts_with("gateway"));
        own.map(|row| row.wrong).sum()
    }

    pub(super) fn table(&self) -> Vec<String> {
        let head = HEAD.map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.rows.iter().map(cells)).collect();
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let details = std::iter::once("").chain(self.rows.iter().map(|row| row.detail.as_str()));
        let mut lines: Vec<_> =
            rows.iter().zip(details).map(|(row, detail)| line(row, &widths, detail)).collect();
        lines.extend(self.skipped.iter().map(|Skipped { relay, missing }| {
            format!("skipped: {relay}, because {missing} is not installed")
        }));
        lines
    }
}

/// Aligns the first three columns left and all others right.
fn line(row: &[String], widths: &[usize], detail: &str) -> String {
    let mut line = String::new();
    for (column, (text, width)) in row.iter().zip(widths).enumerate() {
        if column < 3 {
            line.push_str(&format!("{text:<width$}  "));
        } else {
            line.push_str(&format!("{text:>width$}  "));
        }
    }
    line.push_str(detail);
    line.trim_end().to_owned()
}

fn cells(row: &Row) -> [String; 11] {
    let bound = |pick: fn(f64, f64) -> f64| row.values.iter().copied().reduce(pick);
    let ratio = |to: &str| {
        let ratio = row.ratios.iter().find(|ratio| ratio.to == to);
        ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.2}", ratio.median))
    };
    let [nginx, raised, first] = REFERENCES.map(ratio);
    [
        row.cell.clone(),
        row.relay.clone(),
        row.figure.to_owned(),
        number(row.median),
        number(bound(f64::min).unwrap_or_default()),
        number(bound(f64::max).unwrap_or_default()),
        nginx,
        raised,
        first,
        row.loss_percent.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.2}")),
        row.wrong.to_string(),
    ]
}

/// Three significant digits, or all digits before the point.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(relay: &str, values: &[f64]) -> Series {
        Series { relay: relay.to_owned(), values: values.to_vec(), ..Series::default() }
    }

    #[test]
    fn a_row_has_the_median_and_paired_ratios() {
        let mut report = Report::new(3, 1.5);
        let measured = [
            series("gateway 1", &[2.0, 4.0, 3.0]),
            series("nginx", &[4.0, 8.0, 4.0]),
            series("coturn", &[]),
        ];

        report.add("bursts", "CPU s/GB", &measured);

        let [gateway, nginx] = &report.rows[..] else { panic!("{:?}", report.rows) };
        assert_eq!(gateway.ratios, [Ratio { to: "nginx".to_owned(), median: 0.5 }]);
        assert_eq!(nginx.ratios, [Ratio { to: "gateway 1".to_owned(), median: 2.0 }]);
        let table = report.table();
        let fields: Vec<_> =
            table[1].split("  ").filter(|f| !f.is_empty()).map(str::trim).collect();
        let expected =
            ["bursts", "gateway 1", "CPU s/GB", "3.00", "2.00", "4.00", "0.50", "-", "-", "-", "0"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_number_keeps_three_digits() {
        let table = [(0.654_321, "0.65"), (9.996, "10.00"), (12.34, "12.3"), (5987.4, "5987")];
        for (value, text) in table {
            assert_eq!(number(value), text);
        }
    }
}
