//! The Connection Manager and the Security Gateway, two roles of one daemon. The rules are in
//! `cmsg-proto`; this crate has the sockets, the clock and the files.

pub mod clock;
pub mod connection_manager;
pub mod drain;
mod former;
mod https;
mod journal;
mod limiter;
mod listen;
pub mod local;
pub mod logs;
mod memory;
mod own_addresses;
mod proxy_header;
pub mod rejection;
pub mod reload;
pub mod security_gateway;
pub mod settings;
pub mod supervise;
pub mod tls;
pub mod token;
