//! Remembers used tokens until they expire, so that each is accepted once.

use std::collections::HashMap;

use super::{Claims, TokenId};
use crate::Time;

/// The ids of used tokens that have not expired.
#[derive(Debug)]
pub struct Replays {
    limit: usize,
    used: HashMap<TokenId, Time>,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It was used before.
    #[error("the token was used before")]
    Used,
    /// The memory is full of tokens that are still valid.
    #[error("too many announcements at once")]
    Full,
}

impl Replays {
    /// Remembers at most `limit` tokens.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, used: HashMap::new() }
    }

    /// Marks a token with valid claims as used.
    ///
    /// # Errors
    ///
    /// [`ReplayError::Used`] or [`ReplayError::Full`].
    pub fn use_once(&mut self, claims: &Claims, now: Time) -> Result<(), ReplayError> {
        if self.used.contains_key(&claims.jti) {
            return Err(ReplayError::Used);
        }
        if self.used.len() >= self.limit {
            self.used.retain(|_, forgotten| *forgotten > now);
        }
        if self.used.len() >= self.limit {
            return Err(ReplayError::Full);
        }
        self.used.insert(claims.jti.clone(), claims.forgotten());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{SessionTag, control::AddConnection};

    const NOW: Time = Time::from_millis(1_800_000_000_000);

    fn claims(number: u8) -> Claims {
        let announced = AddConnection {
            agent: "10.0.0.5:4172".parse().unwrap(),
            hostname: None,
            tag: SessionTag::parse("SCS1abc").unwrap(),
            connection_id: "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap(),
            session_key: None,
        };
        Claims::of(&announced, "203.0.113.7".parse().unwrap(), [number; 16], NOW)
    }

    #[test]
    fn a_token_is_accepted_once() {
        let mut replays = Replays::new(10);

        assert_eq!(replays.use_once(&claims(1), NOW), Ok(()));
        assert_eq!(replays.use_once(&claims(2), NOW), Ok(()));
        assert_eq!(replays.use_once(&claims(1), NOW), Err(ReplayError::Used));
    }

    #[test]
    fn the_memory_is_bounded_and_only_forgets_expired_tokens() {
        let mut replays = Replays::new(2);
        replays.use_once(&claims(1), NOW).unwrap();
        replays.use_once(&claims(2), NOW).unwrap();

        let last = NOW + Claims::VALID + Claims::LEEWAY;
        assert_eq!(replays.use_once(&claims(3), last), Err(ReplayError::Full));
        assert_eq!(replays.use_once(&claims(1), last), Err(ReplayError::Used));
        assert_eq!(replays.use_once(&claims(3), last + Duration::from_secs(1)), Ok(()));
    }
}
