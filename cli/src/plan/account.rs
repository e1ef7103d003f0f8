//! The account that runs the roles of the machine's own installation, and what it may do with each
//! file. No folder has files of both: what root reads again and acts on lies where the account makes
//! nothing, and the account's files where root reads nothing.

use std::path::PathBuf;

use cmsg_config::Paths;

use crate::{
    host::Facts,
    installation::{
        account::{AccessChange, AccountFact, accesses},
        layout,
        record::Record,
    },
    step::{
        Step,
        file::{New, Replaced},
        hand_over::HandOver,
        make_account::MakeAccount,
        make_folders::Folders,
        remove::Remove,
        trace::Trace,
    },
};

/// The step that makes the account, if it is needed and not there.
pub(super) fn make(facts: &Facts) -> Option<Step> {
    (facts.account == AccountFact::Missing).then_some(Step::MakeAccount(MakeAccount))
}

/// The step that gives everything its access where it has another, after these have been performed.
pub(super) fn hand_over(steps: &[Step], paths: &Paths, facts: &Facts) -> Option<Step> {
    let account = match facts.account {
        AccountFact::NotUsed => return None,
        AccountFact::There(ids) => Some(ids),
        AccountFact::Missing | AccountFact::Odd(_) => None,
    };
    let mut made = Vec::new();
    for trace in steps.iter().flat_map(Step::traces) {
        match trace {
            Trace::New(New(path)) | Trace::Replaced(Replaced(path)) => made.push(path),
            Trace::Folders(Folders(folders)) => made.extend(folders),
            _ => {}
        }
    }
    let removed =
        |path: &PathBuf| steps.iter().any(|s| matches!(s, Step::Remove(Remove(p)) if p == path));
    let recorded = Record::of(&facts.installed, paths).folders;
    let own = layout::own_folders(paths);
    let mut changes = Vec::new();
    for (path, access) in accesses(paths) {
        let before = facts.installed.access.get(&path).copied();
        let is_made = made.contains(&path);
        // Folders around ours may be others'.
        let is_others = before.is_some_and(|before| before.is_folder)
            && !own.contains(&path)
            && !recorded.contains(&path);
        let is_right = || match (before, account) {
            (Some(before), Some(account)) => before.is(access, account),
            _ => false,
        };
        let will_be = is_made || (before.is_some() && !is_others && !is_right());
        if will_be && !removed(&path) {
            changes.push(AccessChange { path, access, before: before.filter(|_| !is_made) });
        }
    }
    (!changes.is_empty()).then_some(Step::HandOver(HandOver(changes)))
}

#[cfg(test)]
mod tests;
