//! The permit of a client's connection, and its worth when others need one.

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

/// The worth of a connection is that of its request or its session, whichever is higher.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    permit: Permit,
    cut_off: CancellationToken,
    /// Whether a long response follows, for which the socket buffer is too small.
    is_long: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Worth of the session of the last request.
    session: Worth,
    /// Worth of the request in progress.
    request: Worth,
}

impl State {
    /// A connection that a user's session keeps stays kept until the session keeps another one.
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

    /// Completes when the connection must be closed for another one.
    pub(super) async fn evicted(&self) {
        tokio::select! {
            () = self.permit.evicted() => {}
            () = self.cut_off.cancelled() => {}
        }
    }

    /// This token closes the connection, for a response that the client does not read.
    pub(crate) fn cut_off(&self) -> CancellationToken {
        self.cut_off.clone()
    }

    /// Announces a long response.
    pub(crate) fn announce_long_answer(&self) {
        self.is_long.store(true, Relaxed);
    }

    /// Whether a long response was announced since the last call.
    pub(super) fn take_long_answer(&self) -> bool {
        self.is_long.swap(false, Relaxed)
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.is_cancelled()
    }

    /// The head of a request has arrived. A connection with an incomplete body may be evicted.
    pub(super) fn request_started(&self) {
        self.change(|state| state.request = Worth::Started);
    }

    /// The request was answered.
    pub(super) fn request_ended(&self) {
        self.change(|state| state.request = Worth::Idle);
    }

    /// The request is complete, and its response is being prepared.
    pub(crate) fn answer_begun(&self) {
        self.change(|state| state.request = Worth::Kept);
    }

    /// The current request belongs to a session of this worth, of a client at this address.
    pub(crate) fn belongs_to(&self, session: Worth, client: IpAddr) {
        self.permit.set_source(client);
        self.change(|state| {
            state.set_session(session);
            state.request = Worth::Started;
        });
    }

    /// Sets the worth of the session.
    pub(crate) fn session_is_worth(&self, worth: Worth) {
        self.change(|state| state.set_session(worth));
    }

    /// The user's session keeps this connection.
    pub(crate) fn keep(&self) {
        self.change(|state| state.session = Worth::Kept);
    }

    /// The session keeps another connection instead.
    pub(crate) fn release(&self) {
        self.change(|state| state.session = state.session.min(Worth::User));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        self.permit.set_worth(state.session.max(state.request));
    }
}
