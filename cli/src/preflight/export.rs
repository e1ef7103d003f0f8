//! The file that the answers are exported to.

use crate::{finding::Finding, host::Facts};

pub(super) fn check(facts: &Facts) -> Option<Finding> {
    let export = facts.export.as_ref()?;
    let why = export.found.as_ref().err()?;
    Some(Finding::error(
        "settings.save-answers",
        format!("`--save-answers`: `{}`: {why}", export.path.display()),
        "specify a new file in an existing directory, or an existing answers file",
    ))
}
