//! The real installer, stopped on its way: killed, told to end, met by a second one, left without a
//! disk or a file. Afterwards everything is as it was, or as it was to be.

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
