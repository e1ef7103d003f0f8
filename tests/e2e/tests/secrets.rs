//! Secrets only exist where they are allowed: each one that the product handles is searched for in
//! its output, logs and files, and in the `/proc` entries of its processes.

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
