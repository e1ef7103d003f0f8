//! Long responses that clients have not read yet. Their memory counts until they are sent, and each
//! session has at most one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Account, Buffer, OverBudget};
use crate::limiter::Permit;

/// The memory of a longer response counts until it is sent, in bytes.
pub(crate) const LONG: usize = 64 * 1024;

/// The session and the connection that receive a response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipient {
    pub(super) session: u64,
    pub(super) connection: u64,
}

/// The long responses, by session number.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    slots: Mutex<HashMap<u64, Slot>>,
}

#[derive(Debug)]
struct Slot {
    connection: u64,
    claim: Weak<()>,
    /// The permit of a large body.
    place: Weak<Permit>,
    close: CancellationToken,
}

/// The permit of a large body, and of the document that is made from it.
#[derive(Debug)]
pub(super) struct Large {
    _place: Arc<Permit>,
    _claim: Option<Claim>,
}

/// The right of a session to a long response; dropping it releases the right.
#[derive(Debug)]
struct Claim {
    account: Account,
    session: u64,
    claim: Arc<()>,
}

/// The memory of a broker's response, for the document that is made from it.
#[derive(Debug)]
pub(crate) struct Kept {
    account: Option<Account>,
    permit: Option<Permit>,
    large: Option<Large>,
}

impl Account {
    pub(super) fn large(&self) -> Result<Large, OverBudget> {
        let claim = self.claim();
        let close = self.close.clone();
        let entered = self.bodies.large.enter_unless_fullest_as(self.from, self.worth, close);
        let place = entered.map(Arc::new).ok_or_else(|| {
            self.bodies.refuse();
            OverBudget
        })?;
        if let Some(claim) = &claim {
            claim.has(&place);
        }
        Ok(Large { _place: place, _claim: claim })
    }

    /// Claims the session's only long response. Closes another connection that has it.
    fn claim(&self) -> Option<Claim> {
        let Recipient { session, connection } = self.recipient?;
        let claim = Arc::new(());
        let slot = Slot {
            connection,
            claim: Arc::downgrade(&claim),
            place: Weak::new(),
            close: self.close.clone(),
        };
        if let Some(before) = self.bodies.unsent.slots().insert(session, slot) {
            if let Some(place) = before.place.upgrade() {
                place.give_back();
            }
            if before.connection != connection {
                before.close.cancel();
            }
        }
        Some(Claim { account: self.clone(), session, claim })
    }
}

impl Kept {
    pub(super) fn of(buffer: Buffer) -> Self {
        Self { account: buffer.account, permit: buffer.permit, large: buffer.large }
    }

    /// The document. A long one keeps its memory until it is dropped.
    pub(crate) fn hold(self, document: String) -> Bytes {
        let Self { account: Some(account), mut permit, large } = self else {
            return document.into();
        };
        if document.len() <= LONG {
            return document.into();
        }
        let claim = if large.is_none() { account.claim() } else { None };
        if let Some(permit) = &mut permit {
            permit.evict_by(account.close);
        }
        Bytes::from_owner(Held { document, _permit: permit, _large: large, _claim: claim })
    }
}

struct Held {
    document: String,
    _permit: Option<Permit>,
    _large: Option<Large>,
    _claim: Option<Claim>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.document.as_bytes()
    }
}

impl Unsent {
    fn slots(&self) -> MutexGuard<'_, HashMap<u64, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    fn has(&self, place: &Arc<Permit>) {
        self.of_slot(|slots| {
            if let Some(slot) = slots.get_mut(&self.session) {
                slot.place = Arc::downgrade(place);
            }
        });
    }

    /// Changes the slots, if this is still the session's claim.
    fn of_slot(&self, change: impl FnOnce(&mut HashMap<u64, Slot>)) {
        let mut slots = self.account.bodies.unsent.slots();
        let own = Arc::as_ptr(&self.claim);
        if slots.get(&self.session).is_some_and(|slot| slot.claim.as_ptr() == own) {
            change(&mut slots);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.of_slot(|slots| drop(slots.remove(&self.session)));
    }
}

#[cfg(test)]
mod tests;
