//! The product with the documented paths and ports, installed as root on a simulated machine.

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
