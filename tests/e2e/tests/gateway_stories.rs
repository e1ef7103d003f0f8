//! Failures at the Security Gateway, and their effect on client, agent, Connection Manager and
//! administrator. Every test ends with a clean stop of the gateway.

#[path = "gateway_stories/agents.rs"]
mod agents;
#[path = "gateway_stories/announcing.rs"]
mod announcing;
#[path = "gateway_stories/client.rs"]
mod client;
#[path = "gateway_stories/crowds.rs"]
mod crowds;
#[path = "gateway_stories/early.rs"]
mod early;
#[path = "gateway_stories/endings.rs"]
mod endings;
#[path = "gateway_stories/handshakes.rs"]
mod handshakes;
#[path = "gateway_stories/lifetimes.rs"]
mod lifetimes;
#[path = "gateway_stories/neighbours.rs"]
mod neighbours;
#[path = "gateway_stories/roaming.rs"]
mod roaming;
#[path = "gateway_stories/strays.rs"]
mod strays;
#[path = "gateway_stories/tags.rs"]
mod tags;
#[path = "gateway_stories/thieves.rs"]
mod thieves;
#[path = "gateway_stories/tokens.rs"]
mod tokens;
#[path = "gateway_stories/usage.rs"]
mod usage;
#[path = "gateway_stories/world.rs"]
mod world;
