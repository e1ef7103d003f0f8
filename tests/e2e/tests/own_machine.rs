//! The product at the documented paths and ports of a machine, as root installs it there.

#[path = "own_machine/firewall.rs"]
mod firewall;
#[path = "own_machine/installed.rs"]
mod installed;
#[path = "own_machine/kernel.rs"]
mod kernel;
#[path = "own_machine/other_users.rs"]
mod other_users;
#[path = "own_machine/service_account.rs"]
mod service_account;
#[path = "own_machine/supervised.rs"]
mod supervised;
#[path = "own_machine/units.rs"]
mod units;
