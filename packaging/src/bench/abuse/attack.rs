//! The attacks. Each has a bound on its connections and its rate, and ends with its runtime.

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

/// Something that a stranger can do.
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

/// What attackers did.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Tally {
    /// Connections that were opened, again and again.
    connections: u64,
    /// Connections that were open when the attack ended.
    held: u64,
    /// Requests or datagrams that were sent.
    sent: u64,
    /// Responses with status 200.
    answered: u64,
}

/// An attack under way; it ends when this is dropped.
pub(super) struct Running {
    /// Always there until the attack ends.
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

/// An attacker's one address.
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

    /// What it does, in a sentence.
    pub(super) fn about(self, force: Force) -> String {
        let (count, limit) = (self.connections(force), self.max_connections(force));
        let limited = format!("`MaxConnections = {limit}`");
        match self {
            Self::SlowPosts => format!("{count} slow POSTs from one address, {limited}"),
            Self::SilentConnections => format!("{count} silent connections from one address"),
            Self::GatewayLockout => format!("{count} bare connections to 4172 from 8 addresses"),
            Self::BodyStorm => format!("{count} bodies of 1 MiB but for their last byte"),
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

    /// How many connections it has at most.
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

    /// `MaxConnections` of the Connection Manager: its default, or what the attack fills.
    pub(super) fn max_connections(self, force: Force) -> u32 {
        match self {
            Self::SlowPosts => force.scaled(400).max(20),
            // The table of sessions has four times as many places.
            Self::HelloFlood => force.scaled(5000),
            _ => 10_000,
        }
    }

    /// Begins.
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
    /// Ends it.
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

/// What every attack is made with. Its tasks have a runtime of their own, so that users do not wait
/// for them in this process.
struct Field<'a> {
    runtime: &'a Runtime,
    counts: &'a Arc<Counts>,
    connector: &'a RawConnector,
    /// How many connections.
    number: u32,
}

/// One connection that is held.
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

/// So many events a second, shared by many tasks.
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
                // Nobody catches up on what the machine did not manage.
                if given.available_permits() < per_second as usize {
                    given.add_permits(whole as usize);
                }
            }
        });
        Self(permits)
    }

    /// Waits for the next event's turn.
    async fn turn(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

const HELLOS: u32 = 1500;
