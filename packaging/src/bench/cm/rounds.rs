//! Rounds of load, in which the servers are measured one after the other.

use std::time::Duration;

use super::{
    disk,
    load::{Load, Mode},
    report::{Report, Round, Stage},
    server::{Kind, Server, Site},
};
use crate::{bench::sg::statistics::median, screen};

/// What to measure in the rounds of a mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) rounds: u32,
    pub(super) time: Duration,
    pub(super) clients: u16,
    pub(super) saturation: bool,
    pub(super) half_load: bool,
}

/// Measures one mode. Round 0 opens connections and fills caches.
pub(super) async fn measure(
    site: &Site<'_>,
    (mode, plan): (Mode, Plan),
    servers: &[Server],
    report: &mut Report,
) -> anyhow::Result<()> {
    let load = |server: &Server| Load::new(mode, site.certificates, server.address, plan.clients);
    let mut loads: Vec<_> = servers.iter().map(|server| (server, load(server))).collect();
    let mut reached = vec![Vec::new(); servers.len()];
    let rounds = if plan.saturation { plan.rounds } else { 0 };
    for number in 0..=rounds {
        for ((server, load), reached) in loads.iter_mut().zip(&mut reached) {
            let round = round((server, load), (plan.time, None)).await;
            reached.push(round.per_second);
            if number > 0 {
                screen::note(&round.line());
                report.rounds.push(round);
            }
        }
    }
    if !plan.half_load {
        return Ok(());
    }
    let reached = reached.iter().filter_map(|reached| median(reached));
    let rate = reached.fold(f64::INFINITY, f64::min) / 2.0;
    let direct = Server::start(Kind::Direct, site).await?;
    loads.push((&direct, load(&direct)));
    for number in 0..=plan.rounds {
        if number > 0 && mode.allocates() && servers.iter().any(|it| it.kind == Kind::Manager) {
            report.disk.push(disk::two_writers(site.folder).await?);
        }
        for (server, load) in &mut loads {
            let round = round((server, load), (plan.time, Some(rate))).await;
            if number > 0 {
                screen::note(&round.line());
                report.rounds.push(round);
            }
        }
    }
    Ok(())
}

/// As fast as possible, or at a rate.
async fn round(
    (server, load): (&Server, &mut Load<'_>),
    (time, rate): (Duration, Option<f64>),
) -> Round {
    let before = server.used();
    let (stage, ran) = match rate {
        None => (Stage::Saturation, load.run(time).await),
        Some(rate) => (Stage::HalfLoad, load.paced(time, rate).await),
    };
    Round::new((stage, load.mode(), server.kind), &ran, server.used() - before)
}
