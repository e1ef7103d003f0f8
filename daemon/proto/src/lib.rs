//! The protocols, without sockets, clocks or randomness: functions of bytes, times and addresses.
//! Data from the network is hostile until it is parsed here.
#![warn(missing_docs)]

pub mod agent;
pub mod allowed;
pub mod broker;
pub mod control;
pub mod failover;
mod frames;
pub mod gateway;
pub mod journal;
pub mod session;
pub mod shares;
pub mod tag;
pub mod time;
pub mod xml;

pub use allowed::AllowedAgents;
pub use cmsg_hostname::Hostname;
pub use session::{SessionId, SessionKey};
pub use tag::{SessionTag, TagDigest};
pub use time::Time;
