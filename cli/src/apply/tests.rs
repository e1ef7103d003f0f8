mod killed;
mod turned_back;

use std::path::PathBuf;

use cmsg_config::{Paths, socket::Role};

use super::*;
use crate::{
    installation::layout,
    step::{
        await_live::AwaitLive, copy_daemon::CopyDaemon, delete::Delete, make_folders::MakeFolders,
        remove::Remove, remove_empty_folders::RemoveEmptyFolders, start::Start, stop::Stop,
        write::Write,
    },
    system::recorder::{Recorder, State},
};

fn paths() -> Paths {
    Paths::under("/r")
}

/// One of each step that can be undone, over an installation that was there.
fn steps() -> Vec<Step> {
    let daemon = paths().daemon();
    vec![
        Step::Stop(Stop { paths: paths(), roles: Vec::new() }),
        Step::MakeFolders(MakeFolders {
            paths: paths(),
            folders: vec!["/r/opt".into(), paths().data()],
        }),
        Step::Write(Write { path: "/r/new".into(), content: "x".into(), replaces: false }),
        Step::Write(Write { path: "/r/changed".into(), content: "x".into(), replaces: true }),
        Step::Remove(Remove("/r/gone".into())),
        Step::CopyDaemon(CopyDaemon { from: PathBuf::from("/d"), to: daemon, replaces: true }),
        Step::Start(Start { paths: paths(), has_log: false }),
        Step::AwaitLive(AwaitLive {
            paths: paths(),
            roles: vec![Role::Cm.into(), Role::Sg.into()],
            listens: Vec::new(),
        }),
    ]
}

const PERFORMED: [&str; 10] = [
    "stop",
    "mkdir /r/opt",
    "mkdir /r/opt/teradici/pcoipcm_data/data",
    "write new",
    "rename changed changed~",
    "write changed",
    "rename gone gone~",
    "rename bin/pcoip-cmsgd bin/pcoip-cmsgd~",
    "copy /d bin/pcoip-cmsgd",
    "start",
];
const UNDONE: [&str; 20] = [
    "stop",
    "delete run/supervise.pid",
    "delete run/supervise.lock",
    "delete run/supervise.sock",
    "delete run/cm.sock",
    "delete run/sg.sock",
    "delete run/cm.rejected",
    "delete run/sg.rejected",
    "delete var/log/Teradici/supervise.log",
    "delete bin/pcoip-cmsgd+",
    "rename bin/pcoip-cmsgd~ bin/pcoip-cmsgd",
    "delete gone+",
    "rename gone~ gone",
    "delete changed+",
    "rename changed~ changed",
    "delete new+",
    "delete new",
    "delete data",
    "rmdir /r/opt",
    "start",
];
const FINISHED: [&str; 3] = ["delete changed~", "delete gone~", "delete bin/pcoip-cmsgd~"];

/// What the steps replace and remove.
fn before() -> State {
    let files = ["/r/changed".into(), "/r/gone".into(), paths().daemon()];
    let files = files.map(|path: PathBuf| (path, "old".to_owned())).into();
    State { files, folders: ["/r/outer".into()].into(), runs: true, ..State::default() }
}

fn perform(steps: &[Step], system: &mut Recorder) -> Result<Vec<Left>, Broken> {
    let paths = paths();
    apply(Work { command: "install", paths: &paths, steps }, system, &Progress::silent())
}

fn run(recorder: Recorder) -> (Result<Vec<Left>, Broken>, Vec<String>) {
    let mut system = Recorder { state: before(), ..recorder };
    let outcome = perform(&steps(), &mut system);
    (outcome, system.effects())
}

#[test]
fn a_plan_is_performed_in_its_order_and_leaves_nothing_old() {
    let (outcome, effects) = run(Recorder::default());

    assert_eq!(outcome.unwrap().len(), 0);
    assert_eq!(effects, [&PERFORMED[..], &FINISHED].concat());
}

#[test]
fn the_journal_goes_before_every_step_and_is_gone_at_the_end() {
    let mut system = Recorder { state: before(), ..Recorder::default() };

    perform(&steps(), &mut system).unwrap();

    let is_journal = |call: &&String| call.as_str() == "write .pcoip-cmsg-setup.journal";
    assert_eq!(system.calls.iter().filter(is_journal).count(), steps().len() + 1);
    assert_eq!(system.calls[0], "write .pcoip-cmsg-setup.journal");
    assert_eq!(system.calls.last().unwrap(), "delete .pcoip-cmsg-setup.journal");
    assert!(!system.state.files.contains_key(&journal::path(&paths())));
}

#[test]
fn roles_that_do_not_live_are_taken_back_with_everything_else() {
    let (outcome, effects) = run(Recorder { is_dead: true, ..Recorder::default() });

    let broken = outcome.unwrap_err();
    assert_eq!(effects, [&PERFORMED[..], &UNDONE].concat());
    let StepError::NotLive(why) = broken.why else { panic!("{:?}", broken.why) };
    assert_eq!(
        why.to_string(),
        "the connection manager is not healthy: nobody there, the security gateway is not healthy: \
         nobody there"
    );
    assert_eq!(why.log, ["last words"]);
}

#[test]
fn a_supervisor_that_ended_is_not_waited_for() {
    let recorder = Recorder { is_dead: true, ended: Some("exit status: 1"), ..Recorder::default() };

    let StepError::NotLive(why) = run(recorder).0.unwrap_err().why else { panic!() };

    assert_eq!(why.to_string(), "the services ended with exit status: 1: last words");
}

#[test]
fn a_step_that_fails_is_undone_with_those_before_it() {
    let (outcome, effects) = run(Recorder { fails: Some("write new"), ..Recorder::default() });

    let broken = outcome.unwrap_err();
    assert_eq!(effects, [&PERFORMED[..4], &UNDONE[15..]].concat());
    assert!(matches!(broken.why, StepError::Failed(error) if error.to_string() == "no space left"));
    assert_eq!(broken.left.len(), 0);
}

#[test]
fn a_step_that_is_not_written_down_is_not_begun() {
    let fails = Some("write .pcoip-cmsg-setup.journal");

    let (outcome, effects) = run(Recorder { fails, ..Recorder::default() });

    assert!(matches!(outcome.unwrap_err().why, StepError::Failed(_)));
    assert_eq!(effects, [""; 0]);
}

#[test]
fn a_file_that_is_gone_is_told_and_everything_is_put_back() {
    let mut start = before();
    start.files.remove(&PathBuf::from("/r/gone"));
    // Which the restarted roles make where it is not there.
    start.files.insert(layout::supervise_log(&paths()), String::new());
    let mut system = Recorder { state: start.clone(), ..Recorder::default() };

    let broken = perform(&steps(), &mut system).unwrap_err();

    assert_eq!(broken.why.into_error().to_string(), "`/r/gone` was removed after it was read");
    // The recorder's daemon keeps the outer folder from being empty.
    start.folders.insert("/r/opt".into());
    assert_eq!(system.state, start);
}

#[test]
fn an_interruption_undoes_what_was_begun() {
    // Before anything, between two steps, and while the roles are waited for.
    for (after, last) in [(0, None), (4, Some("start")), (18, Some("start"))] {
        let interrupted = Some(after);
        let recorder =
            Recorder { interrupted_after: interrupted, is_dead: true, ..Recorder::default() };

        let (outcome, effects) = run(recorder);

        assert!(matches!(outcome.unwrap_err().why, StepError::Interrupted), "{after}");
        assert_eq!(effects.last().map(String::as_str), last, "{after}");
    }
}

#[test]
fn what_cannot_be_undone_is_told_with_what_to_do_and_the_rest_is_undone() {
    let recorder = Recorder { is_dead: true, fails: Some("delete new"), ..Recorder::default() };
    let mut system = Recorder { state: before(), ..recorder };

    let mut left = perform(&steps(), &mut system).unwrap_err().left;

    assert_eq!(left.len(), 1);
    assert_eq!(left.remove(0).by_hand, "remove `/r/new`");
    assert_eq!(system.effects(), [&PERFORMED[..], &UNDONE].concat());
    assert!(system.state.files.contains_key(&journal::path(&paths())));
}

#[test]
fn a_removal_that_fails_is_put_back() {
    let steps = [
        Step::Stop(Stop { paths: paths(), roles: Vec::new() }),
        Step::Delete(Delete(vec!["/r/changed".into(), "/r/none".into(), "/r/gone".into()])),
        Step::RemoveEmptyFolders(RemoveEmptyFolders(vec!["/r/opt".into()])),
    ];
    let fails = Some("rename gone gone~");
    let mut system = Recorder { fails, state: before(), ..Recorder::default() };

    let broken = perform(&steps, &mut system).unwrap_err();

    assert!(broken.left.is_empty());
    let mut files = system.state.files;
    files.remove(&layout::supervise_log(&paths()));
    assert_eq!(files, before().files);
}
