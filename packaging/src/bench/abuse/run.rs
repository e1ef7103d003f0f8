//! Runs one attack: first users without it, then under it, then measures what remains.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::{
    super::process::rss_kib,
    Force,
    attack::{Attack, Tally},
    clients::{self, KeptSession, LogOns},
    meter::{Meter, Usage},
    site::{Plan, Site},
};

/// Time for an attack to open its connections before users log on.
const BUILD_UP: Duration = Duration::from_secs(6);
/// How long after an attack memory is measured; it must be freed within this time.
const AFTER: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(60);

/// Results of an attack.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) attack: &'static str,
    /// Without the attack.
    pub(super) calm: LogOns,
    /// Under the attack.
    pub(super) attacked: LogOns,
    pub(super) kept: Kept,
    pub(super) connection_manager: Usage,
    pub(super) security_gateway: Usage,
    /// Duration of the attack.
    pub(super) seconds: f64,
    pub(super) second_factor: Option<SecondFactor>,
    pub(super) attackers: Tally,
}

/// The session that stays open.
#[derive(Debug, Serialize)]
pub(super) struct Kept {
    /// Share of its datagrams that were answered under the attack.
    pub(super) share: f64,
    sent: u64,
    /// Share without the attack.
    calm_share: f64,
    /// How often its control connection was lost.
    resumed: u64,
    error: Option<String>,
}

/// Users who were at their second factor when the attack began.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct SecondFactor {
    pub(super) users: usize,
    pub(super) thrown_out: usize,
}

/// Runs an attack on its own site.
pub(super) async fn one(plan: &Plan, attack: Attack, force: Force) -> anyhow::Result<Row> {
    let site = Site::start(plan, attack.max_connections(force)).await?;
    let kept = KeptSession::start(&site).await?;
    let spis = site.last_spis().await?;
    let before_calm = kept.delivered();
    let calm = clients::log_on(&site, force.time).await;
    let waiting = match attack {
        Attack::HelloFlood => clients::at_second_factor(&site).await?,
        _ => Vec::new(),
    };
    let users = waiting.len();

    let meters = [Meter::start(&site.manager), Meter::start(&site.gateway)];
    let began = std::time::Instant::now();
    let before = kept.delivered();
    let running = attack.start(&site, force, spis)?;
    sleep(BUILD_UP.min(force.time)).await;
    let attacked = clients::log_on(&site, force.time).await;
    let (calm_share, _) = before.since(before_calm);
    let (share, sent) = kept.delivered().since(before);
    let (seconds, attackers) = (began.elapsed().as_secs_f64(), running.stop());

    let thrown_out = clients::thrown_out(waiting).await;
    let (resumed, error) = kept.end().await;
    sleep(AFTER).await;
    let [mut connection_manager, security_gateway] = [meters[0].usage(), meters[1].usage()];
    if attack == Attack::BodyStorm {
        sleep(REST.min(force.time * 3)).await;
        connection_manager.rss_later_kib = Some(rss_kib(site.manager.pid()));
    }
    Ok(Row {
        attack: attack.name(),
        calm,
        attacked,
        kept: Kept { share, sent, calm_share, resumed, error },
        connection_manager,
        security_gateway,
        seconds,
        second_factor: (users > 0).then_some(SecondFactor { users, thrown_out }),
        attackers,
    })
}
