//! Changes of an installation on a real Docker engine: flags and certificates, roles added and
//! removed, killed and concurrent installers, without an engine, and removal beside unrelated
//! objects.

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
