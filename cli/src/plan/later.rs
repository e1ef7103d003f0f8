//! What is kept for functions that are not there yet: passwords, and files of the operator's.

use super::{remove, write};
use crate::{
    args::settings::{self, FILES},
    host::Facts,
    installation::layout,
    step::Step,
    wanted::Wanted,
};

/// The steps for all of it. What is not wanted goes.
pub(super) fn steps(wanted: &Wanted, facts: &Facts) -> Vec<Step> {
    let paths = wanted.place.paths();
    let given: Vec<_> = wanted.given().into_iter().map(|given| given.setting).collect();
    let files = FILES.map(|file| (file, layout::copy(&paths, file), given.contains(&file)));
    let secrets =
        settings::passwords().map(|setting| (setting, layout::secret(&paths, setting), true));
    let step = |(setting, path, is_wanted)| {
        let content = facts.given.get(&setting).filter(|_| is_wanted);
        match content.and_then(|content| content.as_ref().ok()) {
            Some(content) => write(&facts.installed, path, content.plain()),
            None => remove(&facts.installed, path),
        }
    };
    files.into_iter().chain(secrets).filter_map(step).collect()
}
