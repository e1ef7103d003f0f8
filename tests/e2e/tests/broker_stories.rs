//! Failures between client, Connection Manager, connection broker and agent: the exact response to
//! the client, and the log for the administrator.

#[path = "broker_stories/agents.rs"]
mod agents;
#[path = "broker_stories/brokers.rs"]
mod brokers;
#[path = "broker_stories/clients.rs"]
mod clients;
#[path = "broker_stories/lists.rs"]
mod lists;
#[path = "broker_stories/logon.rs"]
mod logon;
#[path = "broker_stories/sessions.rs"]
mod sessions;
#[path = "broker_stories/talk.rs"]
mod talk;
