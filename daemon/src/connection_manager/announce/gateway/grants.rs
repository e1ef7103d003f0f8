//! Grants on their way to one gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use cmsg_config::cause;
use cmsg_proto::control::{GRANT_CONTENT_TYPE, GRANT_PATH};
use http::{Method, StatusCode};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Gateway;
use crate::{
    connection_manager::upstream::{Failure, Reply},
    https::bodies::Buffer,
};

/// How long to wait before each attempt after the first. A gateway restarts within this time.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// Timeout of an attempt.
const WAIT: Duration = Duration::from_secs(3);

/// Timeout of all attempts, including the time that a grant waits for others.
const DEADLINE: Duration = Duration::from_secs(15);

/// Maximum number of grants that are sent to a gateway at once.
const AT_ONCE: usize = 16;

/// Maximum number of grants on their way to a gateway, each of which takes about 2 KiB. More are
/// not sent: the gateway gets them from its peers.
const QUEUED: usize = 1024;

/// Longest reason of a refusal that is logged, in characters.
const REASON: usize = 200;

/// Limits the grants on their way to a gateway.
#[derive(Debug)]
pub(super) struct GrantQueue {
    queued: Arc<Semaphore>,
    at_once: Semaphore,
    /// Whether the log says that the gateway does not receive grants.
    is_failing: AtomicBool,
}

impl Default for GrantQueue {
    fn default() -> Self {
        Self {
            queued: Arc::new(Semaphore::new(QUEUED)),
            at_once: Semaphore::new(AT_ONCE),
            is_failing: AtomicBool::new(false),
        }
    }
}

/// A place in the queue of a gateway.
#[derive(Debug)]
pub(in super::super) struct Queued {
    _permit: OwnedSemaphorePermit,
}

impl Gateway {
    /// Whether it accepts grants, by its last answer to a check.
    pub(in super::super) fn accepts_grants(&self) -> bool {
        self.offer().grants
    }

    /// A place for a grant. Logs the first failure if there is none.
    pub(in super::super) fn queue_grant(&self) -> Option<Queued> {
        let permit = Arc::clone(&self.grants.queued).try_acquire_owned();
        match permit {
            Ok(permit) => Some(Queued { _permit: permit }),
            Err(_) => {
                self.note_failure("too many grants wait for it");
                None
            }
        }
    }

    /// Sends a grant, repeatedly if it fails. Returns why the gateway refused it. A failure is
    /// logged once until a grant succeeds.
    pub(in super::super) async fn send_grant(
        &self,
        token: Bytes,
        _place: Queued,
        stop: &CancellationToken,
    ) -> Result<(), Refused> {
        let sent = timeout(DEADLINE, self.attempts(token, stop)).await;
        match sent.unwrap_or_else(|_| Err("timed out".to_owned())) {
            Ok(answer) => {
                if self.grants.is_failing.swap(false, Relaxed) {
                    info!(gateway = self.name(), "The gateway receives grants again");
                }
                answer
            }
            Err(why) => {
                self.note_failure(&why);
                Ok(())
            }
        }
    }

    fn note_failure(&self, error: &str) {
        if !self.grants.is_failing.swap(true, Relaxed) {
            let gateway = self.name();
            warn!(gateway, error, "A gateway does not receive grants of sessions");
        }
    }

    /// The answer of the gateway, or why the last attempt failed. There are no more attempts after
    /// `stop`.
    async fn attempts(
        &self,
        token: Bytes,
        stop: &CancellationToken,
    ) -> Result<Result<(), Refused>, String> {
        let mut pauses = PAUSES.iter();
        loop {
            let attempt = {
                let _permit = self.grants.at_once.acquire().await;
                self.post_grant(token.clone()).await
            };
            let why = match attempt {
                Ok(reply) if reply.status.is_success() => return Ok(Ok(())),
                Ok(reply) if reply.status.is_client_error() => return Ok(Err(refused(&reply))),
                Ok(reply) => format!("it returned {}", reply.status),
                Err(failure) => cause::chain(&failure.explained(&self.certificate)),
            };
            let Some(pause) = pauses.next() else { return Err(why) };
            if stop.run_until_cancelled(sleep(*pause)).await.is_none() {
                return Err(why);
            }
        }
    }

    pub(super) async fn post_grant(&self, token: Bytes) -> Result<Reply, Failure> {
        let request = self.request(Method::POST, GRANT_PATH).of_type(GRANT_CONTENT_TYPE);
        request.timeout(WAIT).send(token, Buffer::unaccounted()).await
    }
}

/// Why a gateway refused a grant.
#[derive(Debug)]
pub(in super::super) struct Refused {
    pub(in super::super) status: StatusCode,
    /// The reason that the gateway sent.
    pub(in super::super) reason: String,
}

fn refused(reply: &Reply) -> Refused {
    let reason = String::from_utf8_lossy(&reply.body).chars().take(REASON).collect();
    Refused { status: reply.status, reason }
}
