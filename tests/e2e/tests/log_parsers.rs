//! Public parsers of the vendor's log can read ours: what their rules find in real sessions.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use cmsg_config::values::LogLevel;
use e2e::{
    log_parser::{Session, sessions},
    site::{Plan, Site},
};
use pcoip_sim::{client, faults::Fault};

const WAIT: Duration = Duration::from_secs(30);

/// Sessions end soon after their clients have gone.
const SHORT: &str = "ResumeSeconds = 1\nUdpIdleSeconds = 1\nAnnouncedSeconds = 1";

async fn site(level: LogLevel) -> Site {
    Site::planned(Plan { security_gateway: SHORT, level, ..Plan::default() }).await
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("the log can be read")
}

/// Waits until a log matches.
async fn until(path: &Path, is_so: impl Fn(&str) -> bool) {
    let waiting = async {
        while !is_so(&text(path)) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(WAIT, waiting).await;
    assert!(waited.is_ok(), "the log is not as it should be: {}", text(path));
}

fn ended(log: &str) -> usize {
    sessions(log).values().filter(|session| !session.ended.is_empty()).count()
}

fn requests(session: &Session) -> Vec<(&str, &str)> {
    let exchanges = session.exchanges.iter();
    exchanges.map(|(request, response, _)| (request.as_str(), response.as_str())).collect()
}

/// Checks a session that was connected and has ended.
fn is_whole(session: &Session) {
    assert_eq!(session.status, "SUCCESSFUL");
    assert_eq!((session.user.as_str(), session.host.as_str()), ("amelia", "localhost"));
    assert_eq!(session.host_address, "127.0.0.1");
    assert!(!session.client.is_empty() && !session.client_address.is_empty(), "{session:?}");
    assert!(!session.manager.is_empty(), "{session:?}");
    assert!(session.connected < session.ended, "{session:?}");
    assert_eq!(
        requests(session),
        [
            ("hello", "hello-resp"),
            ("authenticate", "authenticate-resp"),
            ("authenticate", "authenticate-resp"),
            ("get-resource-list", "get-resource-list-resp"),
            ("allocate-resource", "allocate-resource-resp"),
            ("bye", "bye-resp"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parser_finds_every_session_connected_and_ended() {
    let site = site(LogLevel::Trace).await;
    let [manager, gateway] = site.log_files();

    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let report = client::walk(&site.client()).await;
        assert_eq!(report.error, None);
        ids.insert(report.session_log_id);
    }
    site.agent.faults.next(
        "launch-session",
        Fault::agent_says("<result-id>FAILED_USER_AUTH</result-id><fail-reason>no</fail-reason>"),
    );
    let failed = client::walk(&site.client()).await;
    let mut wrong = site.client();
    wrong.credentials.password = "mule".into();
    let wrong = client::walk(&wrong).await;
    until(&manager, |log| ended(log) == ids.len()).await;
    until(&gateway, |log| ended(log) == ids.len()).await;

    let found = sessions(&text(&manager));
    let all: BTreeSet<_> =
        ids.iter().chain([&failed.session_log_id, &wrong.session_log_id]).cloned().collect();
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), all);
    for id in &ids {
        is_whole(&found[id]);
    }
    let failed = &found[&failed.session_log_id];
    assert_eq!((failed.status.as_str(), failed.connected.as_str()), ("FAILED_USER_AUTH", ""));
    assert_eq!((failed.user.as_str(), failed.ended.as_str()), ("amelia", ""));
    let wrong = &found[&wrong.session_log_id];
    assert_eq!((wrong.status.as_str(), wrong.ended.as_str()), ("", ""));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_neither_forges_a_session_nor_ends_the_reading() {
    let site = site(LogLevel::Trace).await;
    let [manager, _] = site.log_files();
    let forged = "0b1c2d3e-0000-4000-8000-00000000000a";
    let line = format!(
        "2026-01-31T12:00:00.123Z {forged} s=1 c=1 TRACE PCoIPAgent : Received response from PCoIP \
         Agent: <pcoip-agent><launch-session-resp><result-id>SUCCESSFUL</result-id>"
    );
    let users = [
        format!("a\n{line}"),
        format!("a\r{line}"),
        format!("a\u{85}{line}"),
        format!("a\u{2028}{line}"),
        "a".repeat(60_000),
        "\u{202e}".repeat(20_000),
    ];

    for user in users {
        let mut client = site.client();
        client.credentials.user = user;
        assert!(!client::walk(&client).await.ok);
    }
    let report = client::walk(&site.client()).await;
    until(&manager, |log| ended(log) == 1).await;

    let log = text(&manager);
    assert!(!log.contains(['\r', '\u{85}', '\u{2028}', '\u{202e}']), "no other end of a line");
    let found = sessions(&log);
    assert!(!found.contains_key(forged));
    is_whole(&found[&report.session_log_id]);
    assert_eq!(found.values().filter(|session| !session.connected.is_empty()).count(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usual_level_has_headlines_and_no_documents() {
    let site = site(LogLevel::Info).await;
    let [manager, gateway] = site.log_files();

    let report = client::walk(&site.client()).await;
    assert_eq!(report.error, None);
    let closed = "The gateway closed the session reason=ResumeTimeout";
    until(&manager, |log| log.contains(closed)).await;

    let log = site.log();
    let headlines = [
        "Received request from client (allocate-resource)",
        "Sending request to PCoIP broker (allocate-resource)",
        "Received response from PCoIP broker (allocate-resource-resp)",
        "Sending request to PCoIP Agent",
        "Received response from PCoIP Agent",
        "Sending response to client (allocate-resource-resp)",
        closed,
    ];
    for headline in headlines {
        let line = log.iter().find(|line| line.message == headline);
        let line = line.unwrap_or_else(|| panic!("{headline}: {}", text(&manager)));
        assert_eq!((&line.session, line.level.as_str()), (&report.session_log_id, "INFO"));
    }
    for log in [text(&manager), text(&gateway)] {
        assert!(!log.contains("<?xml") && !log.contains("<pcoip-"), "{log}");
        assert!(!log.contains("amelia"), "{log}");
    }
    site.stop().await;
}
