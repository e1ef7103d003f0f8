//! TLS sessions with upstream peers that the next connection resumes. A resumed connection presents
//! no certificate, so all of them are forgotten when it changes which certificates are trusted.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::{
    NamedGroup,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    pki_types::ServerName,
};

use super::verifier::Upstream;

/// Maximum number of peers whose sessions are kept: a large site's agents. Each takes up to about
/// 5 KiB.
const PEERS: usize = 4096;

/// Resumes sessions that were verified with the current trust.
pub(super) fn resumption(upstream: &Arc<ArcSwap<Upstream>>) -> Resumption {
    Resumption::store(Arc::new(Kept::new(Arc::clone(upstream))))
}

#[derive(Debug)]
struct Kept {
    current: Arc<ArcSwap<Upstream>>,
    sessions: Mutex<Sessions>,
}

/// Sessions, and the trust with which they were verified.
#[derive(Debug)]
struct Sessions {
    verified: Arc<Upstream>,
    cache: Arc<ClientSessionMemoryCache>,
}

impl Kept {
    fn new(current: Arc<ArcSwap<Upstream>>) -> Self {
        let sessions = Mutex::new(Sessions::new(current.load_full()));
        Self { current, sessions }
    }

    fn cache(&self) -> Arc<ClientSessionMemoryCache> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load();
        if !Arc::ptr_eq(&current, &sessions.verified) {
            *sessions = Sessions::new(Arc::clone(&current));
        }
        Arc::clone(&sessions.cache)
    }
}

impl Sessions {
    fn new(verified: Arc<Upstream>) -> Self {
        Self { verified, cache: Arc::new(ClientSessionMemoryCache::new(PEERS)) }
    }
}

impl ClientSessionStore for Kept {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.cache().set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.cache().kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.cache().set_tls12_session(name, value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.cache().tls12_session(name)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.cache().remove_tls12_session(name);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.cache().insert_tls13_ticket(name, value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.cache().take_tls13_ticket(name)
    }
}

#[cfg(test)]
mod tests;
