//! The installed product in Docker Swarm, as clients, brokers, agents and administrators see it.

#[path = "stack/darksite.rs"]
mod darksite;
#[path = "stack/guide.rs"]
mod guide;
#[path = "stack/outages.rs"]
mod outages;
#[path = "stack/sessions.rs"]
mod sessions;
#[path = "stack/site.rs"]
mod site;
