//! The steps around an installation that takes another one over: its way back is kept before
//! anything changes, and its services go when all is ready for ours.

use cmsg_config::Paths;

use super::turnover::Turnover;
use crate::{
    host::Facts,
    installation::layout::{self, adopted_stack},
    step::{
        Step, hold::Hold, keep_adopted::KeepAdopted, remove_adopted::RemoveAdopted,
        remove_services::Deployed,
    },
};

/// What comes before files change.
pub(super) fn keep(facts: &Facts, paths: &Paths) -> Vec<Step> {
    let Some(adopted) = &facts.adopted else { return Vec::new() };
    let keep = KeepAdopted { folder: layout::adopted(paths), files: adopted.kept.clone() };
    let back = Deployed(vec![adopted_stack(paths)], Vec::new());
    vec![Step::KeepAdopted(keep), Step::Hold(Hold(vec![back.into()]))]
}

/// Has its services go before ours come, and our network come when theirs has gone, which may have
/// its name and its range.
pub(super) fn turn(mut turnover: Turnover, facts: &Facts) -> Turnover {
    let Some(adopted) = &facts.adopted else { return turnover };
    let is_network = |step: &Step| matches!(step, Step::MakeNetwork { .. });
    let (network, stops): (Vec<_>, Vec<_>) =
        std::mem::take(&mut turnover.stops).into_iter().partition(is_network);
    turnover.stops = stops;
    let gone = Step::RemoveAdopted(RemoveAdopted { networks: adopted.networks.clone() });
    turnover.starts.splice(..0, std::iter::once(gone).chain(network));
    turnover
}
