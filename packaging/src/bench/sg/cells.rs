//! The cells of the table: what is measured, in which order, and with which relays. In every round
//! of a cell, all its relays are measured one after the other.

use super::{
    janitor::Janitor,
    relays::Product,
    report::{Report, Series},
    rig::{Load, Measured, Rig, gigabytes, share},
    search,
    statistics::median,
};
use crate::screen;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Cell {
    /// CPU cost in bursts of 12 datagrams, 1,000 Mbit/s
    Bursts,
    /// CPU cost if sessions take turns after each datagram
    Interleaved,
    /// CPU cost in bursts, 500 Mbit/s in each direction
    BothWays,
    /// Highest rate without loss
    LossFree,
    /// Highest rate without loss, in both directions
    LossFreeBothWays,
    /// Added latency at 20 Mbit/s
    Latency,
    /// Share of sessions' datagrams that arrive under a flood
    Flood,
    /// CPU cost of control connections, by block size
    Tcp,
    /// Memory by number of sessions
    Memory,
    /// CPU time of setting up a session, by number of sessions
    SetUp,
    /// CPU cost by number of sessions, 500 Mbit/s
    Sessions,
    /// Time of an announcement, beside that of a sync of the same disk
    Announcements,
    /// Sessions that come and go at 1,000 Mbit/s for a long time; only if asked for
    Soak,
}

/// What to measure.
pub(super) struct Plan {
    pub(super) cells: Vec<Cell>,
    pub(super) rounds: u32,
    pub(super) seconds: f64,
    pub(super) max_sessions: u32,
    pub(super) floods: Vec<u32>,
    /// Minutes of the cell `soak`.
    pub(super) minutes: u32,
}

pub(super) struct Bench<'a> {
    pub(super) rig: Rig,
    pub(super) janitor: &'a Janitor,
    pub(super) plan: &'a Plan,
    pub(super) report: Report,
}

/// Numbers of sessions, all but the first only if a cell needs them.
const LEVELS: [u32; 6] = [100, 300, 1000, 3000, 5000, 7200];
/// Levels at which memory and set-up are measured.
const STOPS: [u32; 4] = [100, 1000, 5000, 7200];
/// Sessions over which the cost of a set-up is measured.
const NEWEST: u32 = 100;
const BLOCKS: [u32; 4] = [1, 4, 16, 64];
/// Longest trial of a search, in seconds.
const TRIAL: f64 = 0.8;
/// Largest loss of a rate that counts as loss-free, and least share of it that must arrive.
const LOSS: f64 = 0.001;
const DELIVERED: f64 = 0.97;

impl Bench<'_> {
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        self.report.realtime = self.rig.has_realtime();
        for level in self.levels() {
            self.grow(level)?;
            if level == LEVELS[0].min(self.plan.max_sessions) {
                self.first_cells(level)?;
            }
            if self.has(Cell::Sessions) {
                let cell = format!("sessions {level}");
                self.costs(&cell, Load { sessions: level, mbit: 500.0, ..self.load(1) })?;
            }
        }
        if self.has(Cell::Soak) {
            self.soak()?;
        }
        Ok(())
    }

    fn has(&self, cell: Cell) -> bool {
        self.plan.cells.contains(&cell)
    }

    fn levels(&self) -> Vec<u32> {
        let max = self.plan.max_sessions;
        let wanted = |level: &u32| {
            let stop = self.has(Cell::Memory) || self.has(Cell::SetUp);
            *level == LEVELS[0] || self.has(Cell::Sessions) || (stop && STOPS.contains(level))
        };
        let mut levels: Vec<_> =
            LEVELS.into_iter().filter(wanted).map(|level| level.min(max)).collect();
        levels.dedup();
        levels
    }

    /// The cells with a fixed number of sessions.
    fn first_cells(&mut self, level: u32) -> anyhow::Result<()> {
        let load = |load: Load| Load { sessions: level, ..load };
        if self.has(Cell::Bursts) {
            self.costs("bursts", load(self.load(12)))?;
        }
        if self.has(Cell::Interleaved) {
            self.costs("interleaved", load(self.load(1)))?;
        }
        if self.has(Cell::BothWays) {
            self.costs("both-ways", load(Load { both_ways: true, ..self.load(12) }))?;
        }
        for (cell, name, both_ways) in [
            (Cell::LossFree, "loss-free", false),
            (Cell::LossFreeBothWays, "loss-free-both-ways", true),
        ] {
            if self.has(cell) {
                self.loss_free(name, load(Load { both_ways, trains: true, ..self.load(12) }))?;
            }
        }
        if self.has(Cell::Latency) {
            self.latency(load(Load { mbit: 20.0, ..self.load(1) }))?;
        }
        if self.has(Cell::Flood) {
            self.floods(load(Load { mbit: 500.0, both_ways: true, ..self.load(12) }))?;
        }
        if self.has(Cell::Tcp) {
            self.tcp()?;
        }
        if self.has(Cell::Announcements) {
            self.announcements()?;
        }
        Ok(())
    }

    pub(super) fn load(&self, burst: u32) -> Load {
        Load {
            first: 1,
            sessions: LEVELS[0],
            burst,
            mbit: 1000.0,
            both_ways: false,
            seconds: self.plan.seconds,
            trains: false,
            flood: None,
        }
    }

    /// The relays of a cell.
    pub(super) fn relays(&self, fits: impl Fn(Product) -> bool) -> Vec<usize> {
        let relays = self.rig.relays.iter().enumerate();
        relays.filter(|(_, relay)| fits(relay.product)).map(|(index, _)| index).collect()
    }

    /// Measures relays in turn, in all rounds.
    fn rounds<T>(
        &mut self,
        cell: &str,
        relays: &[usize],
        mut measure: impl FnMut(&mut Rig, usize) -> anyhow::Result<T>,
    ) -> anyhow::Result<Vec<(String, Vec<T>)>> {
        screen::note(&format!("{cell}: {} relays, {} rounds", relays.len(), self.plan.rounds));
        let name = |index: &usize| self.rig.relays[*index].name.clone();
        let mut results: Vec<_> = relays.iter().map(|index| (name(index), Vec::new())).collect();
        for _ in 0..self.plan.rounds {
            for (index, (_, values)) in relays.iter().zip(&mut results) {
                values.push(measure(&mut self.rig, *index)?);
            }
        }
        Ok(results)
    }

    fn costs(&mut self, cell: &str, load: Load) -> anyhow::Result<()> {
        let relays = self.relays(|product| product != Product::NginxRaised);
        let results = self.rounds(cell, &relays, |rig, index| rig.run(index, &load))?;
        let series: Vec<_> = results
            .iter()
            .map(|(relay, runs)| {
                let part = |part: usize| -> Vec<f64> {
                    runs.iter().map(|run| run.costs()[part]).collect()
                };
                let [relayed, received] = [part(0), part(1)].map(|part| median(&part));
                Series {
                    values: runs.iter().map(|run| run.costs().iter().sum()).collect(),
                    detail: format!(
                        "process {:.2}, receive {:.2}, {:.0} Mbit/s",
                        relayed.unwrap_or_default(),
                        received.unwrap_or_default(),
                        median(&runs.iter().map(Measured::mbit).collect::<Vec<_>>())
                            .unwrap_or_default()
                    ),
                    ..datagrams(relay, runs)
                }
            })
            .collect();
        self.report.add(cell, "CPU s/GB", &series);
        Ok(())
    }

    fn loss_free(&mut self, cell: &str, load: Load) -> anyhow::Result<()> {
        let relays = self.relays(|_| true);
        let seconds = load.seconds.min(TRIAL);
        let results = self.rounds(cell, &relays, |rig, index| {
            let (mut wrong, mut busy) = (0, 0.0);
            let rate = search::highest(|mbit| {
                let run = rig.run(index, &Load { mbit, seconds, ..load })?;
                wrong += run.wrong;
                let passes = passes(&run);
                if passes {
                    busy = (run.relay + run.receive) / run.seconds;
                }
                anyhow::Ok(passes)
            })?;
            Ok((rate, wrong, busy))
        })?;
        let series: Vec<_> = results
            .into_iter()
            .map(|(relay, searches)| {
                let busy: Vec<_> = searches.iter().map(|(.., busy)| busy * 100.0).collect();
                let busy = median(&busy).unwrap_or_default();
                Series {
                    relay,
                    values: searches.iter().map(|(rate, ..)| *rate).collect(),
                    wrong: searches.iter().map(|(_, wrong, _)| wrong).sum(),
                    detail: format!("gateway's CPU {busy:.0} % busy"),
                    ..Series::default()
                }
            })
            .collect();
        self.report.add(cell, "Mbit/s", &series);
        Ok(())
    }

    /// Latency that relays add to routing, or all of it if routing is not measured.
    fn latency(&mut self, load: Load) -> anyhow::Result<()> {
        let relays = self.relays(|product| product != Product::NginxRaised);
        let floor = self.relays(|product| product == Product::Routing).first().copied();
        let place = floor.and_then(|floor| relays.iter().position(|index| *index == floor));
        let results = self.rounds("latency", &relays, |rig, index| rig.run(index, &load))?;
        let figures: [(_, _, Percentile); 2] = [
            ("p50 µs", "p50 added µs", |run| run.down.p50),
            ("p99 µs", "p99 added µs", |run| run.down.p99),
        ];
        for (whole, added, pick) in figures {
            let micros = |runs: &[Measured]| -> Vec<f64> {
                runs.iter()
                    .map(|run| pick(run).map_or(f64::NAN, |nanos| f64::from(nanos) / 1e3))
                    .collect()
            };
            let floor = place.map(|place| micros(&results[place].1));
            let mut series = Vec::new();
            for (number, (relay, runs)) in results.iter().enumerate() {
                let mut values = micros(runs);
                if let Some(floor) = floor.as_ref().filter(|_| place != Some(number)) {
                    values.iter_mut().zip(floor).for_each(|(value, floor)| *value -= floor);
                }
                series.push(Series { values, ..datagrams(relay, runs) });
            }
            let routing = place.map(|place| series.remove(place));
            self.report.add("latency", if place.is_some() { added } else { whole }, &series);
            self.report.add("latency", whole, routing.as_slice());
        }
        Ok(())
    }

    fn floods(&mut self, load: Load) -> anyhow::Result<()> {
        for rate in self.plan.floods.clone() {
            let load = Load { flood: Some(rate), ..load };
            for (first, name) in [(true, "flood"), (false, "flood, equal priority")] {
                self.rig.receive_first(first)?;
                self.flood(&format!("{name} {rate}"), &load)?;
            }
        }
        Ok(())
    }

    fn flood(&mut self, cell: &str, load: &Load) -> anyhow::Result<()> {
        let relays = self.relays(|product| product == Product::Gateway);
        let results = self.rounds(cell, &relays, |rig, index| rig.run(index, load))?;
        let percent = |pick: fn(&Measured) -> f64| -> Vec<Series> {
            let series = results.iter().map(|(relay, runs)| {
                let flooded: Vec<_> = runs.iter().map(flood_rate).collect();
                let flooded = median(&flooded).unwrap_or_default();
                Series {
                    values: runs.iter().map(|run| pick(run) * 100.0).collect(),
                    detail: format!("{flooded:.0} unknown datagrams/s received"),
                    ..datagrams(relay, runs)
                }
            });
            series.collect()
        };
        let both = percent(|run| share(run.received(), run.sent()));
        let up = percent(|run| share(run.up.received, run.up.sent));
        self.report.add(cell, "arrived %", &both);
        self.report.add(cell, "arrived % at agents", &up);
        Ok(())
    }

    fn tcp(&mut self) -> anyhow::Result<()> {
        let relays = self.relays(|product| matches!(product, Product::Gateway | Product::Nginx));
        for kib in BLOCKS {
            let (cell, seconds) = (format!("tcp {kib} KiB"), self.plan.seconds);
            let results =
                self.rounds(&cell, &relays, |rig, index| rig.stream(index, kib * 1024, seconds))?;
            let series: Vec<_> = results
                .into_iter()
                .map(|(relay, runs)| {
                    let cost = |(cpu, bytes, _): &(f64, u64, f64)| cpu / gigabytes(*bytes);
                    let rate = |(_, bytes, time): &(f64, u64, f64)| gigabytes(*bytes) * 8e3 / time;
                    let rates: Vec<_> = runs.iter().map(rate).collect();
                    Series {
                        relay,
                        values: runs.iter().map(cost).collect(),
                        detail: format!("{:.0} Mbit/s", median(&rates).unwrap_or_default()),
                        ..Series::default()
                    }
                })
                .collect();
            self.report.add(&cell, "CPU s/GB", &series);
        }
        Ok(())
    }

    /// Sets up sessions of all relays, and measures what they cost.
    fn grow(&mut self, level: u32) -> anyhow::Result<()> {
        screen::note(&format!("{level} sessions: setting up"));
        let (mut set_up, mut memory) = (Vec::new(), Vec::new());
        for index in 0..self.rig.relays.len() {
            let old = level.saturating_sub(NEWEST).max(self.rig.relays[index].sessions);
            self.rig.grow(index, old, self.janitor)?;
            let cpu = self.rig.grow(index, level, self.janitor)?;
            let relay = &self.rig.relays[index];
            if relay.product == Product::Gateway {
                let values = vec![cpu * 1e3 / f64::from(level - old)];
                set_up.push(Series { relay: relay.name.clone(), values, ..Series::default() });
            }
            if relay.product != Product::NginxRaised
                && let Some(rss) = relay.rss_kib()
            {
                #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
                let values = vec![rss as f64 / 1024.0];
                memory.push(Series { relay: relay.name.clone(), values, ..Series::default() });
            }
        }
        let stops = STOPS.contains(&level) || level == self.plan.max_sessions;
        if self.has(Cell::SetUp) && stops {
            self.report.add(&format!("set-up {level}"), "CPU ms a session", &set_up);
        }
        if self.has(Cell::Memory) && stops {
            self.report.add(&format!("memory {level}"), "MiB", &memory);
        }
        Ok(())
    }
}

type Percentile = fn(&Measured) -> Option<u32>;

/// The series of a relay without its values.
pub(super) fn datagrams(relay: &str, runs: &[Measured]) -> Series {
    Series {
        relay: relay.to_owned(),
        loss_percent: runs.iter().map(|run| run.loss() * 100.0).reduce(f64::max),
        wrong: runs.iter().map(|run| run.wrong).sum(),
        ..Series::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "millions at most")]
fn passes(run: &Measured) -> bool {
    run.loss() < LOSS && run.received() as f64 >= run.offered * DELIVERED
}

#[expect(clippy::cast_precision_loss, reason = "millions at most")]
fn flood_rate(run: &Measured) -> f64 {
    run.flooded as f64 / run.seconds
}
