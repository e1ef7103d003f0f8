//! Simulated clients, and what they noticed.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;

use super::site::Site;

/// How a client uses its control connection on TCP 4172. All but one are names of the simulator's
/// option.
pub(super) const KINDS: [&str; 5] = ["close", "continue", "reconnect", "next", "end"];

/// The kind of clients that try the other gateways if they cannot reconnect to their own.
const NEXT: &str = "next";

/// Longer than all clients take to log on.
const PATIENCE: Duration = Duration::from_secs(120);

/// Clients of all kinds.
pub(super) struct Clients {
    kinds: Vec<(&'static str, Child, Receiver<Value>)>,
    count: u16,
}

/// What the sessions of one kind of client noticed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Noticed {
    pub(super) kind: &'static str,
    /// Whether the gateway that failed served them; the others should notice nothing.
    pub(super) affected: bool,
    pub(super) sessions: usize,
    /// Whose datagrams were answered until the end.
    pub(super) continued: usize,
    /// Whose clients opened another control connection.
    pub(super) reconnected: usize,
    /// Whose clients ended because their control connection was lost.
    pub(super) ended: usize,
    pub(super) lost: usize,
    /// Longest times without an answered datagram in milliseconds: median, 95th percentile and
    /// maximum of the sessions that continued, if any did.
    pub(super) gap_ms: Option<[f64; 3]>,
    /// Datagrams of another session.
    pub(super) wrong: usize,
    /// The reasons of lost sessions.
    pub(super) reasons: BTreeMap<String, usize>,
}

impl Clients {
    /// Logs this number of clients of each kind on, and waits until their datagrams are answered.
    pub(super) fn start(site: &Site, count: u16, hold: Duration) -> anyhow::Result<Self> {
        let mut clients = Self { kinds: Vec::new(), count };
        for kind in KINDS {
            let mut command = site.client();
            command.args(["--count", &count.to_string(), "--control"]);
            command.arg(if kind == NEXT { "reconnect" } else { kind });
            if kind == NEXT {
                command.args(Site::addresses().flat_map(|it| ["--alternate".to_owned(), it]));
            }
            command.args(["--hold", &hold.as_secs().to_string()]);
            let mut child = command.stdout(Stdio::piped()).spawn().context("starting clients")?;
            let output = child.stdout.take().context("standard output is a pipe")?;
            let (send, events) = channel();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let event = serde_json::from_str(&line).unwrap_or_default();
                    if send.send(event).is_err() {
                        return;
                    }
                }
            });
            // One kind after the other, since all have the same address.
            let deadline = Instant::now() + PATIENCE;
            let mut flowing = 0;
            while flowing < count {
                let left = deadline.saturating_duration_since(Instant::now());
                let event: Value = events.recv_timeout(left).context("waiting for clients")?;
                if event["event"] == "result" {
                    bail!("a client failed before the fault: {}", event["error"]);
                }
                flowing += u16::from(event["name"] == "udp" && event["ok"] == true);
            }
            clients.kinds.push((kind, child, events));
        }
        Ok(clients)
    }

    pub(super) fn total(&self) -> usize {
        usize::from(self.count) * KINDS.len()
    }

    /// Waits for the end of all clients. Those whose gateway has this address are
    /// affected.
    pub(super) fn finish(mut self, affected: &str) -> anyhow::Result<Vec<Noticed>> {
        let mut noticed = Vec::new();
        for (kind, child, events) in &mut self.kinds {
            let results: Vec<_> =
                events.iter().filter(|event| event["event"] == "result").collect();
            child.wait().context("waiting for clients")?;
            let is_affected = |result: &&Value| {
                let address = result["target"]["ip"].as_str().unwrap_or_default();
                address == affected
            };
            let (hit, others): (Vec<_>, Vec<_>) = results.iter().partition(is_affected);
            for (affected, results) in [(true, hit), (false, others)] {
                if !results.is_empty() {
                    noticed.push(Noticed::of(kind, affected, &results));
                }
            }
        }
        Ok(noticed)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        for (_, child, _) in &mut self.kinds {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Noticed {
    fn of(kind: &'static str, affected: bool, results: &[&Value]) -> Self {
        let mut noticed = Self {
            kind,
            affected,
            sessions: results.len(),
            continued: 0,
            reconnected: 0,
            ended: 0,
            lost: 0,
            gap_ms: None,
            wrong: 0,
            reasons: BTreeMap::new(),
        };
        let mut gaps = Vec::new();
        for result in results {
            let error = result["error"].as_str().unwrap_or_default();
            noticed.wrong += usize::from(error.contains("SPI") || error.contains("checksum"));
            // A client says bye only after its last datagrams were answered, and the Connection
            // Manager may not run any more.
            if result["ok"] == true || error.starts_with("bye: ") {
                noticed.continued += 1;
                noticed.reconnected += usize::from(result["resumed"].as_u64() > Some(0));
                gaps.push(result["silence_ms"].as_f64().unwrap_or_default());
            } else if kind == "end" && error.starts_with("hold: control connection") {
                noticed.ended += 1;
            } else {
                noticed.lost += 1;
                *noticed.reasons.entry(without_number(error)).or_default() += 1;
            }
        }
        gaps.sort_by(f64::total_cmp);
        let at = |part: usize| {
            gaps.get((gaps.len() * part / 100).min(gaps.len().saturating_sub(1))).copied()
        };
        if let [Some(median), Some(most), Some(longest)] = [50, 95, 100].map(at) {
            noticed.gap_ms = Some([median, most, longest]);
        }
        noticed
    }
}

/// The error without the number of a datagram, which differs between clients.
fn without_number(error: &str) -> String {
    match error.split_once(" datagram ") {
        Some((before, after)) => {
            format!(
                "{before} a datagram {}",
                after.trim_start_matches(|it: char| it.is_ascii_digit()).trim_start()
            )
        }
        None => error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_counted_by_what_happened() {
        let results = [
            json!({ "ok": true, "silence_ms": 20.0, "resumed": 0 }),
            json!({ "ok": true, "silence_ms": 1800.0, "resumed": 1 }),
            json!({ "ok": false, "error": "bye: failed to connect", "silence_ms": 20.0 }),
            json!({ "ok": false, "error": "hold: control connection ended" }),
            json!({ "ok": false, "error": "hold: datagram has the SPI 7" }),
            json!({ "ok": false, "error": "hold: datagram 15 was sent 20 times" }),
            json!({ "ok": false, "error": "hold: datagram 16 was sent 20 times" }),
        ];
        let all: Vec<_> = results.iter().collect();

        let noticed = Noticed::of("end", true, &all);

        assert_eq!((noticed.continued, noticed.reconnected, noticed.ended), (3, 1, 1));
        assert_eq!((noticed.lost, noticed.wrong), (3, 1));
        assert_eq!(noticed.reasons.get("hold: a datagram was sent 20 times"), Some(&2));
        assert_eq!(noticed.gap_ms, Some([20.0, 1800.0, 1800.0]));
    }

    #[test]
    fn sessions_that_are_lost_have_no_gap() {
        let lost = json!({ "ok": false, "error": "hold: control connection ended" });

        let noticed = Noticed::of("close", true, &[&lost]);

        assert_eq!((noticed.sessions, noticed.lost, noticed.ended), (1, 1, 0));
        assert_eq!(noticed.gap_ms, None);
    }
}
