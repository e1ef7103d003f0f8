//! Secrets are where they may be and nowhere else: every one that goes through the product is looked
//! for in all that it prints, logs and writes, and in what `/proc` tells of its processes.

#[path = "secrets/installer.rs"]
mod installer;
#[path = "secrets/marks.rs"]
mod marks;
#[path = "secrets/memory.rs"]
mod memory;
#[path = "secrets/place.rs"]
mod place;
#[path = "secrets/sessions.rs"]
mod sessions;
#[path = "secrets/talk.rs"]
mod talk;
#[path = "secrets/watch.rs"]
mod watch;
