//! The place of a client's connection, and what it is worth while others want one.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use cmsg_proto::shares::Worth;

use crate::limiter::Permit;

/// A connection's place. It is worth what its request or its session is, whichever is more.
#[derive(Debug)]
pub(crate) struct Place {
    permit: Permit,
    /// What the session is worth that the last request belonged to.
    session: Mutex<Worth>,
}

impl Place {
    pub(super) fn new(permit: Permit) -> Self {
        Self { permit, session: Mutex::new(Worth::Idle) }
    }

    /// Waits until the connection has to give way.
    pub(super) async fn evicted(&self) {
        self.permit.evicted().await;
    }

    /// The head of a request has come. What lacks a part of its body keeps nobody out.
    pub(super) fn request_started(&self) {
        self.permit.set_worth(self.session().max(Worth::Started));
    }

    /// A request is answered.
    pub(super) fn request_ended(&self) {
        self.permit.set_worth(self.session());
    }

    /// A request is whole, and its answer is worked on.
    pub(crate) fn answer_begun(&self) {
        self.permit.set_worth(Worth::Kept);
    }

    /// The request that has started belongs to a session worth that, for a client there.
    pub(crate) fn belongs_to(&self, session: Worth, client: IpAddr) {
        self.permit.set_source(client);
        self.session_is_worth(session);
        self.request_started();
    }

    /// The session is worth that, which counts when the request is answered.
    pub(crate) fn session_is_worth(&self, worth: Worth) {
        let worth = if worth == Worth::User { Worth::Kept } else { worth };
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = worth;
    }

    fn session(&self) -> Worth {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
