//! Cells about a gateway's control plane: announcements on a quiet host, and sessions that come and
//! go under load for a long time.

use std::{collections::HashMap, path::PathBuf};

use anyhow::{Context as _, bail};
use cmsg_config::socket::{Amount, Traffic};

use super::{
    cells::{Bench, datagrams},
    relays::{Product, gateway},
    report::Series,
    rig::{Load, Measured},
    statistics::{median, percentile},
    wire::{Kind, SIZE},
    worker::{now, wait_until},
};
use crate::screen;

/// Sessions with traffic at the same time.
const FLOWING: u32 = 1000;
/// Sessions that begin, and that end, in a second.
const RATE: u32 = 20;
/// Seconds between two samples.
const STEP: u32 = 10;
/// Growth of the memory from the second to the last third of the time that counts as flat.
const FLAT: f64 = 1.05;
/// Samples until the number of ended sessions that the gateway remembers is constant.
const SETTLING: usize = 18;
/// Announced sessions, whose numbers are above those of all other cells.
const ANNOUNCED: std::ops::RangeInclusive<u32> = 60_001..=60_300;
const SECOND: u64 = 1_000_000_000;

/// What was observed of one gateway.
#[derive(Default)]
struct Soak {
    steps: Vec<Measured>,
    announced: Vec<u32>,
    memory: Vec<f64>,
    files: Vec<f64>,
    sessions: Vec<f64>,
    journal: Vec<f64>,
    /// The last known traffic of each session, by id.
    traffic: HashMap<String, Traffic>,
}

impl Bench<'_> {
    /// Measures announcements one after the other, without other load.
    pub(super) fn announcements(&mut self) -> anyhow::Result<()> {
        let mut series = [Vec::new(), Vec::new()];
        for index in self.relays(|product| product == Product::Gateway) {
            let name = self.rig.relays[index].name.clone();
            screen::note(&format!("announcements: {name}"));
            let (first, last) = (*ANNOUNCED.start(), *ANNOUNCED.end());
            let (announced, synced) = self.rig.announce(index, first, last)?;
            let disk = format!("fdatasync beside {name}");
            for (relay, mut micros) in [(name, announced), (disk, synced)] {
                micros.sort_unstable();
                for (percent, series) in [50, 99].into_iter().zip(&mut series) {
                    series.push(milliseconds(&relay, &micros, percent));
                }
            }
        }
        self.report.add("announcements", "p50 ms", &series[0]);
        self.report.add("announcements", "p99 ms", &series[1]);
        Ok(())
    }

    pub(super) fn soak(&mut self) -> anyhow::Result<()> {
        for index in self.relays(|product| product == Product::Gateway) {
            let soak = self.observe(index)?;
            let name = self.rig.relays[index].name.clone();
            for (figure, series) in soak.rows(&name) {
                self.report.add("soak", figure, &[series]);
            }
            let failures = soak.failures().into_iter();
            self.report.failures.extend(failures.map(|failure| format!("{name}: {failure}")));
        }
        Ok(())
    }

    /// Lets sessions come and go: in each step, some sessions have traffic all the time, as many as
    /// [`RATE`] says end, and as many others begin.
    fn observe(&mut self, index: usize) -> anyhow::Result<Soak> {
        let (flowing, changing) = (FLOWING.min(self.plan.max_sessions), RATE * STEP);
        let load = Load { sessions: flowing, both_ways: true, ..self.load(12) };
        let mut soak = Soak::default();
        let mut first = 1;
        self.rig.grow(index, changing + flowing, self.janitor)?;
        let steps = self.plan.minutes * 60 / STEP;
        for step in 0..steps {
            soak.sample(self, index)?;
            if step % 6 == 0 {
                screen::note(&format!("soak: minute {} of {}", step / 6 + 1, self.plan.minutes));
            }
            let time = f64::from(STEP);
            let traffic = Load { first: first + changing, seconds: time, ..load };
            self.rig.turn_over(index, [first, first + changing + flowing, changing], time)?;
            soak.steps.push(self.rig.run(index, &traffic)?);
            soak.announced.extend(self.rig.await_turnover()?);
            first += changing;
        }
        // All that are left have traffic once more.
        let rest = Load { first, sessions: changing + flowing, seconds: 1.0, ..load };
        soak.steps.push(self.rig.run(index, &rest)?);
        soak.sample(self, index)?;
        soak.announced.sort_unstable();
        self.rig.hang_up(index, first, first + changing + flowing - 1)?;
        self.await_end(index)?;
        let begun = (changing + flowing + steps * changing) as usize;
        if soak.traffic.len() != begun {
            let counted = soak.traffic.len();
            let failure = format!("{begun} sessions were set up, but it listed {counted}");
            self.report.failures.push(failure);
        }
        Ok(soak)
    }

    /// Waits until the gateway has no session.
    fn await_end(&mut self, index: usize) -> anyhow::Result<()> {
        let socket = self.socket(index)?;
        let mut left = 0;
        for _ in 0..2 * gateway::RESUME {
            wait_until(now() + SECOND);
            left = gateway::status(&socket)?.sessions;
            if left == 0 {
                return Ok(());
            }
        }
        self.report.failures.push(format!("{left} sessions have not ended"));
        Ok(())
    }

    fn socket(&self, index: usize) -> anyhow::Result<PathBuf> {
        match &self.rig.relays.get(index).context("there is no such relay")?.relay.kind {
            Kind::Gateway { socket } => Ok(socket.clone()),
            _ => bail!("the relay is no gateway"),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
impl Soak {
    /// Reads what the gateway uses and counts. No traffic flows.
    fn sample(&mut self, bench: &Bench<'_>, index: usize) -> anyhow::Result<()> {
        let (socket, relay) = (bench.socket(index)?, &bench.rig.relays[index]);
        self.memory.push(relay.rss_kib().unwrap_or_default() as f64 / 1024.0);
        self.files.push(relay.files().unwrap_or_default() as f64);
        self.journal.push(gateway::journal_bytes(&socket) as f64 / 1024.0);
        let connections = gateway::connections(&socket)?;
        self.sessions.push(connections.len() as f64);
        let traffic = connections.into_iter().map(|it| (it.id, it.traffic.unwrap_or_default()));
        self.traffic.extend(traffic);
        Ok(())
    }

    /// The rows of the report.
    fn rows(&self, relay: &str) -> Vec<(&'static str, Series)> {
        let of_steps = |value: fn(&Measured) -> f64| {
            let values = self.steps.iter().map(value).collect();
            Series { values, ..datagrams(relay, &self.steps) }
        };
        let of_samples = |values: &[f64]| {
            let values = values.to_vec();
            let (first, last) = (values[0], values[values.len() - 1]);
            let detail = format!("{first:.1} at the beginning, {last:.1} at the end");
            Series { relay: relay.to_owned(), values, detail, ..Series::default() }
        };
        let growth =
            Series { values: vec![self.growth()], relay: relay.to_owned(), ..Series::default() };
        let [to_agents, to_clients] = self.counts().map(|count| Series {
            relay: relay.to_owned(),
            values: vec![count.counted.datagrams as f64],
            detail: format!("sent {}, arrived {}", count.sent, count.arrived),
            ..Series::default()
        });
        let announced = |percent| milliseconds(relay, &self.announced, percent);
        vec![
            ("Mbit/s", of_steps(Measured::mbit)),
            ("lost %", of_steps(|step| step.loss() * 100.0)),
            ("CPU s/GB", of_steps(|step| step.costs().iter().sum())),
            ("sessions", of_samples(&self.sessions)),
            ("open files", of_samples(&self.files)),
            ("journal KiB", of_samples(&self.journal)),
            ("memory MiB", of_samples(&self.memory)),
            ("memory, last to second third", growth),
            ("announcement p50 ms", announced(50)),
            ("announcement p99 ms", announced(99)),
            ("counted to agents", to_agents),
            ("counted to clients", to_clients),
        ]
    }

    fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.memory.len() / 3 >= SETTLING && self.growth() > FLAT {
            failures.push(format!("its memory grew by a factor of {:.2}", self.growth()));
        }
        for (count, side) in self.counts().into_iter().zip(["agents", "clients"]) {
            if !count.adds_up() {
                failures.push(format!("its counters to {side} do not add up: {count:?}"));
            }
        }
        failures
    }

    /// The memory in the last third of the time, as a multiple of that in the second third.
    fn growth(&self) -> f64 {
        let third = self.memory.len() / 3;
        let (last, second) = (&self.memory[2 * third..], &self.memory[third..2 * third]);
        median(last).zip(median(second)).map_or(1.0, |(last, second)| last / second)
    }

    /// Datagrams to agents and to clients.
    fn counts(&self) -> [Count; 2] {
        let sum = |pick: fn(&Traffic) -> Amount| {
            self.traffic.values().map(pick).fold(Amount::default(), |sum, amount| Amount {
                datagrams: sum.datagrams + amount.datagrams,
                bytes: sum.bytes + amount.bytes,
            })
        };
        let mut counts = [
            Count { counted: sum(|traffic| traffic.udp_to_agent), ..Count::default() },
            Count { counted: sum(|traffic| traffic.udp_to_client), ..Count::default() },
        ];
        let greetings = self.steps.last().map(|step| [step.up.greetings, step.down.greetings]);
        for (count, greetings) in counts.iter_mut().zip(greetings.unwrap_or_default()) {
            (count.sent, count.arrived) = (greetings, greetings);
        }
        for step in &self.steps {
            for (count, way) in counts.iter_mut().zip([step.up, step.down]) {
                count.sent += way.sent;
                count.arrived += way.received;
            }
        }
        counts
    }
}

/// Datagrams in one direction.
#[derive(Debug, Default)]
struct Count {
    sent: u64,
    arrived: u64,
    /// By the gateway.
    counted: Amount,
}

impl Count {
    /// Whether the gateway counted all that arrived, and no more than were sent.
    fn adds_up(&self) -> bool {
        let Amount { datagrams, bytes } = self.counted;
        (self.arrived..=self.sent).contains(&datagrams) && bytes == datagrams * SIZE as u64
    }
}

fn milliseconds(relay: &str, sorted: &[u32], percent: usize) -> Series {
    let micros = percentile(sorted, percent);
    Series {
        relay: relay.to_owned(),
        values: micros.map(|micros| f64::from(micros) / 1e3).into_iter().collect(),
        ..Series::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::orders::Counted, *};

    fn amount(datagrams: u64) -> Amount {
        Amount { datagrams, bytes: datagrams * 1200 }
    }

    fn soak() -> Soak {
        let counted =
            |sent, received, greetings| Counted { sent, received, greetings, ..Counted::default() };
        let step = |up, down| Measured { up, down, ..Measured::default() };
        let traffic = |to_agent, to_client| Traffic {
            udp_to_agent: amount(to_agent),
            udp_to_client: amount(to_client),
            ..Traffic::default()
        };
        Soak {
            steps: vec![
                step(counted(10, 10, 1), counted(20, 20, 1)),
                step(counted(10, 9, 2), counted(20, 20, 2)),
            ],
            traffic: [("a".to_owned(), traffic(11, 30)), ("b".to_owned(), traffic(11, 12))].into(),
            memory: [[10.0; SETTLING], [100.0; SETTLING], [104.0; SETTLING]].concat(),
            ..Soak::default()
        }
    }

    #[test]
    fn counters_add_up_if_the_gateway_counted_between_what_arrived_and_what_was_sent() {
        let mut soak = soak();
        assert_eq!(soak.failures(), <[String; 0]>::default());

        for (to_agents, passes) in [(9, false), (10, true), (11, true), (12, false)] {
            if let Some(traffic) = soak.traffic.get_mut("a") {
                traffic.udp_to_agent = amount(to_agents);
            }
            assert_eq!(soak.failures().is_empty(), passes, "{:?}", soak.counts());
        }
        if let Some(traffic) = soak.traffic.get_mut("a") {
            traffic.udp_to_agent = Amount { datagrams: 11, bytes: 11 * 1200 - 1 };
        }
        assert_eq!(soak.failures().len(), 1, "a byte is missing");
    }

    #[test]
    fn memory_is_compared_between_the_last_two_thirds() {
        let mut soak = soak();
        assert!((soak.growth() - 1.04).abs() < 1e-9);

        soak.memory[2 * SETTLING..].fill(106.0);
        assert_eq!(soak.failures().len(), 1);

        soak.memory.truncate(3 * SETTLING - 1);
        assert_eq!(soak.failures(), <[String; 0]>::default(), "too short a time");
    }
}
