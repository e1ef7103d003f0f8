//! A simulated connection broker, agent and client, written from the protocol description. They
//! share no code with the product, so that an error in one shows as a disagreement.

pub mod agent;
pub mod broker;
pub mod client;
mod control;
pub mod credentials;
pub mod datagram;
pub mod events;
pub mod faults;
mod http;
pub mod layout;
mod random;
mod serve;
pub mod tag;
pub mod tls;
pub mod traffic;
mod unknown;
mod xml;

pub use serve::StartError;
