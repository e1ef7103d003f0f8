use std::{fmt::Write as _, io};

use cmsg_config::socket::{
    DRAINING, GatewayStanding, Listen, LogonCounts, NO_BROKER, Role, Status, Unserved, Usage,
};

use super::*;
use crate::{
    pki::generate::{self, Key, Request},
    report::page::tests::compare,
};

const NOW: i64 = 1_900_000_000;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap()
}

fn listens(role: Role) -> Vec<Listen> {
    let all: &[[&str; 3]] = match role {
        Role::Cm => &[["broker", "tcp", "0.0.0.0:443"], ["http", "tcp", "0.0.0.0:80"]],
        Role::Sg => &[
            ["pcoip", "tcp", "0.0.0.0:4172"],
            ["pcoip", "udp", "0.0.0.0:4172"],
            ["udp-source", "udp", "0.0.0.0:55000"],
        ],
    };
    let listen = |[key, transport, address]: &[&str; 3]| Listen {
        key: (*key).to_owned(),
        transport: (*transport).to_owned(),
        address: address.parse().unwrap(),
    };
    all.iter().map(listen).collect()
}

fn status(role: Role) -> Status {
    let gateway = |gateway: &str, is_own| GatewayStanding {
        gateway: gateway.to_owned(),
        is_own: Some(is_own),
        takes_sessions: true,
        reason: None,
        refused: 0,
        silent: 0,
        last_refusal: None,
    };
    let broker = BrokerStatus {
        url: "https://broker.example.com".to_owned(),
        is_verified: true,
        is_pinned: Some(false),
        answers: true,
        since: Some("2030-03-14T05:46:40Z".to_owned()),
        ..BrokerStatus::default()
    };
    let is_manager = role == Role::Cm;
    let unserved = Unserved {
        gateways: vec![gateway("203.0.113.7", true), gateway("198.51.100.4", false)],
        ..Unserved::default()
    };
    Status {
        role,
        version: "0.1.0".to_owned(),
        pid: 7,
        ready: true,
        reason: None,
        listens: listens(role),
        sessions: 7,
        usage: Some(Usage { in_use: 2, resumable: 5 }),
        files_read: None,
        started: u64::try_from(NOW - 273_661).ok().map(|seconds| seconds * 1000),
        deployment: None,
        logons: None,
        turned_away: None,
        failover: None,
        unserved: is_manager.then_some(unserved),
        broker: is_manager.then_some(broker),
    }
}

fn page(manager: io::Result<Status>, gateway: io::Result<Status>) -> StatusPage {
    let names = vec!["pcoip.example.com".to_owned()];
    let made = now() - time::Duration::days(100);
    let pair = generate::pair(&Request { key: Key::NewP256, names, now: made }).unwrap();
    let held = inspect::certificates(pair.certificate.bytes());
    let certs = Path::new("/opt/teradici/pcoipcm_data/certs");
    StatusPage {
        now: now(),
        place: "on this host".to_owned(),
        runtime: Runtime::Swarm,
        version: "0.1.0".to_owned(),
        installer: "0.1.0".to_owned(),
        last_change: Some(LastChange::new("configure", now())),
        roles: vec![RoleView::of(Role::Cm, manager), RoleView::of(Role::Sg, gateway)],
        broker: Some("https://broker.example.com".to_owned()),
        external: vec!["203.0.113.7".to_owned()],
        gateways: vec!["198.51.100.4".to_owned()],
        certificates: vec![
            CertificateFile {
                path: certs.join("cmsg.crt"),
                held: held.map_err(|why| why.to_string()),
            },
            CertificateFile {
                path: certs.join("ca.crt"),
                held: Err("permission is denied (Permission denied, os error 13)".to_owned()),
            },
        ],
        logs: "/var/log/Teradici".into(),
    }
}

fn healthy() -> StatusPage {
    page(Ok(status(Role::Cm)), Ok(status(Role::Sg)))
}

fn broker_failing() -> StatusPage {
    let mut manager = status(Role::Cm);
    manager.ready = false;
    manager.reason = Some(NO_BROKER.to_owned());
    let broker = manager.broker.as_mut().unwrap();
    broker.answers = false;
    broker.reason = Some(
        "requesting `https://broker.example.com/pcoip-broker/xml`: the connection was refused \
         (Connection refused, os error 111)"
            .to_owned(),
    );
    let gateways = &mut manager.unserved.as_mut().unwrap().gateways;
    gateways[1].takes_sessions = false;
    gateways[1].reason = Some("there was no answer in time".to_owned());
    page(Ok(manager), Ok(status(Role::Sg)))
}

fn draining() -> StatusPage {
    let drained = |role| {
        let reason = Some(DRAINING.to_owned());
        let counts = LogonCounts { bans: 2, recent_failures: 7, refused: 40 };
        let logons = (role == Role::Cm).then_some(counts);
        Ok(Status { ready: false, reason, logons, ..status(role) })
    };
    page(drained(Role::Cm), drained(Role::Sg))
}

fn one_role_stopped() -> StatusPage {
    let stopped = page(Err(io::ErrorKind::NotFound.into()), Ok(status(Role::Sg)));
    StatusPage { installer: "0.2.0".to_owned(), last_change: None, ..stopped }
}

fn crash_looping_and_older() -> StatusPage {
    let older = Status {
        version: "0.0.9".to_owned(),
        usage: None,
        started: None,
        broker: Some(BrokerStatus { is_verified: false, ..status(Role::Cm).broker.unwrap() }),
        ..status(Role::Cm)
    };
    let mut page = page(Ok(older), Err(io::ErrorKind::ConnectionRefused.into()));
    let gateway = page.roles.pop().unwrap().restarted(Some(4));
    page.roles.push(gateway);
    page
}

#[test]
fn each_state_has_its_page() {
    let scenes = [
        ("healthy", healthy()),
        ("the broker is failing", broker_failing()),
        ("draining", draining()),
        ("one role is stopped, and the installer is newer", one_role_stopped()),
        (
            "one role is crash-looping, and the other is of an earlier version",
            crash_looping_and_older(),
        ),
    ];
    let mut pages = String::new();
    for (scene, page) in scenes {
        for width in [80, 120] {
            let lines = page.lines(Width::of_columns(width));
            let _ = write!(pages, "== {scene}, {width} columns\n{}\n\n", lines.join("\n"));
        }
    }

    compare(&pages, "status/tests/pages.txt");
}

#[test]
fn a_narrow_page_is_wrapped_once_and_loses_no_word() {
    let wide = healthy().lines(Width::UNLIMITED).join(" ");
    for columns in [20, 40, 61] {
        let lines = healthy().lines(Width::of_columns(columns));

        assert!(lines[0].starts_with("ROLE"), "{lines:#?}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&lines.join(" ")), words(&wide), "{lines:#?}");
        let too_long = |line: &&String| line.chars().count() > columns && line.trim().contains(' ');
        let table: Vec<_> = lines.iter().take_while(|line| !line.is_empty()).collect();
        assert!(!table.into_iter().any(|line| too_long(&line)), "{lines:#?}");
    }
}

#[test]
fn a_page_has_each_state_in_the_document() {
    let state = |page: &StatusPage, role: usize| page.roles[role].state();

    assert_eq!(state(&healthy(), 0), RoleState::Healthy);
    assert_eq!(state(&broker_failing(), 0), RoleState::NotReady);
    assert_eq!(state(&draining(), 1), RoleState::Draining);
    assert_eq!(state(&one_role_stopped(), 0), RoleState::Stopped);
    let document = crash_looping_and_older().document(&[], &json!({}));
    assert_eq!(document["roles"]["sg"]["state"], json!("crash-looping"));
    assert_eq!(document["roles"]["cm"]["version"], json!("0.0.9"));
    assert_eq!(document["roles"]["cm"]["gateways"][1]["gateway"], json!("198.51.100.4"));
    assert_eq!(document["last_change"]["command"], json!("configure"));
    assert_eq!(document["certificates"][0]["self_signed"], json!(true));
}

#[test]
fn an_uptime_has_its_two_largest_units() {
    let table = [
        (0, "0s"),
        (59, "59s"),
        (60, "1m0s"),
        (3_599, "59m59s"),
        (3_600, "1h0m"),
        (86_399, "23h59m"),
        (86_400, "1d0h"),
        (273_661, "3d4h"),
    ];
    for (seconds, text) in table {
        assert_eq!(duration(seconds), text);
    }
}

#[test]
fn a_reason_does_not_repeat_the_url_of_the_broker() {
    let table = [
        ("requesting `https://b/pcoip-broker/xml`: it was late", "it was late"),
        ("`https://b/pcoip-broker/xml` answers 502 Bad Gateway", "answers 502 Bad Gateway"),
        ("the broker presents …", "the broker presents …"),
    ];
    for (reason, shown) in table {
        assert_eq!(without_url(reason, "https://b"), shown);
    }
}
