use cmsg_config::Paths;

use super::*;
use crate::system::recorder::Recorder;

/// Every kind of trace as a journal holds it, and what becomes of it. The journal may be another
/// version's, so the JSON never changes.
const KINDS: &str = include_str!("tests/kinds.txt");

fn listed(calls: &[String]) -> String {
    if calls.is_empty() { "nothing".to_owned() } else { calls.join(", ").trim_end().to_owned() }
}

/// What a trace does and says that is read from a journal.
fn block(json: &str) -> String {
    let trace: Trace = serde_json::from_str(json).unwrap_or_else(|why| panic!("{json}: {why}"));
    let paths = Paths::under("/r");
    let (mut undone, mut finished) = (Recorder::default(), Recorder::default());
    trace.undo(&paths, &mut undone).unwrap();
    trace.finish(&mut finished).unwrap();
    let lines = [
        serde_json::to_string(&trace).unwrap(),
        format!("undo: {}", listed(&undone.calls)),
        format!("undo by hand: {}", trace.undoing_by_hand()),
        format!("finish: {}", listed(&finished.calls)),
        format!("finish by hand: {}", trace.finishing_by_hand()),
    ];
    lines.join("\n")
}

#[test]
fn a_journal_of_another_version_is_read_and_undone_and_written_alike() {
    for expected in KINDS.trim_end().split("\n\n") {
        let json = expected.lines().next().unwrap_or_default();

        assert_eq!(block(json), expected);
    }
}

#[test]
fn every_kind_of_trace_is_in_the_list() {
    let jsons = KINDS.trim_end().split("\n\n").filter_map(|block| block.lines().next());
    let traces: Vec<Trace> = jsons.map(|json| serde_json::from_str(json).unwrap()).collect();
    let names: Vec<_> = traces.iter().map(|trace| format!("{trace:?}")).collect();
    let engine: Vec<_> = names.iter().filter_map(|name| name.strip_prefix("Engine(")).collect();
    let is_kind = |debug: &str, name: &str| debug.split(['(', ')']).next() == Some(name);
    for name in Trace::NAMES {
        assert!(names.iter().any(|debug| is_kind(debug, name)), "{name} is not in the list");
    }
    for name in EngineTrace::NAMES {
        assert!(engine.iter().any(|debug| is_kind(debug, name)), "{name} is not in the list");
    }
}
