//! The memory of bodies that are read or relayed. It is bounded for the process: bytes count as they
//! arrive, and where none are left, strangers give way first.

use std::{
    net::IpAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use cmsg_proto::{
    shares::{Order, Worth},
    xml,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::limiter::{Limiter, Permit};
pub(crate) use unsent::{Kept, LONG};
use unsent::{Large, Recipient, Unsent};

mod unsent;

/// What all bodies of the process may take together.
const BUDGET: usize = 64 * 1024 * 1024;

/// Memory is taken in pieces of this.
const UNIT: usize = 4096;

/// A body with more bytes is one of [`MAX_LARGE`]; its first bytes count as those of others do.
const LARGE: usize = xml::MAX_BYTES;

/// How many large bodies are relayed at once.
const MAX_LARGE: usize = 8;

/// The budget, and how often it did not suffice.
#[derive(Debug)]
pub(crate) struct Bodies {
    limiter: Arc<Limiter>,
    /// Those with more than [`LARGE`] bytes.
    large: Arc<Limiter>,
    unsent: Unsent,
    refused: AtomicU64,
    /// Whether the log says that the budget is used up.
    told: AtomicBool,
}

/// For whom bodies are kept.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    bodies: Arc<Bodies>,
    from: IpAddr,
    worth: Worth,
    /// None where the client has no session.
    recipient: Option<Recipient>,
    /// Closes the connection for which a long answer is kept.
    close: CancellationToken,
}

/// A body as far as it has arrived. Its memory is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    units: usize,
    account: Option<Account>,
    permit: Option<Permit>,
    large: Option<Large>,
}

/// The budget is used up by others who are worth more or hold less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory limit for bodies is reached")]
pub(crate) struct OverBudget;

impl Bodies {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_budget(BUDGET)
    }

    pub(crate) fn with_budget(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            limiter: Limiter::new(bytes / UNIT, Order::WorthFirst),
            large: Limiter::new(MAX_LARGE, Order::SourceFirst),
            unsent: Unsent::default(),
            refused: AtomicU64::default(),
            told: AtomicBool::default(),
        })
    }

    /// The account of somebody from there. `close` closes the connection where a long answer has to
    /// give way.
    pub(crate) fn account(
        self: &Arc<Self>,
        from: IpAddr,
        worth: Worth,
        close: CancellationToken,
    ) -> Account {
        Account { bodies: Arc::clone(self), from, worth, recipient: None, close }
    }

    /// How many bodies were not kept.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// A body was not kept. The log says so once, and again only after a tenth of the budget was
    /// free.
    fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
        if !self.told.swap(true, Relaxed) {
            let budget = self.limiter.capacity() * UNIT;
            warn!(budget, "Requests are refused: the memory limit for bodies is reached");
        }
    }

    fn note_free(&self) {
        if self.told.load(Relaxed) && self.limiter.free() > self.limiter.capacity() / 10 {
            self.told.store(false, Relaxed);
        }
    }
}

impl Account {
    /// An empty body.
    pub(crate) fn buffer(&self) -> Buffer {
        Buffer { account: Some(self.clone()), ..Buffer::unaccounted() }
    }

    /// The same account for a session, where there is one, on that connection.
    pub(crate) fn for_session(self, session: Option<u64>, connection: u64) -> Self {
        let recipient = session.map(|session| Recipient { session, connection });
        Self { recipient, ..self }
    }
}

impl Buffer {
    /// For peers who are trusted not to send much.
    pub(crate) fn unaccounted() -> Self {
        Self { bytes: Vec::new(), units: 0, account: None, permit: None, large: None }
    }

    /// Appends what has arrived.
    pub(crate) fn extend(&mut self, arrived: &[u8]) -> Result<(), OverBudget> {
        let length = self.bytes.len() + arrived.len();
        while self.units * UNIT < length.min(LARGE) {
            self.grow()?;
        }
        if let (true, None, Some(account)) = (length > LARGE, &self.large, &self.account) {
            self.large = Some(account.large()?);
        }
        if self.bytes.capacity() < length {
            // A quarter more, so that a large body is not copied for each of its pieces.
            let capacity = length.next_multiple_of(UNIT).max(length / (4 * UNIT) * 5 * UNIT);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(arrived);
        Ok(())
    }

    /// What it takes, for the document that is made of it.
    pub(crate) fn into_kept(self) -> Kept {
        Kept::of(self)
    }

    /// Waits until the memory is needed for others.
    pub(crate) async fn evicted(&self) {
        match (&self.permit, &self.account) {
            (Some(permit), Some(account)) => {
                permit.evicted().await;
                account.bodies.refuse();
            }
            _ => std::future::pending().await,
        }
    }

    fn grow(&mut self) -> Result<(), OverBudget> {
        self.units += 1;
        let Some(Account { bodies, from, worth, .. }) = &self.account else { return Ok(()) };
        let granted = match &self.permit {
            Some(permit) => permit.grow(),
            None => {
                self.permit = bodies.limiter.enter(*from, *worth);
                self.permit.is_some()
            }
        };
        if granted {
            bodies.note_free();
            return Ok(());
        }
        bodies.refuse();
        Err(OverBudget)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: &str = "192.0.2.1";

    fn account(bodies: &Arc<Bodies>, from: &str, worth: Worth) -> Account {
        bodies.account(from.parse().unwrap(), worth, CancellationToken::new())
    }

    #[test]
    fn bytes_count_as_they_arrive_and_are_given_back() {
        let bodies = Bodies::with_budget(3 * UNIT);
        let mut buffer = account(&bodies, STRANGER, Worth::Idle).buffer();
        assert_eq!(bodies.limiter.free(), 3);

        for (arrived, free) in [(1, 2), (UNIT - 1, 2), (1, 1), (UNIT, 0)] {
            buffer.extend(&vec![7; arrived]).unwrap();
            assert_eq!(bodies.limiter.free(), free, "{arrived}");
        }

        assert_eq!((buffer.len(), buffer.bytes.capacity()), (2 * UNIT + 1, 3 * UNIT));
        drop(buffer);
        assert_eq!(bodies.limiter.free(), 3);
    }

    #[tokio::test]
    async fn a_strangers_body_gives_way_to_a_users() {
        let bodies = Bodies::with_budget(2 * UNIT);
        let mut large = account(&bodies, STRANGER, Worth::Idle).buffer();
        large.extend(&[7; 2 * UNIT]).unwrap();

        let mut own = account(&bodies, STRANGER, Worth::Idle).buffer();
        let mut user = account(&bodies, "192.0.2.2", Worth::User).buffer();
        user.extend(b"<").unwrap();
        large.evicted().await;
        assert_eq!(large.extend(b"<"), Err(OverBudget));
        own.extend(b"<").unwrap();
        user.extend(&[7; UNIT]).unwrap();
        own.evicted().await;
        let mut other = account(&bodies, "192.0.2.3", Worth::Idle).buffer();
        assert_eq!(other.extend(b"<"), Err(OverBudget));

        assert_eq!(bodies.refused(), 4);
    }
}
