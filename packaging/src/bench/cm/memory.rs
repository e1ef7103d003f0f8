//! Memory of the servers while clients hold sessions, after they have closed their connections,
//! and a minute after a storm of log-ons.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep, sleep_until},
};

use super::{
    load::{Load, Mode},
    log_on::Client,
    messages::Step,
    server::{Kind, Server, Site},
};
use crate::screen;

/// Resident memory of a server with sessions.
#[derive(Debug, Serialize)]
pub(super) struct Held {
    pub(super) server: Kind,
    pub(super) sessions: usize,
    pub(super) errors: Vec<String>,
    /// Before the sessions, while clients are connected, and after they have disconnected.
    pub(super) rss_kib: [u64; 3],
}

/// Resident memory of a server before, during and a minute after a storm.
#[derive(Debug, Serialize)]
pub(super) struct Storm {
    pub(super) server: Kind,
    pub(super) log_ons: usize,
    pub(super) errors: Vec<String>,
    /// Before, at the peak, and a minute later.
    pub(super) rss_kib: [u64; 3],
    /// Sessions of the Connection Manager a minute later.
    pub(super) kept: usize,
}

/// Logs on so many clients at each server, which keep their connections.
pub(super) async fn hold(
    site: &Site<'_>,
    kinds: &[Kind],
    number: u16,
) -> anyhow::Result<Vec<Held>> {
    let servers = start(site, kinds).await?;
    let (mut rows, mut holding) = (Vec::new(), Vec::new());
    for server in &servers {
        screen::note(&format!("{}: {number} clients log on and stay", server.kind.name()));
        let before = server.rss_kib();
        let (clients, errors) = log_on(site, server, number, Crowd::Staying).await;
        let (server, sessions) = (server.kind, clients.len());
        rows.push(Held { server, sessions, errors, rss_kib: [before, 0, 0] });
        holding.push(clients);
    }
    sleep(SETTLE).await;
    for ((server, row), clients) in servers.iter().zip(&mut rows).zip(&holding) {
        row.rss_kib[1] = server.rss_kib();
        let closed = clients.iter().filter(|client| !client.is_connected()).count();
        if closed > 0 {
            row.errors.push(format!("the server closed {closed} connections"));
        }
    }
    drop(holding);
    sleep(SETTLE).await;
    for (server, row) in servers.iter().zip(&mut rows) {
        row.rss_kib[2] = server.rss_kib();
    }
    Ok(rows)
}

/// Logs on so many clients at each server, many at once, which disconnect without a `bye`.
pub(super) async fn storm(
    site: &Site<'_>,
    kinds: &[Kind],
    number: u16,
) -> anyhow::Result<Vec<Storm>> {
    let servers = start(site, kinds).await?;
    let mut rows = Vec::new();
    for server in &servers {
        screen::note(&format!("{}: a storm of {number} log-ons", server.kind.name()));
        let before = server.rss_kib();
        let peak = Cell::new(before);
        let watching = async {
            loop {
                peak.set(peak.get().max(server.rss_kib()));
                sleep(Duration::from_millis(100)).await;
            }
        };
        let (clients, errors) = tokio::select! {
            ended = log_on(site, server, number, Crowd::Leaving) => ended,
            never = watching => never,
        };
        let (log_ons, kind) = (clients.len(), server.kind);
        let row =
            Storm { server: kind, log_ons, errors, rss_kib: [before, peak.get(), 0], kept: 0 };
        rows.push((row, Instant::now() + AFTER_STORM));
    }
    for (server, (row, due)) in servers.iter().zip(&mut rows) {
        sleep_until((*due).into()).await;
        row.rss_kib[2] = server.rss_kib();
        row.kept = server.sessions()?;
    }
    Ok(rows.into_iter().map(|(row, _)| row).collect())
}

/// Starts servers of their own, since a server that had load before has memory to use again.
async fn start(site: &Site<'_>, kinds: &[Kind]) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for kind in kinds {
        let server = Server::start(*kind, site).await?;
        let mut load = Load::new(Mode::New, site.certificates, server.address, WARM_UP_CLIENTS);
        load.run(WARM_UP).await;
        servers.push(server);
    }
    sleep(WARM_UP).await;
    Ok(servers)
}

/// What clients do after they have logged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crowd {
    /// They keep their connection and don't allocate a resource.
    Staying,
    /// They close their connection after the allocation.
    Leaving,
}

/// Logs on so many clients, and returns those that have logged on, and the errors of the others.
async fn log_on(
    site: &Site<'_>,
    server: &Server,
    number: u16,
    crowd: Crowd,
) -> (Vec<Client>, Vec<String>) {
    let (mode, last, at_once) = match crowd {
        Crowd::Staying => (Mode::KeepAlive, Step::List, 32),
        Crowd::Leaving => (Mode::New, Step::Allocate, 1000),
    };
    let (mut running, mut clients, mut errors) = (JoinSet::new(), Vec::new(), Vec::new());
    for number in 0..number {
        if running.len() >= at_once {
            collect(running.join_next().await, &mut clients, &mut errors);
        }
        let connector = site.certificates.connector(false);
        let mut client = Client::new(mode, server.address, connector, number.into());
        running.spawn_local(async move {
            client.log_on_until(last).await?;
            if crowd == Crowd::Leaving {
                client.disconnect();
            }
            anyhow::Ok(client)
        });
    }
    while let Some(ended) = running.join_next().await {
        collect(Some(ended), &mut clients, &mut errors);
    }
    (clients, errors)
}

fn collect(
    ended: Option<Result<anyhow::Result<Client>, JoinError>>,
    clients: &mut Vec<Client>,
    errors: &mut Vec<String>,
) {
    match ended {
        Some(Ok(Ok(client))) => clients.push(client),
        Some(Ok(Err(error))) => errors.push(format!("{error:#}")),
        Some(Err(error)) => errors.push(error.to_string()),
        None => {}
    }
}

/// The Connection Manager returns freed memory to the system every 20 seconds.
const SETTLE: Duration = Duration::from_secs(45);
const AFTER_STORM: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(1);
const WARM_UP_CLIENTS: u16 = 8;
