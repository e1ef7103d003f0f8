use cmsg_config::{
    Paths,
    socket::{
        BrokerStatus, GatewayStanding, Listen, NO_BROKER, NO_GATEWAY, Role, Status, Unserved, Usage,
    },
};

use super::{roles::RoleView, *};
use crate::{
    answers::{Origin, file},
    preflight::running,
    step::{stop::Stop, write::Write},
};

fn report() -> Report {
    let paths = Paths::under("/r");
    Report {
        outcome: Outcome::RolledBack,
        findings: vec![Finding::warning("broker.unreachable", "what is", "what to do")],
        plan: Plan {
            steps: vec![
                Step::Stop(Stop { paths: paths.clone(), roles: vec![Role::Cm] }),
                Step::Write(Write {
                    path: "/r/file".into(),
                    content: "secret".into(),
                    replaces: true,
                }),
            ],
            restarts: vec![Role::Cm, Role::Sg],
        },
        done: 1,
        settings: json!({ "root": { "value": "/r", "from": "flag" } }),
        roles: Vec::new(),
    }
}

#[test]
fn the_document_has_the_documented_shape() {
    assert_eq!(
        report().document(),
        json!({
            "schema": 1,
            "outcome": "rolled-back",
            "findings": [{
                "id": "broker.unreachable",
                "level": "warning",
                "what": "what is",
                "cure": "what to do",
            }],
            "plan": [
                {
                    "step": "stop the services",
                    "changes": "sessions end; clients can connect when the services run again",
                    "undo": "the services are started again",
                    "done": true,
                },
                {
                    "step": "write file",
                    "changes": "changed: `/r/file`",
                    "undo": "the previous file is restored",
                    "done": false,
                },
            ],
            "settings": { "root": { "value": "/r", "from": "flag" } },
            "restarts": ["cm", "sg"],
            "roles": {},
        })
    );
}

#[test]
fn a_refusal_and_a_failure_have_the_same_shape() {
    let finding = Finding::error("id", "what", "cure");

    let keys = |document: &Value| document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let refusal = refusal(std::slice::from_ref(&finding));
    let failure = failure(&finding);

    assert_eq!(keys(&refusal), keys(&report().document()));
    assert_eq!(keys(&failure), keys(&report().document()));
    assert_eq!((&refusal["outcome"], &failure["outcome"]), (&json!("refused"), &json!("failed")));
}

#[test]
fn a_plan_is_listed_by_steps_in_groups() {
    assert_eq!(
        plan_lines(&report().plan),
        "Deployment\n  1. Stop the services: sessions end; clients can connect when the services run again\n\
         Configuration\n  2. Write file: changed: `/r/file`\n\
         Restarts: connection manager and security gateway"
    );
}

#[test]
fn what_is_kept_is_told_with_the_flag_that_changes_it() {
    let saved = file::parse(
        "runtime: host\nenable-ipv6: true\nexternal-sg-ip: [192.0.2.1, 192.0.2.2]\nagent-port: 60443\n",
    )
    .unwrap();
    let flags = file::parse("runtime: host\n").unwrap();

    let answers = Answers::resolve(&[(Origin::Saved, &saved), (Origin::Flag, &flags)]);

    assert_eq!(
        kept_lines(&answers),
        [
            "kept: `external-sg-ip` is 192.0.2.1, 192.0.2.2; `--external-sg-ip IP` changes it",
            "kept: `enable-ipv6` is true; `--enable-ipv6=true|false` changes it",
        ]
    );
}

fn not_ready() -> Status {
    Status {
        role: Role::Cm,
        version: "0.1.0".to_owned(),
        pid: 7,
        ready: false,
        reason: Some("the broker is away".to_owned()),
        listens: vec![Listen {
            key: "broker".to_owned(),
            transport: "tcp".to_owned(),
            address: "127.0.0.1:443".parse().unwrap(),
        }],
        sessions: 3,
        usage: Some(Usage { in_use: 1, resumable: 2 }),
        files_read: None,
        started: None,
        deployment: None,
        logons: None,
        turned_away: None,
        failover: None,
        unserved: None,
        broker: None,
    }
}

#[test]
fn a_role_is_shown_as_it_says_it_is() {
    let view = RoleView::of(Role::Cm, Ok(not_ready()));

    assert_eq!(
        json!(view),
        json!({
            "state": "not-ready",
            "version": "0.1.0",
            "live": true,
            "ready": false,
            "reason": "the broker is away",
            "listens": ["broker=127.0.0.1:443/tcp"],
            "sessions": 3,
            "in_use": 1,
            "resumable": 2,
        })
    );
    assert_eq!(
        view.lines(),
        "connection manager: not ready (the broker is away)\n  sessions: 1 in use, 2 \
         resumable\n  broker=127.0.0.1:443/tcp"
    );
    assert_eq!(view.why_not_ready(), Some("the broker is away"));
}

#[test]
fn a_manager_that_waits_for_gateways_tells_what_each_of_them_lacks() {
    let gateway = |takes_sessions, reason: Option<&str>| GatewayStanding {
        gateway: "203.0.113.8".to_owned(),
        is_own: None,
        takes_sessions,
        reason: reason.map(str::to_owned),
        refused: 0,
        silent: 0,
        last_refusal: None,
    };
    let mut status = not_ready();
    status.reason = Some(NO_GATEWAY.to_owned());
    status.unserved = Some(Unserved {
        gateways: vec![gateway(false, Some("invalid peer certificate")), gateway(true, None)],
        ..Unserved::default()
    });

    let view = RoleView::of(Role::Cm, Ok(status));

    let why = format!("{NO_GATEWAY}; 203.0.113.8: invalid peer certificate");
    assert_eq!(view.why_not_ready(), Some(why.as_str()));
}

#[test]
fn what_a_role_says_is_shown_in_one_line() {
    let forged = "the broker presents `x\nhint: run `curl evil`".to_owned();
    let mut status = not_ready();
    status.reason = Some(NO_BROKER.to_owned());
    let broker = BrokerStatus { reason: Some(forged), ..BrokerStatus::default() };
    status.broker = Some(broker);

    let view = RoleView::of(Role::Cm, Ok(status));

    let finding = running::finding(view.broker().unwrap(), "").unwrap();
    for text in [view.why_not_ready().unwrap(), &finding.what] {
        assert!(text.ends_with("`x\\u{a}hint: run `curl evil`"), "{text:?}");
    }
}

#[test]
fn a_role_that_is_down_says_so() {
    let view = RoleView::of(Role::Sg, Err(std::io::ErrorKind::NotFound.into()));

    assert_eq!(
        view.lines(),
        "security gateway: stopped (does not answer: its socket does not exist)"
    );
    assert_eq!(json!(view)["live"], json!(false));
    assert_eq!(view.why_not_ready(), None);
}

#[test]
fn a_role_that_has_just_started_is_asked_until_it_has_looked_around() {
    let view = |reason: Option<&str>| {
        let status = Status {
            role: Role::Cm,
            version: "0.1.0".to_owned(),
            pid: 7,
            ready: reason.is_none(),
            reason: reason.map(str::to_owned),
            listens: Vec::new(),
            sessions: 0,
            usage: None,
            files_read: None,
            started: None,
            deployment: None,
            logons: None,
            turned_away: None,
            failover: None,
            unserved: None,
            broker: None,
        };
        RoleView::of(Role::Cm, Ok(status))
    };
    let young = cmsg_config::socket::NOT_LOOKED;
    let settled = |answers: [Option<&str>; 3], interrupted_at: usize| {
        let (mut asked, mut waited) = (0, 0);
        let ask = || {
            asked += 1;
            view(answers[(asked - 1).min(2)])
        };
        let settled = RoleView::settled(ask, |_| {
            waited += 1;
            waited == interrupted_at
        });
        (settled.why_not_ready().map(str::to_owned), waited)
    };

    let why = |why: &str| Some(why.to_owned());
    assert_eq!(settled([Some(young), Some(young), None], 0), (None, 2));
    assert_eq!(settled([Some(young), Some("it is away"), None], 0), (why("it is away"), 1));
    assert_eq!(settled([Some("it is away"), None, None], 0), (why("it is away"), 0));
    let no_gateway = "Security Gateway is enabled but does not respond";
    assert_eq!(settled([Some(no_gateway), Some(no_gateway), None], 0), (None, 2));
    assert_eq!(settled([Some(young); 3], 0), (why(young), 50));
    assert_eq!(settled([Some(young); 3], 2), (why(young), 2));
}

#[test]
fn a_pin_that_changes_is_a_change_though_it_is_no_saved_setting() {
    let answers = Answers::resolve(&[]);
    let of = |old: &str, new: &str| changes(&answers, &answers, [old.to_owned(), new.to_owned()]);
    let change = |before: &str, after: &str| Change {
        setting: "broker-pin".to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    };

    assert_eq!(of("sha256:aa", "sha256:aa"), []);
    assert_eq!(of("", "sha256:aa"), [change("", "sha256:aa")]);
    assert_eq!(of("sha256:aa", ""), [change("sha256:aa", "")]);
}
