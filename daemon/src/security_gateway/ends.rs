//! Ended sessions: logged here, and reported to the Connection Manager of this host, whose log
//! parsers read.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cmsg_config::socket::{EndReason, SessionEnded, SessionsEnded, Traffic, report_ended};
use cmsg_proto::{SessionId, control::connection_closed, gateway::End};
use tokio::{sync::Notify, time::sleep};
use tracing::{debug, info, trace, warn};

use crate::logs::GATEWAY;

/// The ends that have not been reported yet.
#[derive(Debug)]
pub(super) struct Ends {
    /// Directory of the Connection Manager's socket; `None` if this host has no Connection Manager.
    run: Option<PathBuf>,
    waiting: Mutex<VecDeque<SessionEnded>>,
    came: Notify,
}

/// Maximum number of ends that wait for a Connection Manager that is not running. The oldest are
/// dropped.
const MOST: usize = 4096;

/// Maximum number of ends in a report.
const BATCH: usize = 256;

/// How long to wait before contacting a Connection Manager that is not running again.
const PAUSE: Duration = Duration::from_secs(1);

/// Timeout of a report.
const WAIT: Duration = Duration::from_secs(2);

impl Ends {
    /// A gateway with its own HTTPS listener has no Connection Manager on its host.
    pub(super) fn new(config: &cmsg_config::SecurityGateway) -> Self {
        let run = config.https_listen.is_none().then(|| config.run_directory.clone());
        Self { run, waiting: Mutex::default(), came: Notify::new() }
    }

    /// Records the end and the traffic of a session. If it was announced again, it continues under
    /// the same id and is not reported.
    pub(super) fn note(&self, id: &SessionId, end: End, traffic: Traffic, goes_on: bool) {
        info!(
            session = %id,
            reason = end.as_str(),
            udp_to_agent = traffic.udp_to_agent.bytes,
            udp_to_client = traffic.udp_to_client.bytes,
            tcp_to_agent = traffic.tcp_to_agent,
            tcp_to_client = traffic.tcp_to_client,
            "Session closed"
        );
        if !goes_on {
            self.report(id, reason(end));
        }
    }

    /// Queues a report, and logs the line that parsers look for.
    pub(super) fn report(&self, id: &SessionId, reason: EndReason) {
        let word = reason.as_str();
        trace!(target: GATEWAY, session = %id, "Session closed: {}", connection_closed(id, word));
        if self.run.is_some() {
            let mut waiting = self.waiting();
            if waiting.len() >= MOST {
                waiting.pop_front();
            }
            waiting.push_back(SessionEnded { id: id.to_string(), reason });
            self.came.notify_one();
        }
    }

    /// Reports ends as they occur. Those that are left when the gateway stops are not reported.
    pub(super) async fn keep_reporting(&self) {
        let Some(run) = &self.run else { return };
        loop {
            let sessions = self.take();
            if sessions.is_empty() {
                self.came.notified().await;
            } else if let Some(left) = send(run, sessions).await {
                self.put_back(left);
                sleep(PAUSE).await;
            }
        }
    }

    fn take(&self) -> Vec<SessionEnded> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    fn put_back(&self, sessions: Vec<SessionEnded>) {
        let mut waiting = self.waiting();
        let room = MOST.saturating_sub(waiting.len());
        sessions.into_iter().rev().take(room).for_each(|session| waiting.push_front(session));
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<SessionEnded>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a report. Returns the sessions if the Connection Manager is not running.
async fn send(run: &Path, sessions: Vec<SessionEnded>) -> Option<Vec<SessionEnded>> {
    let (run, ended) = (run.to_owned(), SessionsEnded { sessions });
    let sent = tokio::task::spawn_blocking(move || {
        let sent = report_ended(&run, &ended, WAIT);
        (sent, ended.sessions)
    });
    match sent.await {
        Ok((Ok(()), _)) => None,
        Ok((Err(error), sessions)) if error.kind() == ErrorKind::Other => {
            let count = sessions.len();
            warn!(count, %error, "The Connection Manager rejected the report of ended sessions");
            None
        }
        Ok((Err(error), sessions)) => {
            debug!(%error, "The Connection Manager is unavailable; ended sessions will be reported later");
            Some(sessions)
        }
        Err(error) => {
            warn!(%error, "Failed to report ended sessions");
            None
        }
    }
}

fn reason(end: End) -> EndReason {
    match end {
        End::Unused => EndReason::ConnectionTimeout,
        End::ResumeTimeout => EndReason::ResumeTimeout,
        _ => EndReason::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::StatusCode, routing::post};
    use cmsg_config::{
        ConfFile,
        socket::{Role, SESSIONS_ENDED},
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::local;

    fn ends(conf: &str) -> Ends {
        let conf = ConfFile::parse(&format!("ExternalRoutableIP = 127.0.0.1\n{conf}"));
        Ends::new(&cmsg_config::SecurityGateway::read(&conf).unwrap().value)
    }

    fn id(number: usize) -> SessionId {
        format!("0b1c2d3e-0000-4000-8000-{number:012x}").parse().unwrap()
    }

    fn waiting(ends: &Ends) -> Vec<String> {
        ends.waiting().iter().map(|session| session.id.clone()).collect()
    }

    #[test]
    fn the_latest_ends_are_kept_while_the_connection_manager_is_stopped() {
        let ends = ends("");
        (0..MOST + 10).for_each(|number| ends.report(&id(number), EndReason::Unknown));

        let sent = ends.take();
        ends.report(&id(MOST + 10), EndReason::Unknown);
        ends.put_back(sent);

        let expected: Vec<_> = (11..MOST + 10).map(|number| id(number).to_string()).collect();
        assert_eq!(waiting(&ends)[..BATCH], expected[..BATCH]);
        assert_eq!(waiting(&ends).len(), MOST);
        assert_eq!(waiting(&ends).last(), Some(&id(MOST + 10).to_string()));
    }

    #[tokio::test]
    async fn a_restarted_connection_manager_receives_earlier_ends() {
        let run = tempfile::tempdir().unwrap();
        let ends = ends(&format!("RunDirectory = {}\n", run.path().display()));
        let (heard, mut reports) = tokio::sync::mpsc::unbounded_channel();
        let handler = post(async move |Json(ended): Json<SessionsEnded>| {
            heard.send(ended).unwrap();
            StatusCode::NO_CONTENT
        });
        let shutdown = CancellationToken::new();
        ends.report(&id(1), EndReason::ResumeTimeout);

        let missed = async {
            // The first attempt fails.
            while !waiting(&ends).is_empty() {
                tokio::task::yield_now().await;
            }
            while waiting(&ends).is_empty() {
                tokio::task::yield_now().await;
            }
            let socket = local::Socket::bind(run.path(), Role::Cm).unwrap();
            let router = Router::new().route(SESSIONS_ENDED, handler);
            let serving = tokio::spawn(local::serve(socket, router, shutdown.clone()));
            let report = reports.recv().await.unwrap();
            shutdown.cancel();
            serving.await.unwrap().unwrap();
            report
        };
        let report = tokio::select! {
            () = ends.keep_reporting() => unreachable!("it goes on"),
            report = missed => report,
        };

        let session = SessionEnded { id: id(1).to_string(), reason: EndReason::ResumeTimeout };
        assert_eq!(report.sessions, [session]);
    }

    #[test]
    fn a_continued_session_is_not_reported_as_ended() {
        let ends = ends("");

        ends.note(&id(1), End::Superseded, Traffic::default(), true);
        ends.note(&id(2), End::Superseded, Traffic::default(), false);

        assert_eq!(waiting(&ends), [id(2).to_string()]);
    }

    #[test]
    fn a_gateway_without_a_connection_manager_on_its_host_reports_nothing() {
        let ends = ends("HttpsListenAddress = 127.0.0.1:443\n");

        ends.report(&id(1), EndReason::Unknown);

        assert!(waiting(&ends).is_empty());
    }
}
