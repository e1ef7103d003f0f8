//! Legitimate users: some log on continuously, one keeps a session, some are at their second
//! factor.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use pcoip_sim::{
    client::{self, AtSecondFactor, Event, Options, Report, Stage},
    events::Events,
    traffic::Traffic,
};
use serde::Serialize;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, interval_at, timeout},
};
use tokio_util::sync::CancellationToken;

use super::site::Site;

/// Address of the client with the kept session.
pub(super) const KEPT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 7, 1));

/// Interval between logons.
const EVERY: Duration = Duration::from_millis(125);
/// Timeout of a logon.
const PATIENCE: Duration = Duration::from_secs(15);
/// Number of users' addresses.
const ADDRESSES: u8 = 200;

/// Results of logons.
#[derive(Debug, Default, Serialize)]
pub(super) struct LogOns {
    pub(super) attempted: usize,
    /// Failed, or not completed after 15 seconds.
    pub(super) lost: usize,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    /// Error of the first failed logon.
    pub(super) first_error: Option<String>,
}

/// Starts logons for this time, and waits for the last ones.
pub(super) async fn log_on(site: &Site, time: Duration) -> LogOns {
    let mut users = JoinSet::new();
    let end = Instant::now() + time;
    let mut ticks = interval_at(Instant::now(), EVERY);
    for number in (0..ADDRESSES).cycle() {
        if ticks.tick().await >= end {
            break;
        }
        let source = Ipv4Addr::new(127, 0, 8, number + 1);
        let options = site.client(source.into());
        users.spawn(async move { one_log_on(&options).await });
    }
    LogOns::of(users.join_all().await)
}

/// Milliseconds from the first connection to the first datagrams.
async fn one_log_on(options: &Options) -> Result<f64, String> {
    let (sink, mut events) = Events::channel();
    let never = CancellationToken::new();
    let walk = timeout(PATIENCE, client::walk_watched(options, &sink, &never)).await;
    let mut took = 0.0;
    while let Ok(event) = events.try_recv() {
        if let Event::Stage { name, ms, ok: true } = event {
            took += ms;
            if name == Stage::Udp {
                return Ok((took * 1e3).round() / 1e3);
            }
        }
    }
    let error = walk.map(|report| report.error.unwrap_or_default());
    Err(error.unwrap_or_else(|_| format!("not logged on after {} s", PATIENCE.as_secs())))
}

impl LogOns {
    fn of(results: Vec<Result<f64, String>>) -> Self {
        let attempted = results.len();
        let mut times = Vec::new();
        let mut errors = Vec::new();
        for result in results {
            match result {
                Ok(ms) => times.push(ms),
                Err(error) => errors.push(error),
            }
        }
        times.sort_by(f64::total_cmp);
        Self {
            attempted,
            lost: errors.len(),
            p50_ms: percentile(&times, 50),
            p99_ms: percentile(&times, 99),
            first_error: errors.into_iter().next(),
        }
    }
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// A session that stays open and sends 50 datagrams per second.
pub(super) struct KeptSession {
    traffic: Arc<Traffic>,
    stop: CancellationToken,
    task: JoinHandle<Report>,
}

/// The number of datagrams of the kept session so far.
#[derive(Clone, Copy)]
pub(super) struct Delivered {
    sent: u64,
    answered: u64,
}

impl KeptSession {
    /// Logs on, and returns once datagrams flow.
    pub(super) async fn start(site: &Site) -> anyhow::Result<Self> {
        let mut options = site.client(KEPT);
        options.session.hold = Duration::from_secs(3600);
        let (sink, mut events) = Events::channel();
        let (traffic, stop) = (Arc::<Traffic>::default(), CancellationToken::new());
        let (counted, stopped) = (Arc::clone(&traffic), stop.clone());
        let task =
            tokio::spawn(
                async move { client::walk_counted(&options, &sink, &stopped, &counted).await },
            );
        while let Some(event) = events.recv().await {
            if matches!(event, Event::Stage { name: Stage::Udp, ok: true, .. }) {
                return Ok(Self { traffic, stop, task });
            }
        }
        let report = task.await.context("waiting for the kept session")?;
        bail!("the kept session did not begin: {}", report.error.unwrap_or_default())
    }

    pub(super) fn delivered(&self) -> Delivered {
        let udp = self.traffic.totals().udp;
        Delivered { sent: udp.to_agent.datagrams, answered: udp.to_client.datagrams }
    }

    /// Ends the session. Returns how often its control connection was lost, and why it ended
    /// earlier, if it did.
    pub(super) async fn end(self) -> (u64, Option<String>) {
        let ended_before = self.task.is_finished();
        self.stop.cancel();
        match self.task.await {
            Ok(report) if ended_before => (report.record.resumed, report.error),
            Ok(report) => (report.record.resumed, None),
            Err(error) => (0, Some(error.to_string())),
        }
    }
}

impl Delivered {
    /// The share of answered datagrams since `earlier`, and the number of sent ones.
    pub(super) fn since(self, earlier: Self) -> (f64, u64) {
        let (sent, answered) = (self.sent - earlier.sent, self.answered - earlier.answered);
        #[expect(clippy::cast_precision_loss, reason = "thousands at most")]
        let share = if sent == 0 { 0.0 } else { (answered as f64 / sent as f64).min(1.0) };
        (share, sent)
    }
}

/// Users who have sent name and password.
pub(super) async fn at_second_factor(site: &Site) -> anyhow::Result<Vec<AtSecondFactor>> {
    let mut users = Vec::new();
    for number in 1..=AT_SECOND_FACTOR {
        let options = site.client(Ipv4Addr::new(127, 0, 6, number).into());
        let user = client::half_way(&options).await.map_err(anyhow::Error::msg);
        users.push(user.context("logging on as far as the second factor")?);
    }
    Ok(users)
}

/// Sends the second factors, and returns how many failed.
pub(super) async fn thrown_out(users: Vec<AtSecondFactor>) -> usize {
    let mut out = 0;
    for user in users {
        let finished = timeout(PATIENCE, user.finish()).await;
        out += usize::from(!matches!(finished, Ok(Ok(()))));
    }
    out
}

const AT_SECOND_FACTOR: u8 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();

        assert_eq!(percentile(&hundred, 50), Some(50.0));
        assert_eq!(percentile(&hundred, 99), Some(99.0));
        assert_eq!(percentile(&[7.0], 99), Some(7.0));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn a_lost_log_on_counts_in_no_percentile() {
        let log_ons = LogOns::of(vec![Ok(4.0), Err("refused".to_owned()), Ok(2.0)]);

        assert_eq!((log_ons.attempted, log_ons.lost), (3, 1));
        assert_eq!((log_ons.p50_ms, log_ons.p99_ms), (Some(2.0), Some(4.0)));
        assert_eq!(log_ons.first_error.as_deref(), Some("refused"));
    }
}
