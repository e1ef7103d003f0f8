//! Shared code of the end-to-end tests: requirements, and a site to test.

pub mod binaries;
pub mod hosts;
pub mod installation;
pub mod installer;
pub mod leaks;
pub mod log_parser;
pub mod machine;
pub mod needs;
pub mod rpm;
pub mod site;
pub mod stepped;
pub mod terminal;
