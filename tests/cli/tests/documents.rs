//! The JSON documents have the documented keys and no others.

mod documents {
    pub(crate) mod shapes;
    pub(crate) mod site;
}

use std::{
    fs::{self, File},
    net::TcpListener,
};

use documents::{
    shapes::{self, Change, From, Level, Outcome, Role, Runtime, Status, Validation, Value},
    site::{CONNECTION_MANAGER, Site, put, run},
};

/// A gateway with unused listening addresses.
const GATEWAY: [&str; 8] = [
    "--runtime=host",
    "--enable-connection-manager=false",
    "--external-pcoip-ip=192.0.2.1",
    "--jwt-verifying-cert=jwt-verifying.crt",
    "--self-signed",
    "--accept-policies",
    "--ignore-disk-req",
    "--daemon=/bin/true",
];

#[test]
fn a_dry_run_says_what_would_be_done_and_who_said_so() {
    let site = Site::empty();

    let (code, document) =
        run::<Change>(&site, "install", &[&GATEWAY[..], &["--dry-run"]].concat());

    assert_eq!((code, document.schema, document.outcome), (0, 1, Outcome::Planned));
    let ids: Vec<_> =
        shapes::sure(&document.findings).map(|found| (found.id.as_str(), found.level)).collect();
    assert_eq!(ids, [("agent.not-verified", Level::Warning)]);
    let steps: Vec<_> = document.plan.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(
        steps,
        [
            "create directories",
            "write installation.json",
            "write answers.yaml",
            "write jwt-verifying.crt",
            "create cmsg.crt",
            "write SecurityGateway.conf",
            "copy the daemon",
            "start the services",
            "wait until the services are healthy",
        ]
    );
    assert!(document.plan.iter().all(|step| step.is_told() && !step.done));
    let setting = |name: &str| (&document.settings[name].value, document.settings[name].from);
    assert_eq!(setting("self-signed"), (&Value::Switch(true), From::Flag));
    assert_eq!(setting("agent-port"), (&Value::One("60443".to_owned()), From::Default));
    let addresses = Value::List(vec!["192.0.2.1".to_owned()]);
    assert_eq!(setting("external-pcoip-ip"), (&addresses, From::Flag));
    assert_eq!(document.restarts, []);
    assert!(document.roles.is_empty());
    assert!(!site.root().exists());
}

#[test]
fn a_refusal_says_all_that_is_wrong() {
    let site = Site::empty();
    let table: [(&[&str], i32, &[&str]); 3] = [
        (&["--runtime=host"], 3, &["settings.missing"; 3]),
        (&["--runtime=host", "--agent-port=0", "--broker-url=x"], 2, &["usage.value"; 2]),
        (&["--no-such-flag"], 2, &["usage.flag"]),
    ];
    for (words, exit, least) in table {
        let (code, document) = run::<Change>(&site, "install", words);

        assert_eq!((code, document.schema, document.outcome), (exit, 1, Outcome::Refused));
        assert!(shapes::sure(&document.findings).all(|f| f.level == Level::Error && f.is_told()));
        let ids: Vec<_> = shapes::sure(&document.findings).map(|f| f.id.as_str()).collect();
        assert!(least.iter().all(|id| ids.contains(id)), "{ids:?}");
        assert!(ids.len() >= least.len(), "{ids:?}");
        assert!(document.plan.is_empty() && document.restarts.is_empty());
        assert!(document.settings.is_empty());
    }
}

#[test]
fn a_validation_tells_all_findings_at_once_as_an_installation_does_and_makes_nothing() {
    let site = Site::empty();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let at = taken.local_addr().expect("a listener has an address");
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|closed| closed.local_addr());
    let broker = format!("--broker-url=https://{}", closed.expect("a port is free"));
    let listen = format!("--listen=broker={at}");
    let words = [
        "--runtime=host",
        "--accept-policies",
        "--ignore-disk-req",
        "--daemon=/bin/true",
        "--ssl-cert=none.crt",
        "--external-pcoip-ip=192.0.2.1",
        "--external-pcoip-ip=192.0.2.2",
        &broker,
        &listen,
    ];
    // A file in place of a directory: not even root can install there.
    File::create(site.folder().join("site")).expect("a file can be made");

    let (code, validation) = run::<Validation>(&site, "validate", &words);
    let (install_code, install) = run::<Change>(&site, "install", &words);

    assert_eq!((code, validation.schema, install_code), (3, 1, 3));
    assert!(validation.findings.iter().all(shapes::Finding::is_told));
    let ids = |findings: &[shapes::Finding]| {
        shapes::sure(findings).map(|found| (found.id.clone(), found.level)).collect::<Vec<_>>()
    };
    let told = ids(&validation.findings);
    assert_eq!(told, ids(&install.findings));
    let told: Vec<_> = told.iter().map(|(id, level)| (id.as_str(), *level)).collect();
    assert_eq!(
        told,
        [
            ("settings.external-pcoip-ip", Level::Error),
            ("settings.missing", Level::Error),
            ("settings.missing", Level::Error),
            ("target.not-a-folder", Level::Error),
            ("port.taken", Level::Error),
            ("certificate.unreadable", Level::Error),
            ("broker.unreachable", Level::Warning),
        ]
    );
    let port = format!("{at}/tcp, needed by `broker`, is in use by `");
    let pid = format!("(pid {})", std::process::id());
    let what = shapes::sure(&validation.findings).nth(4).map(|found| found.what.as_str());
    let what = what.expect("there are six");
    assert!(what.starts_with(&port) && what.ends_with(&pid), "{what}");
    assert_eq!(fs::read_dir(site.folder()).expect("the folder is there").count(), 2);
}

#[test]
fn a_validation_without_errors_leaves_not_even_a_lock() {
    let site = Site::empty();

    let (code, validation) = run::<Validation>(&site, "validate", &GATEWAY);

    assert_eq!(code, 0);
    assert!(validation.findings.iter().all(|found| found.level == Level::Warning));
    assert!(!site.root().exists());
}

#[test]
fn roles_that_do_not_live_are_told_and_nothing_is_left_behind() {
    let site = Site::empty();
    let words = [&GATEWAY[..], &["--save-answers=mine.yaml"]].concat();

    let (code, document) = run::<Change>(&site, "install", &words);

    assert_eq!((code, document.outcome), (4, Outcome::RolledBack));
    assert_eq!(document.findings.last().map(|f| f.id.as_str()), Some("role.not-live"));
    assert!(document.plan.iter().all(|step| !step.done));
    assert!(!site.root().exists());
    assert!(!site.folder().join("mine.yaml").exists());
}

#[test]
fn the_status_tells_every_role_and_every_certificate() {
    let site = Site::installed();

    let (code, status) = run::<Status>(&site, "status", &[]);

    assert_eq!((code, status.schema, status.runtime), (1, 1, Runtime::Host));
    assert_eq!((&*status.version, &*status.installer_version), ("0.1.0", "0.1.0"));
    assert_eq!(status.external_addresses, ["203.0.113.7", "2001:db8::7"]);
    let change = status.last_change.as_ref().map(|change| (&*change.command, &*change.at));
    assert_eq!(change, Some(("configure", "2026-11-30T20:12:01Z")));
    let [(Role::Cm, cm), (Role::Sg, sg)] = &status.roles.iter().collect::<Vec<_>>()[..] else {
        panic!("{:?}", status.roles)
    };
    assert_eq!((cm.live, cm.ready, cm.sessions, cm.listens.len()), (false, false, 0, 0));
    assert!(cm.reason.as_ref().is_some_and(|why| why.starts_with("does not answer: ")));
    assert_eq!((sg.live, sg.ready, sg.sessions, &sg.reason), (true, true, 3, &None));
    assert_eq!((sg.in_use, sg.resumable), (Some(2), Some(1)));
    assert_eq!((&*cm.state, &*sg.state), ("stopped", "healthy"));
    // The gateway is of an earlier version, which does not report when it started.
    assert_eq!((sg.version.as_deref(), sg.started), (Some("0.1.0"), None));
    assert_eq!(sg.listens, ["pcoip=127.0.0.1:4172/tcp"]);
    assert!(cm.broker.is_none() && sg.broker.is_none());
    let ids: Vec<_> = status.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["role.down"]);
    let certificates: Vec<_> =
        status.certificates.iter().map(|c| (c.path.clone(), c.subject.as_str())).collect();
    let own = site.folder().join("jwt-verifying.crt").display().to_string();
    assert_eq!(certificates, [(own, "CN=cm.example")]);
    let certificate = &status.certificates[0];
    assert_eq!(certificate.expires, "2126-10-30T21:57:51Z");
    assert!(certificate.self_signed && certificate.days_left > 30_000, "{certificate:?}");
    let down = status.findings.iter().map(|found| found.id.as_str()).collect::<Vec<_>>();
    assert_eq!(down, ["role.down"]);
    assert_eq!(status.settings["runtime"].from, From::Saved);
    assert_eq!(status.settings["root"].from, From::Flag);
}

#[test]
fn a_service_that_runs_and_does_not_answer_is_not_reported_as_stopped() {
    let (site, _gateway) = Site::hung();

    let (code, status) = run::<Status>(&site, "status", &[]);

    assert_eq!((code, &*status.roles[&Role::Sg].state), (1, "not-responding"));
    let found: Vec<_> =
        status.findings.iter().map(|it| (it.id.as_str(), it.what.as_str())).collect();
    assert_eq!(
        found,
        [
            ("role.not-responding", "the security gateway is running but does not answer"),
            ("role.down", "the connection manager is not running"),
        ]
    );
    let cure = &status.findings[0].cure;
    assert!(cure.starts_with("restart it with `pcoip-cmsg-setup install --root "), "{cure}");
}

#[test]
fn the_status_reports_files_that_are_missing_or_damaged() {
    let key = format!("{CONNECTION_MANAGER}SslKey = /no.key\n");
    let table: [(&str, Option<&str>, &str, &str); 8] = [
        ("data/SecurityGateway.conf", None, "configuration.missing", "is missing"),
        (
            "data/ConnectionManager.conf",
            Some("AgentPort = x"),
            "configuration.invalid",
            "AgentPort",
        ),
        (
            "data/ConnectionManager.conf",
            Some(&key),
            "certificate.damaged",
            "the key `/no.key` cannot be read: it does not exist",
        ),
        ("data/answers.yaml", None, "installation.damaged", "is missing"),
        ("data/answers.yaml", Some(""), "installation.damaged", "is empty"),
        ("data/installation.json", None, "installation.damaged", "is missing"),
        ("data/installation.json", Some(""), "installation.damaged", "is empty"),
        ("data/installation.json", Some("{ \"schema\""), "installation.damaged", "is damaged"),
    ];
    for (file, content, id, what) in table {
        let site = Site::installed();
        let path = site.base().join(file);
        match content {
            None => fs::remove_file(&path).expect("it is there"),
            Some(text) => put(&path, text),
        }

        let (_, status) = run::<Status>(&site, "status", &[]);

        let found = status.findings.iter().any(|it| it.id == id && it.what.contains(what));
        assert!(found, "{file}: {:?}", status.findings);
    }
}

#[test]
fn a_changed_setting_is_told_with_its_old_value() {
    let site = Site::installed();
    // The daemon of a configured installation is kept.
    let words = [&GATEWAY[1..7], &["--dry-run"]].concat();

    let (code, document) = run::<Change>(&site, "configure", &words);

    assert_eq!((code, document.outcome), (0, Outcome::Planned));
    assert_eq!(document.restarts, [Role::Sg]);
    assert!(!document.plan.iter().any(|step| step.step == "copy the daemon"));
    let was = |name: &str| document.settings[name].was.as_ref();
    assert_eq!(was("enable-connection-manager"), Some(&Value::Switch(true)));
    assert_eq!(was("external-pcoip-ip"), Some(&Value::List(Vec::new())));
    assert_eq!(was("runtime"), None);
}

#[test]
fn a_removal_is_planned_in_the_same_shape() {
    let site = Site::installed();

    let (code, document) = run::<Change>(&site, "uninstall", &["--dry-run"]);

    assert_eq!((code, document.schema, document.outcome), (0, 1, Outcome::Planned));
    let steps: Vec<_> = document.plan.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, ["stop the services", "delete files"]);
    assert!(document.plan.iter().all(|step| step.is_told() && !step.done));
    assert_eq!(document.settings["runtime"].from, From::Saved);
    assert!(document.findings.is_empty() && document.restarts.is_empty());
}

#[test]
fn what_fails_before_there_is_a_plan_has_the_same_shape() {
    for command in ["configure", "status", "uninstall"] {
        let (code, document) = run::<Change>(&Site::empty(), command, &[]);

        assert_eq!((code, document.outcome), (1, Outcome::Failed));
        assert_eq!(document.findings[0].id, "failed");
    }
}
