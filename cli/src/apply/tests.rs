mod turned_back;

use std::path::PathBuf;

use cmsg_config::{Paths, socket::Role};

use super::*;
use crate::system::recorder::Recorder;

fn paths() -> Paths {
    Paths::under("/r")
}

/// One of each step that can be undone, over an installation that was there.
fn steps() -> Vec<Step> {
    let daemon = paths().daemon();
    vec![
        Step::Stop { paths: paths(), roles: Vec::new() },
        Step::MakeFolders { paths: paths(), folders: vec!["/r/opt".into(), paths().data()] },
        Step::Write { path: "/r/new".into(), content: "x".into(), old: None },
        Step::Write { path: "/r/changed".into(), content: "x".into(), old: Some("y".into()) },
        Step::Remove { path: "/r/gone".into(), old: "z".into() },
        Step::CopyDaemon { from: PathBuf::from("/d"), to: daemon, replaces: true },
        Step::Start { paths: paths(), has_log: false },
        Step::AwaitLive { paths: paths(), roles: vec![Role::Cm, Role::Sg], listens: Vec::new() },
    ]
}

const PERFORMED: [&str; 9] = [
    "stop",
    "mkdir /r/opt",
    "mkdir /r/opt/teradici/pcoipcm_data/data",
    "write new",
    "write changed",
    "delete gone",
    "rename bin/pcoip-cmsgd bin/pcoip-cmsgd.previous",
    "copy /d bin/pcoip-cmsgd",
    "start",
];
const UNDONE: [&str; 9] = [
    "stop",
    "delete var/log/Teradici/supervise.log",
    "rename bin/pcoip-cmsgd.previous bin/pcoip-cmsgd",
    "write gone",
    "write changed",
    "delete new",
    "delete data",
    "rmdir /r/opt",
    "start",
];

fn run(mut system: Recorder) -> (Result<(), Broken>, Vec<String>) {
    let outcome = apply(&steps(), OnFailure::Undo, &mut system, &mut |_| {});
    (outcome, system.calls)
}

#[test]
fn a_plan_is_performed_in_its_order_and_leaves_nothing_old() {
    let (outcome, calls) = run(Recorder::default());

    assert!(outcome.is_ok());
    assert_eq!(calls[..9], PERFORMED);
    assert_eq!(calls[9..], ["delete bin/pcoip-cmsgd.previous"]);
}

#[test]
fn roles_that_do_not_live_are_taken_back_with_everything_else() {
    let (outcome, calls) = run(Recorder { is_dead: true, ..Recorder::default() });

    let broken = outcome.unwrap_err();
    assert_eq!(calls, [PERFORMED, UNDONE].concat());
    let Stopped::NotLive(why) = broken.why else { panic!("{:?}", broken.why) };
    assert_eq!(
        why.to_string(),
        "the connection manager is not live: nobody there, the security gateway is not live: \
         nobody there"
    );
    assert_eq!(why.log, ["last words"]);
}

#[test]
fn a_supervisor_that_ended_is_not_waited_for() {
    let recorder = Recorder { is_dead: true, ended: Some("exit status: 1"), ..Recorder::default() };

    let Stopped::NotLive(why) = run(recorder).0.unwrap_err().why else { panic!() };

    assert_eq!(why.to_string(), "the supervisor of the roles ended with exit status: 1");
}

#[test]
fn a_step_that_fails_is_undone_with_those_before_it() {
    let (outcome, calls) = run(Recorder { fails: Some("write new"), ..Recorder::default() });

    let broken = outcome.unwrap_err();
    assert_eq!(calls, [&PERFORMED[..4], &UNDONE[5..]].concat());
    assert!(matches!(broken.why, Stopped::Failed(error) if error.to_string() == "no space left"));
    assert_eq!((broken.done, broken.left.len()), (0, 0));
}

#[test]
fn an_interruption_undoes_what_was_begun() {
    for (after, last) in [(0, None), (3, Some("start")), (9, Some("start"))] {
        let recorder =
            Recorder { interrupted_after: Some(after), is_dead: true, ..Recorder::default() };

        let (outcome, calls) = run(recorder);

        assert!(matches!(outcome.unwrap_err().why, Stopped::Interrupted));
        assert_eq!(calls[..after], PERFORMED[..after]);
        assert_eq!(calls.last().map(String::as_str), last);
    }
}

#[test]
fn what_cannot_be_undone_is_told_and_the_rest_is_undone() {
    let recorder = Recorder { is_dead: true, fails: Some("delete new"), ..Recorder::default() };

    let (outcome, calls) = run(recorder);

    assert_eq!(outcome.unwrap_err().left.len(), 1);
    assert_eq!(calls[9..], UNDONE);
}

#[test]
fn a_removal_that_fails_is_not_turned_back() {
    let steps = [
        Step::Stop { paths: paths(), roles: Vec::new() },
        Step::Delete(vec!["/r/a".into(), "/r/b".into()]),
    ];
    let mut system = Recorder { fails: Some("delete a"), ..Recorder::default() };

    let broken = apply(&steps, OnFailure::Stand, &mut system, &mut |_| {}).unwrap_err();

    assert_eq!(system.calls, ["stop", "delete a"]);
    assert_eq!(broken.done, 1);
}
