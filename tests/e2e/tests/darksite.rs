//! Damaged bundles, which are refused with their problem before anything is changed, and the script
//! that installs from a bundle.

#[path = "darksite/create.rs"]
mod create;
#[path = "darksite/refused.rs"]
mod refused;
#[path = "darksite/script.rs"]
mod script;
