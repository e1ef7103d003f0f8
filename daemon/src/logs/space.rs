//! Watches the free space of the log's disk. If little is left, only warnings and errors are logged,
//! so that the journals of the sessions can still be written.

use super::Level;

/// If fewer bytes are free, the log is restricted.
const LOW: u64 = 100 << 20;

/// If so many bytes are free again, it is complete.
const ENOUGH: u64 = 120 << 20;

/// Whether the log is restricted.
#[derive(Debug)]
pub(super) struct Space {
    level: Level,
    is_low: bool,
}

impl Space {
    pub(super) fn new(level: Level) -> Self {
        Self { level, is_low: false }
    }

    /// Applies the number of free bytes. Returns the level and text of a message if something
    /// changes.
    pub(super) fn look(&mut self, free: u64) -> Option<(tracing::Level, String)> {
        let is_low = free < if self.is_low { ENOUGH } else { LOW };
        if is_low == std::mem::replace(&mut self.is_low, is_low) {
            return None;
        }
        self.level.restrict(is_low);
        let megabytes = free >> 20;
        Some(match is_low {
            true => (
                tracing::Level::WARN,
                format!(
                    "Only {megabytes} MiB are free on the disk of the log: until more space is \
                     free, only warnings and errors are logged"
                ),
            ),
            false => (
                tracing::Level::INFO,
                format!("{megabytes} MiB are free on the disk of the log: all messages are logged"),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use cmsg_config::values::LogLevel;

    use super::*;

    #[test]
    fn the_log_is_restricted_until_enough_space_is_free() {
        let level = Level::from(LogLevel::Debug);
        let mut space = Space::new(level.clone());
        let mut look = |megabytes: u64| {
            let message = space.look(megabytes << 20);
            (message.map(|(level, _)| level), level.get())
        };

        assert_eq!(look(100), (None, LogLevel::Debug));
        assert_eq!(look(99), (Some(tracing::Level::WARN), LogLevel::Warn));
        assert_eq!(look(0), (None, LogLevel::Warn));
        assert_eq!(look(119), (None, LogLevel::Warn));
        assert_eq!(look(120), (Some(tracing::Level::INFO), LogLevel::Debug));
        assert_eq!(look(100), (None, LogLevel::Debug));
    }

    #[test]
    fn a_higher_level_stays() {
        let level = Level::from(LogLevel::Error);
        Space::new(level.clone()).look(0);
        assert_eq!(level.get(), LogLevel::Error);

        level.set(LogLevel::Trace);
        assert_eq!(level.get(), LogLevel::Warn, "also after a reload");
    }
}
