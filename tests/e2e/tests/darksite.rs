//! Bundles that are not what they were: refused by what is wrong before anything is changed. And the
//! script that installs from one.

#[path = "darksite/create.rs"]
mod create;
#[path = "darksite/refused.rs"]
mod refused;
#[path = "darksite/script.rs"]
mod script;
