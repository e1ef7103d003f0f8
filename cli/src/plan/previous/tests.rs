use cmsg_config::socket::Role;
use time::OffsetDateTime;

use super::*;
use crate::{
    content::Content,
    host::{Facts, daemon::DaemonFact},
    installation::{
        previous::BackTo,
        record::{LastChange, Record},
    },
    plan::{
        self, Plan,
        tests::{BOTH, after, installed, wanted},
    },
};

const OTHER: &str = "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\n\
                     broker-url: https://other\nexternal-pcoip-ip: 192.0.2.1\n";

/// An installation with these answers over that one, and the plan that made it.
fn changed(text: &str, mut there: Facts) -> (Plan, Facts) {
    let (wanted, answers) = wanted(text);
    there.daemon = DaemonFact::Stays;
    let plan = plan::install(&wanted, &there, &answers);
    let facts = after(&plan, there);
    (plan, facts)
}

fn previous(facts: &Facts) -> Option<Previous> {
    let paths = Paths::under("/r");
    let content = facts.installed.content(&layout::previous(&paths))?;
    Some(Previous::parse(content.bytes(), &paths).unwrap())
}

/// The same host, about to go back.
fn going_back(facts: Facts) -> Facts {
    let previous = previous(&facts).unwrap();
    let base = previous.over(&facts.installed);
    Facts { back_to: Some(BackTo { previous, base }), ..facts }
}

fn text(facts: &Facts, path: &std::path::Path) -> Option<String> {
    facts.installed.content(path).map(Content::text)
}

#[test]
fn a_first_installation_and_one_that_changes_nothing_leave_no_state_to_go_back_to() {
    let there = installed(BOTH);

    assert_eq!(previous(&there), None);
    let (plan, there) = changed(BOTH, there);
    assert_eq!(previous(&there), None);
    assert!(plan.steps.iter().all(|step| matches!(step, Step::AwaitLive { .. })), "{plan:?}");
}

#[test]
fn what_was_changed_comes_back_and_the_change_with_a_second_time() {
    let there = installed(BOTH);
    let paths = Paths::under("/r");
    let conf = paths.connection_manager_conf();
    let before = text(&there, &conf);
    let (_, changed_facts) = changed(OTHER, there);
    let other = text(&changed_facts, &conf);
    assert_ne!(before, other);

    let (_, back) = changed(BOTH, going_back(changed_facts));
    assert_eq!(text(&back, &conf), before);

    let again = Facts { back_to: None, ..back };
    let (_, forth) = changed(OTHER, going_back(again));
    assert_eq!(text(&forth, &conf), other);
}

#[test]
fn a_role_that_was_switched_off_comes_back_with_its_configuration() {
    let there = installed(BOTH);
    let paths = Paths::under("/r");
    let (conf, disabled) = (paths.security_gateway_conf(), layout::disabled_conf(&paths, Role::Sg));
    let before = text(&there, &conf);
    let (_, without) = changed(&format!("{BOTH}enable-security-gateway: false\n"), there);
    assert_eq!((text(&without, &conf), text(&without, &disabled)), (None, before.clone()));

    let (_, back) = changed(BOTH, going_back(without));

    assert_eq!((text(&back, &conf), text(&back, &disabled)), (before, None));
}

#[test]
fn a_document_of_another_form_is_refused() {
    let text = r#"{"schema":2,"version":"9","has_daemon":false,"files":{}}"#;

    let parse = |text: &str| Previous::parse(text.as_bytes(), &Paths::under("/r"));
    assert_eq!(parse(text), Err("has the unsupported schema version 2".to_owned()));
    assert!(parse("{").is_err());
}

#[test]
fn a_document_with_another_file_than_the_installations_is_refused_as_a_whole() {
    let parse = |path: &str| {
        let text = format!(
            r#"{{"schema":1,"version":"9","has_daemon":false,"files":{{
                "/r/opt/teradici/pcoipcm_data/data/answers.yaml":"a","{path}":null}}}}"#
        );
        Previous::parse(text.as_bytes(), &Paths::under("/r"))
    };
    let paths = Paths::under("/r");

    assert!(parse(&layout::key(&paths).display().to_string()).is_ok());
    let inside = "/r/opt/teradici/pcoipcm_data/data/../data/answers.yaml";
    let others = ["/etc/cron.d/planted", "/r/opt/teradici/pcoipcm_data/data/x", inside];
    for other in others {
        let why = format!("lists the file {other:?}, which is not part of the installation");
        assert_eq!(parse(other), Err(why));
    }
}

#[test]
fn a_state_that_is_too_long_to_be_read_again_is_not_kept() {
    let mut there = installed(BOTH);
    let conf = Paths::under("/r").connection_manager_conf();
    let long = format!("{}# {}\n", text(&there, &conf).unwrap(), "x".repeat(1_100_000));
    there.installed.files.get_mut(&conf).unwrap().content = long.into();

    let (_, changed) = changed(OTHER, there);

    assert_eq!(previous(&changed), None);
}

#[test]
fn a_change_is_recorded_with_its_command_and_time_and_an_idle_command_is_not() {
    let last_change = |facts: &Facts| Record::of(&facts.installed, &Paths::under("/r")).last_change;
    let at = |facts: Facts, command, seconds| Facts {
        command,
        now: OffsetDateTime::from_unix_timestamp(seconds).unwrap(),
        ..facts
    };
    let recorded = |command, seconds| {
        let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        Some(LastChange::new(command, now))
    };
    let there = installed(BOTH);
    assert_eq!(last_change(&there), recorded("install", 1_900_000_000));

    let (_, there) = changed(BOTH, at(there, "configure", 1_900_000_100));
    assert_eq!(last_change(&there), recorded("install", 1_900_000_000));
    let (_, there) = changed(OTHER, at(there, "configure", 1_900_000_200));

    assert_eq!(last_change(&there), recorded("configure", 1_900_000_200));
}
