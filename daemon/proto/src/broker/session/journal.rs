//! The sessions that survive a restart. They are stored under the digests of their cookies, and
//! each is sealed so that only its cookie opens it. Cookies are not stored.
//! `docs/protocol/sessions-file.md` describes the file.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{ClientCookie, Session, Stage};
use crate::{
    Time,
    frames::{self, Lost},
    journal::{Loaded, Unreadable},
    shares::Worth,
    tag,
};

/// Encrypts data with a key that only the cookie provides.
pub trait Seal {
    /// Seals data; `None` if that fails, in which case the session is not persisted.
    fn seal(&self, cookie: &ClientCookie, plain: &[u8]) -> Option<Vec<u8>>;

    /// Opens data that was sealed with this cookie; `None` for any other data.
    fn unseal(&self, cookie: &ClientCookie, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>>;
}

/// The sessions at one instant, to be persisted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    /// Number of the last session.
    pub(super) last: u64,
    /// Those worth most first.
    pub(super) sessions: Vec<Written>,
}

/// A change of the [`Journal`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The session was added, or this is its new state.
    Session(Written),
    /// The session has ended, or is not persisted any more.
    Removed(CookieDigest),
    /// Number of the last session.
    Last(u64),
}

/// The persisted form of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub(super) cookie: CookieDigest,
    pub(super) number: u64,
    pub(super) used: Time,
    pub(super) stage: LogOnStage,
    #[serde(with = "base64")]
    pub(super) sealed: Arc<[u8]>,
}

/// How much a session is worth when the table is full; higher values are kept longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LogOnStage {
    /// It only checked whether the service responds.
    Probe,
    /// The user is not logged on.
    Stranger,
    /// The user gave a correct password, and the broker asks for more.
    FirstFactor,
    /// The user is logged on.
    User,
}

/// SHA-256 of a client's cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CookieDigest(#[serde(with = "base64")] [u8; 32]);

impl Record {
    /// Appends the record to the content of a file.
    pub fn write(&self, file: &mut Vec<u8>) {
        frames::write_record(self, file);
    }

    /// The cookie of the session that the record is about.
    fn cookie(&self) -> Option<CookieDigest> {
        match self {
            Self::Session(written) => Some(written.cookie),
            Self::Removed(cookie) => Some(*cookie),
            Self::Last(_) => None,
        }
    }

    /// Keeps the last record of each session: a log-on often takes no longer than a write.
    pub fn combine(records: &mut Vec<Self>) {
        let mut seen = HashSet::new();
        records.reverse();
        records.retain(|record| record.cookie().is_none_or(|cookie| seen.insert(cookie)));
        records.reverse();
    }
}

impl Journal {
    /// Upper bound in bytes of a file.
    pub const MAX_BYTES: usize = 256 * 1024 * 1024;

    /// Upper bound in bytes of a file without appended records, which may make it twice as large.
    /// Sessions that do not fit are those worth least.
    const ROOM: usize = Self::MAX_BYTES / 5 * 2;

    /// Number of sessions.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// The content of a file with this state. Records are appended to it.
    #[must_use]
    pub fn render(self) -> Vec<u8> {
        self.render_within(Self::ROOM)
    }

    fn render_within(mut self, room: usize) -> Vec<u8> {
        self.sort();
        let mut file = format!("{TITLE}{VERSION}\n").into_bytes();
        Record::Last(self.last).write(&mut file);
        for session in self.sessions {
            let length = file.len();
            Record::Session(session).write(&mut file);
            if file.len() > room {
                file.truncate(length);
                break;
            }
        }
        file
    }

    fn sort(&mut self) {
        self.sessions.sort_by_key(|session| Reverse((session.stage, session.used)));
    }

    /// Parses the content of a file. Unreadable records are skipped.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] by variant.
    pub fn parse(bytes: &[u8]) -> Result<Loaded<Self>, Unreadable> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(Unreadable::TooLarge(Self::MAX_BYTES));
        }
        let (version, records) = frames::head_line(bytes, TITLE).ok_or(Unreadable::Headless)?;
        if version != VERSION {
            return Err(Unreadable::Foreign(version, VERSION));
        }
        let mut sessions = BTreeMap::new();
        let mut last = 0;
        let Lost { damaged, torn } = frames::replay(records, |record| match record {
            Record::Session(written) => {
                last = last.max(written.number);
                sessions.insert(written.cookie, written);
            }
            Record::Removed(cookie) => drop(sessions.remove(&cookie)),
            Record::Last(number) => last = last.max(number),
        });
        let mut journal = Self { last, sessions: sessions.into_values().collect() };
        journal.sort();
        Ok(Loaded { journal, damaged, torn })
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

/// Bytes as a text in Base64 (RFC 4648) without padding.
mod base64 {
    use data_encoding::BASE64_NOPAD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        bytes: impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_NOPAD.encode(bytes.as_ref()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_NOPAD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("the length is wrong"))
    }
}

/// Increment it with every incompatible change of the format or of a session.
const VERSION: u64 = 2;

/// The beginning of the first line, before the version.
const TITLE: &str = "pcoip-cm-sessions ";

/// Many times the usual size in bytes. Bounded, since clients choose names and the broker its
/// cookies.
const MAX_PLAIN: usize = 8 * 1024;

/// The data is padded with spaces to a multiple of this size, so that its length does not reveal
/// the length of the password.
const PADDED: usize = 512;

#[cfg(test)]
mod tests;
