//! Limits the memory of request and response bodies in the process. Bytes count as they arrive.
//! When the limit is reached, those of strangers are evicted first.

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

/// Maximum memory of all bodies, in bytes.
const BUDGET: usize = 64 * 1024 * 1024;

/// Memory is counted in units of this size.
const UNIT: usize = 4096;

/// A body with more bytes counts towards [`MAX_LARGE`]. Its first bytes are counted like others.
const LARGE: usize = xml::MAX_BYTES;

/// Maximum number of large bodies that are relayed at once.
const MAX_LARGE: usize = 8;

/// The memory limit, and how often it was reached.
#[derive(Debug)]
pub(crate) struct Bodies {
    limiter: Arc<Limiter>,
    /// Bodies with more than [`LARGE`] bytes.
    large: Arc<Limiter>,
    unsent: Unsent,
    refused: AtomicU64,
    /// Whether the log says that the limit is reached.
    is_logged: AtomicBool,
}

/// On whose behalf bodies are kept.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    bodies: Arc<Bodies>,
    from: IpAddr,
    worth: Worth,
    /// `None` if the client has no session.
    recipient: Option<Recipient>,
    /// Closes the connection for which a long response is kept.
    close: CancellationToken,
}

/// The received part of a body. Dropping it frees its memory.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    units: usize,
    account: Option<Account>,
    permit: Option<Permit>,
    large: Option<Large>,
}

/// Others, who are worth more or hold less, use all the memory.
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
            is_logged: AtomicBool::default(),
        })
    }

    /// An account for a client at this address. `close` closes its connection if its long response
    /// is evicted.
    pub(crate) fn account(
        self: &Arc<Self>,
        from: IpAddr,
        worth: Worth,
        close: CancellationToken,
    ) -> Account {
        Account { bodies: Arc::clone(self), from, worth, recipient: None, close }
    }

    /// Number of bodies that were discarded.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Counts a discarded body. Logs it once, and again only after a tenth of the memory was free.
    fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
        if !self.is_logged.swap(true, Relaxed) {
            let budget = self.limiter.capacity() * UNIT;
            warn!(budget, "Requests are refused: the memory limit for bodies is reached");
        }
    }

    fn note_free(&self) {
        if self.is_logged.load(Relaxed) && self.limiter.free() > self.limiter.capacity() / 10 {
            self.is_logged.store(false, Relaxed);
        }
    }
}

impl Account {
    pub(crate) fn buffer(&self) -> Buffer {
        Buffer { account: Some(self.clone()), ..Buffer::unaccounted() }
    }

    /// The same account for a session, if there is one, and its connection.
    pub(crate) fn for_session(self, session: Option<u64>, connection: u64) -> Self {
        let recipient = session.map(|session| Recipient { session, connection });
        Self { recipient, ..self }
    }
}

impl Buffer {
    /// An account without limit, for trusted peers.
    pub(crate) fn unaccounted() -> Self {
        Self { bytes: Vec::new(), units: 0, account: None, permit: None, large: None }
    }

    pub(crate) fn extend(&mut self, arrived: &[u8]) -> Result<(), OverBudget> {
        let length = self.bytes.len() + arrived.len();
        while self.units * UNIT < length.min(LARGE) {
            self.grow()?;
        }
        if let (true, None, Some(account)) = (length > LARGE, &self.large, &self.account) {
            self.large = Some(account.large()?);
        }
        if self.bytes.capacity() < length {
            // A quarter more than needed, so that a large body is not copied for each piece.
            let capacity = length.next_multiple_of(UNIT).max(length / (4 * UNIT) * 5 * UNIT);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(arrived);
        Ok(())
    }

    /// The memory of the body, for the document that is made from it.
    pub(crate) fn into_kept(self) -> Kept {
        Kept::of(self)
    }

    /// Completes when the memory is needed for others.
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
    fn bytes_count_as_they_arrive_and_are_freed() {
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
    async fn a_strangers_body_is_evicted_for_a_users() {
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
