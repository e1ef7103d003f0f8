//! The attacks. Each has a limited number of connections and rate, and ends with its runtime.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use pcoip_sim::client::RawConnector;
use serde::Serialize;
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    time::interval,
};

use super::{Force, site::Site};

mod connections;
mod datagrams;
mod requests;

/// An attack that needs no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Attack {
    SlowPosts,
    SilentConnections,
    GatewayLockout,
    BodyStorm,
    HelloFlood,
    LogFlood,
    FlowMove,
    Diversion,
    DatagramFlood,
}

/// The traffic of the attackers.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Tally {
    /// Number of opened connections.
    connections: u64,
    /// Number of open connections at the end of the attack.
    held: u64,
    /// Number of sent requests or datagrams.
    sent: u64,
    /// Number of responses with status 200.
    answered: u64,
}

/// A running attack; dropping it stops the attack.
pub(super) struct Running {
    /// `Some` until the attack ends.
    runtime: Option<Runtime>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    held: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
}

/// Source address of attacks from a single address.
const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 9, 1));

impl Attack {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SlowPosts => "slow-posts",
            Self::SilentConnections => "silent-connections",
            Self::GatewayLockout => "gateway-lockout",
            Self::BodyStorm => "body-storm",
            Self::HelloFlood => "hello-flood",
            Self::LogFlood => "log-flood",
            Self::FlowMove => "flow-move",
            Self::Diversion => "diversion",
            Self::DatagramFlood => "datagram-flood",
        }
    }

    /// A description in one sentence.
    pub(super) fn about(self, force: Force) -> String {
        let (count, limit) = (self.connections(force), self.max_connections(force));
        let limited = format!("`MaxConnections = {limit}`");
        match self {
            Self::SlowPosts => format!("{count} slow POSTs from one address, {limited}"),
            Self::SilentConnections => format!("{count} silent connections from one address"),
            Self::GatewayLockout => format!("{count} bare connections to 4172 from 8 addresses"),
            Self::BodyStorm => format!("{count} bodies of 1 MiB without their last byte"),
            Self::HelloFlood => {
                format!("{} hellos a second from one address, {limited}", force.scaled(HELLOS))
            }
            Self::LogFlood => {
                format!("{} refused requests of 60 KiB a second", force.scaled(requests::LOGGED))
            }
            Self::FlowMove => "the kept session's own SPI from other ports".to_owned(),
            Self::Diversion => "the SPI of the kept session's agent from other ports".to_owned(),
            Self::DatagramFlood => {
                format!("{} unknown datagrams a second", force.scaled(datagrams::UNKNOWN))
            }
        }
    }

    /// Maximum number of connections.
    pub(super) fn connections(self, force: Force) -> u32 {
        match self {
            Self::SlowPosts => force.scaled(450),
            Self::SilentConnections => force.scaled(11_000),
            Self::GatewayLockout => 8 * force.scaled(512),
            Self::BodyStorm => force.scaled(900),
            Self::HelloFlood | Self::LogFlood => force.scaled(40),
            Self::FlowMove | Self::Diversion | Self::DatagramFlood => 8,
        }
    }

    /// `MaxConnections` of the Connection Manager: the default, or what the attack can fill.
    pub(super) fn max_connections(self, force: Force) -> u32 {
        match self {
            Self::SlowPosts => force.scaled(400).max(20),
            // The session table has four times as many entries.
            Self::HelloFlood => force.scaled(5000),
            _ => 10_000,
        }
    }

    pub(super) fn start(
        self,
        site: &Site,
        force: Force,
        [own, agent]: [u32; 2],
    ) -> anyhow::Result<Running> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.context("starting the attackers' runtime")?;
        let counts = Arc::<Counts>::default();
        let (manager, gateway) = (site.manager.address, site.gateway.address);
        let number = self.connections(force);
        let connector = RawConnector::new().context("preparing TLS")?;
        let field = Field { runtime: &runtime, counts: &counts, connector: &connector, number };
        match self {
            Self::SlowPosts => connections::slow_posts(&field, manager),
            Self::SilentConnections => connections::bare(&field, manager, &[ATTACKER]),
            Self::GatewayLockout => {
                let eight: Vec<IpAddr> =
                    (1..=8).map(|last| Ipv4Addr::new(127, 0, 9, last).into()).collect();
                connections::bare(&field, gateway, &eight);
            }
            Self::BodyStorm => connections::bodies(&field, manager),
            Self::HelloFlood => requests::hellos(&field, manager, force.scaled(HELLOS)),
            Self::LogFlood => requests::logged(&field, manager, force.scaled(requests::LOGGED)),
            Self::FlowMove => datagrams::diverting(&field, gateway, own),
            Self::Diversion => datagrams::diverting(&field, gateway, agent),
            Self::DatagramFlood => {
                datagrams::unknown(&field, gateway, force.scaled(datagrams::UNKNOWN));
            }
        }
        Ok(Running { runtime: Some(runtime), counts })
    }
}

impl Running {
    pub(super) fn stop(self) -> Tally {
        let Counts { connections, held, sent, answered } = &*self.counts;
        Tally {
            connections: connections.load(Relaxed),
            held: held.load(Relaxed),
            sent: sent.load(Relaxed),
            answered: answered.load(Relaxed),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The parameters of an attack. Its tasks run in a separate runtime, so that users do not wait for
/// them in this process.
struct Field<'a> {
    runtime: &'a Runtime,
    counts: &'a Arc<Counts>,
    connector: &'a RawConnector,
    /// Number of connections.
    number: u32,
}

/// A connection that is kept open.
struct Held<'a>(&'a Counts);

impl<'a> Held<'a> {
    fn count(counts: &'a Counts) -> Self {
        counts.connections.fetch_add(1, Relaxed);
        counts.held.fetch_add(1, Relaxed);
        Self(counts)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Relaxed);
    }
}

/// Limits many tasks to a common number of events per second.
#[derive(Clone)]
struct Pace(Arc<Semaphore>);

impl Pace {
    fn start(runtime: &Runtime, per_second: u32) -> Self {
        let permits = Arc::new(Semaphore::new(0));
        let given = Arc::clone(&permits);
        runtime.spawn(async move {
            let mut ticks = interval(Duration::from_millis(10));
            let mut due: u32 = 0;
            loop {
                ticks.tick().await;
                due += per_second;
                let whole = due / 100;
                due %= 100;
                // Unused events are not carried over.
                if given.available_permits() < per_second as usize {
                    given.add_permits(whole as usize);
                }
            }
        });
        Self(permits)
    }

    /// Waits for the next event.
    async fn turn(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

const HELLOS: u32 = 1500;
