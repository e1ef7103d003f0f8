//! The place of a client's connection, and what it is worth while others want one.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use cmsg_proto::shares::Worth;
use tokio_util::sync::CancellationToken;

use crate::limiter::Permit;

/// A connection's place. It is worth what its request or its session is, whichever is more.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    permit: Permit,
    cut_off: CancellationToken,
    /// Whether a long answer comes, for which the socket has no room yet.
    is_long: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the session is worth that the last request belonged to.
    session: Worth,
    /// What the request under way is worth.
    request: Worth,
}

impl State {
    /// A connection that is kept for a user stays so until another one is.
    fn set_session(&mut self, worth: Worth) {
        if (self.session, worth) != (Worth::Kept, Worth::User) {
            self.session = worth;
        }
    }
}

impl ConnectionPermit {
    pub(super) fn new(permit: Permit) -> Self {
        let state = State { session: Worth::Idle, request: Worth::Idle };
        Self {
            permit,
            cut_off: CancellationToken::new(),
            is_long: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Waits until the connection has to give way.
    pub(super) async fn evicted(&self) {
        tokio::select! {
            () = self.permit.evicted() => {}
            () = self.cut_off.cancelled() => {}
        }
    }

    /// What cuts off the connection when it is cancelled, since an answer that the client does not
    /// read has to give way.
    pub(crate) fn cut_off(&self) -> CancellationToken {
        self.cut_off.clone()
    }

    /// A long answer comes.
    pub(crate) fn announce_long_answer(&self) {
        self.is_long.store(true, Relaxed);
    }

    /// Whether a long answer was announced since this was last called.
    pub(super) fn take_long_answer(&self) -> bool {
        self.is_long.swap(false, Relaxed)
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.is_cancelled()
    }

    /// The head of a request has come. What lacks a part of its body keeps nobody out.
    pub(super) fn request_started(&self) {
        self.change(|state| state.request = Worth::Started);
    }

    /// A request is answered.
    pub(super) fn request_ended(&self) {
        self.change(|state| state.request = Worth::Idle);
    }

    /// A request is whole, and its answer is worked on.
    pub(crate) fn answer_begun(&self) {
        self.change(|state| state.request = Worth::Kept);
    }

    /// The request that has started belongs to a session worth that, for a client there.
    pub(crate) fn belongs_to(&self, session: Worth, client: IpAddr) {
        self.permit.set_source(client);
        self.change(|state| {
            state.set_session(session);
            state.request = Worth::Started;
        });
    }

    /// The session is worth that.
    pub(crate) fn session_is_worth(&self, worth: Worth) {
        self.change(|state| state.set_session(worth));
    }

    /// The session of a user keeps this connection.
    pub(crate) fn keep(&self) {
        self.change(|state| state.session = Worth::Kept);
    }

    /// The session keeps another connection.
    pub(crate) fn release(&self) {
        self.change(|state| state.session = state.session.min(Worth::User));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        self.permit.set_worth(state.session.max(state.request));
    }
}
