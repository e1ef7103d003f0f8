//! The real installer, interrupted: killed, stopped by a signal, run concurrently, or without a
//! disk or file. Afterwards the host has either the previous or the requested state.

#[path = "interrupted/ended.rs"]
mod ended;
#[path = "interrupted/killed.rs"]
mod killed;
#[path = "interrupted/refused.rs"]
mod refused;
#[path = "interrupted/site.rs"]
mod site;
#[path = "interrupted/supervisors.rs"]
mod supervisors;
