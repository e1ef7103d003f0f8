//! The report of a demonstration, as text or JSON.

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::screen;

/// The document of `--output json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    pub(super) outcome: Outcome,
    layout: String,
    pub(super) stages: Vec<Stage>,
    tcp: Bytes,
    udp: Udp,
    pub(super) health: String,
    /// Only if the gateway was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<Resumed>,
    pub(super) error: Option<String>,
    pub(super) left_behind: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Done,
    Failed,
}

/// A stage of the session.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) ms: f64,
    pub(super) ok: bool,
}

/// How the session resumed after the gateway was killed.
#[derive(Debug, Clone, Copy, Serialize)]
struct Resumed {
    times: u64,
    /// Time without datagrams in milliseconds.
    silence_ms: f64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Bytes {
    to_agent: u64,
    to_client: u64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Udp {
    to_agent: Amount,
    to_client: Amount,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Amount {
    datagrams: u64,
    bytes: u64,
}

/// All stages of a session, in the order in which they end.
const STAGES: [&str; 10] = [
    "hello",
    "authenticate",
    "second-factor",
    "list",
    "allocate",
    "launch-session",
    "announce",
    "tls",
    "udp",
    "bye",
];

impl Report {
    pub(super) fn new(layout: &str) -> Self {
        Self {
            schema: 1,
            outcome: Outcome::Failed,
            layout: layout.to_owned(),
            stages: Vec::new(),
            tcp: Bytes::default(),
            udp: Udp::default(),
            health: String::new(),
            resumed: None,
            error: None,
            left_behind: Vec::new(),
        }
    }

    /// Records the first error.
    pub(super) fn fail(&mut self, error: &str) {
        self.error.get_or_insert_with(|| error.to_owned());
    }

    pub(super) fn is_done(&self) -> bool {
        self.error.is_none()
    }

    /// Copies the result of the client.
    pub(super) fn take_result(&mut self, result: &Value) -> anyhow::Result<()> {
        if result["event"] != "result" {
            bail!("the simulated client ended without a result");
        }
        self.tcp = read(result, "tcp")?;
        self.udp = read(result, "udp")?;
        let times: u64 = read(result, "resumed")?;
        if times > 0 {
            self.resumed = Some(Resumed { times, silence_ms: read(result, "silence_ms")? });
        }
        if result["ok"] != true {
            bail!("{}", result["error"].as_str().unwrap_or("the simulated client failed"));
        }
        Ok(())
    }

    /// Success means that every stage succeeded, datagrams flowed in both directions, and nothing
    /// was left behind.
    pub(super) fn judge(&mut self, gateway_killed: bool) {
        let missing =
            |name: &&str| !self.stages.iter().any(|stage| stage.name == *name && stage.ok);
        if let Some(name) = STAGES.iter().find(|name| missing(name)) {
            let error = format!("the session did not complete stage `{name}`");
            self.fail(&error);
        } else if gateway_killed && self.resumed.is_none_or(|resumed| resumed.times == 0) {
            self.fail("the session did not resume after the gateway was killed");
        } else if self.udp.to_agent.datagrams == 0 || self.udp.to_client.datagrams == 0 {
            self.fail("no datagrams were relayed");
        } else if !self.left_behind.is_empty() {
            self.fail("something was left behind");
        }
        self.outcome = if self.is_done() { Outcome::Done } else { Outcome::Failed };
    }

    pub(super) fn tell_start(&self) {
        screen::data(&format!("health          {}", self.health));
    }

    pub(super) fn tell(&self) {
        let udp = |way: &str, amount: Amount| {
            let Amount { datagrams, bytes } = amount;
            screen::data(&format!("udp {way:<12}{datagrams:>8} datagrams {bytes:>10} bytes"));
        };
        udp("to agent", self.udp.to_agent);
        udp("to client", self.udp.to_client);
        screen::data(&format!("tcp to agent    {:>8} bytes", self.tcp.to_agent));
        screen::data(&format!("tcp to client   {:>8} bytes", self.tcp.to_client));
        if let Some(Resumed { silence_ms, .. }) = self.resumed {
            screen::data(&format!("without datagrams for {silence_ms:>10.1} ms"));
        }
        for left in &self.left_behind {
            screen::data(&format!("left behind     {left}"));
        }
        match &self.error {
            Some(error) => screen::data(&format!("failed          {error}")),
            None => screen::data("done"),
        }
    }
}

impl Stage {
    /// The stage in an event of a simulator.
    pub(super) fn of(event: &Value) -> Self {
        Self {
            name: event["name"].as_str().unwrap_or_default().to_owned(),
            ms: event["ms"].as_f64().unwrap_or_default(),
            ok: event["ok"] == true,
        }
    }

    /// The control connection was lost and restored.
    pub(super) fn resumed(event: &Value) -> Self {
        Self { name: "resumed".to_owned(), ms: event["ms"].as_f64().unwrap_or_default(), ok: true }
    }

    pub(super) fn tell(&self) {
        let Self { name, ms, ok } = self;
        let outcome = if *ok { "ok" } else { "failed" };
        screen::data(&format!("{name:<16}{ms:>8.1} ms  {outcome}"));
    }
}

fn read<T: for<'a> Deserialize<'a>>(result: &Value, name: &str) -> anyhow::Result<T> {
    T::deserialize(&result[name])
        .with_context(|| format!("reading `{name}` of the simulated client's result"))
}
