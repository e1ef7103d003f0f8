//! An installation on a real Docker engine while it changes: flags and certificates, one half and
//! back, killed and met by a second installer, without its engine, and removed beside what others have.

#[path = "stack_changes/certificates.rs"]
mod certificates;
#[path = "stack_changes/flags.rs"]
mod flags;
#[path = "stack_changes/killed.rs"]
mod killed;
#[path = "stack_changes/not_live.rs"]
mod not_live;
#[path = "stack_changes/others.rs"]
mod others;
#[path = "stack_changes/rows.rs"]
mod rows;
#[path = "stack_changes/site.rs"]
mod site;
#[path = "stack_changes/swarms.rs"]
mod swarms;
#[path = "stack_changes/without_engine.rs"]
mod without_engine;
