//! The sessions that survive a restart. They are stored under the digests of their cookies, and
//! each is sealed so that only its cookie opens it. Cookies are not stored.
//! `docs/protocol/sessions-file.md` describes the file.

use std::{cmp::Reverse, sync::Arc};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{ClientCookie, Session, Stage};
use crate::{Time, shares::Worth, tag};

/// Encrypts data with a key that only the cookie provides.
pub trait Seal {
    /// Seals data; `None` if that fails, in which case the session is not persisted.
    fn seal(&self, cookie: &ClientCookie, plain: &[u8]) -> Option<Vec<u8>>;

    /// Opens data that was sealed with this cookie; `None` for any other data.
    fn unseal(&self, cookie: &ClientCookie, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>>;
}

/// The sessions at one instant, to be persisted.
///
/// The file format, with big-endian numbers: the line `pcoip-cm-sessions 1`; the number of the last
/// session (8 bytes); for each session the SHA-256 of its cookie (32), its number (8), the time of
/// its last use in milliseconds since the Unix epoch (8), its stage (1), the length of the sealed
/// data (2) and the sealed data; the SHA-256 of everything before (32).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    /// Number of the last session.
    pub(super) last: u64,
    pub(super) sessions: Vec<Written>,
}

/// Why a journal cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Another version of the daemon wrote it.
    #[error("the sessions were written by an incompatible version")]
    Foreign,
    /// It is truncated, modified, or not a journal.
    #[error("the sessions are damaged")]
    Damaged,
    /// It is larger than [`Journal::MAX_BYTES`].
    #[error("the sessions have more than {} bytes", Journal::MAX_BYTES)]
    TooLarge,
}

/// The persisted form of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) cookie: CookieDigest,
    pub(super) number: u64,
    pub(super) used: Time,
    pub(super) stage: LogOnStage,
    pub(super) sealed: Arc<[u8]>,
}

/// How much a session is worth when the table is full; higher values are kept longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LogOnStage {
    /// It only checked whether the service responds.
    Probe,
    /// The user is not logged on.
    Stranger,
    /// The user gave a correct password, and the broker asks for more. Stored as a stranger's.
    FirstFactor,
    /// The user is logged on.
    User,
}

/// SHA-256 of a client's cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CookieDigest([u8; 32]);

impl Journal {
    /// Maximum size in bytes. Sessions that do not fit are those worth least.
    pub const MAX_BYTES: usize = 64 * 1024 * 1024;

    /// The content of the file.
    #[must_use]
    pub fn render(self) -> Vec<u8> {
        self.render_within(Self::MAX_BYTES)
    }

    fn render_within(mut self, room: usize) -> Vec<u8> {
        self.sessions.sort_unstable_by_key(|session| Reverse((session.stage, session.used)));
        let mut bytes = HEAD.to_vec();
        bytes.extend_from_slice(&self.last.to_be_bytes());
        for session in &self.sessions {
            if bytes.len() + RECORD + session.sealed.len() + CHECKSUM > room {
                break;
            }
            session.render(&mut bytes);
        }
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// Parses the content of a file.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] by variant.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(Unreadable::TooLarge);
        }
        if bytes.starts_with(KIND) && !bytes.starts_with(HEAD) {
            return Err(Unreadable::Foreign);
        }
        let (content, checksum) =
            bytes.split_last_chunk::<CHECKSUM>().ok_or(Unreadable::Damaged)?;
        if Sha256::digest(content)[..] != checksum[..] {
            return Err(Unreadable::Damaged);
        }
        Self::content(content).ok_or(Unreadable::Damaged)
    }

    fn content(bytes: &[u8]) -> Option<Self> {
        let (last, mut rest) = bytes.strip_prefix(HEAD)?.split_first_chunk()?;
        let mut sessions = Vec::new();
        while !rest.is_empty() {
            let (session, after) = Written::parse(rest)?;
            sessions.push(session);
            rest = after;
        }
        Some(Self { last: u64::from_be_bytes(*last), sessions })
    }
}

impl Written {
    fn render(&self, bytes: &mut Vec<u8>) {
        let Ok(length) = u16::try_from(self.sealed.len()) else { return };
        bytes.extend_from_slice(&self.cookie.0);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.used.as_millis().to_be_bytes());
        bytes.push(self.stage.as_byte());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.sealed);
    }

    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (cookie, rest) = bytes.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (used, rest) = rest.split_first_chunk()?;
        let (stage, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (sealed, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let session = Self {
            cookie: CookieDigest(*cookie),
            number: u64::from_be_bytes(*number),
            used: Time::from_millis(u64::from_be_bytes(*used)),
            stage: LogOnStage::of_byte(*stage)?,
            sealed: sealed.into(),
        };
        Some((session, rest))
    }
}

impl LogOnStage {
    /// The stage of the session.
    pub(super) fn of(session: &Session) -> Self {
        match session.stage {
            Stage::Authenticated | Stage::Allocated => Self::User,
            Stage::Greeted if session.hello.probe => Self::Probe,
            Stage::Authenticating if session.logon.is_some() => Self::FirstFactor,
            Stage::Greeted | Stage::Authenticating | Stage::Invalid => Self::Stranger,
        }
    }

    /// The worth of connections and requests of such a session.
    pub(super) fn worth(self) -> Worth {
        match self {
            Self::Probe => Worth::Idle,
            Self::Stranger => Worth::Stranger,
            Self::FirstFactor => Worth::FirstFactor,
            Self::User => Worth::User,
        }
    }

    /// The worth of the session in the table: a user's session is never replaced.
    pub(super) fn place(self) -> Worth {
        if self == Self::User { Worth::Kept } else { self.worth() }
    }

    /// Whether the user gave at least one correct password.
    pub(super) fn is_logging_on(self) -> bool {
        self >= Self::FirstFactor
    }

    fn as_byte(self) -> u8 {
        match self {
            Self::Probe => 0,
            Self::Stranger | Self::FirstFactor => 1,
            Self::User => 2,
        }
    }

    fn of_byte(byte: u8) -> Option<Self> {
        [Self::Probe, Self::Stranger, Self::User].into_iter().find(|s| s.as_byte() == byte)
    }
}

impl CookieDigest {
    /// The digest of a cookie.
    pub(super) fn of(cookie: &ClientCookie) -> Self {
        Self(tag::digest(cookie.expose().as_bytes()))
    }
}

/// The sealed data of a session.
#[derive(Serialize, Deserialize)]
struct Plain<S, P> {
    session: S,
    password: Option<P>,
}

impl Session {
    /// The sealed session, which only its cookie opens; `None` if it is too large.
    pub(super) fn sealed(&self, seal: &impl Seal) -> Option<Arc<[u8]>> {
        let password = self.logon.as_ref().and_then(|logon| logon.password.as_ref());
        let plain = Plain { session: self, password: password.map(ExposeSecret::expose_secret) };
        let mut bytes = Zeroizing::new([b' '; MAX_PLAIN]);
        let mut room = &mut bytes[..];
        serde_json::to_writer(&mut room, &plain).ok()?;
        let length = (MAX_PLAIN - room.len()).next_multiple_of(PADDED);
        seal.seal(&self.cookie, &bytes[..length]).map(Arc::from)
    }

    /// The session that was sealed with this cookie.
    pub(super) fn unsealed(cookie: &ClientCookie, sealed: &[u8], seal: &impl Seal) -> Option<Self> {
        let bytes = seal.unseal(cookie, sealed)?;
        let plain: Plain<Self, String> = serde_json::from_slice(&bytes).ok()?;
        let mut session = plain.session;
        if let Some(logon) = &mut session.logon {
            logon.password = plain.password.map(Into::into);
        }
        (session.cookie == *cookie).then_some(session)
    }
}

/// The first bytes of the file in every version.
const KIND: &[u8] = b"pcoip-cm-sessions ";

/// The first bytes of the file in this version. Increment the number when the format of a session
/// changes.
const HEAD: &[u8] = b"pcoip-cm-sessions 1\n";

/// Bytes of a session besides its sealed data.
const RECORD: usize = 32 + 8 + 8 + 1 + 2;

const CHECKSUM: usize = 32;

/// Many times the usual size in bytes. Bounded, since clients choose names and the broker its
/// cookies.
const MAX_PLAIN: usize = 8 * 1024;

/// The data is padded with spaces to a multiple of this size, so that its length does not reveal
/// the length of the password.
const PADDED: usize = 512;

#[cfg(test)]
mod tests;
