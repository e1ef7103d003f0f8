//! A broker whose certificate is refused: what the Connection Manager, `status` and `configure`
//! report, and how to make logons work again.

#[path = "broker_trust/logons.rs"]
mod logons;
#[path = "broker_trust/presenter.rs"]
mod presenter;
#[path = "broker_trust/reasons.rs"]
mod reasons;

use std::{
    fs,
    time::{Duration, Instant},
};

use e2e::{
    installation::{Installation, until_logged},
    installer::document,
};
use serde_json::Value;

/// A timeout for the slowest machine.
const WAIT: Duration = Duration::from_secs(60);

/// Requests the status until the Connection Manager reports this about the broker.
fn until(site: &Installation, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = document(&site.run(&["status"]));
        if is_so(&status["roles"]["cm"]) {
            return status;
        }
        assert!(begun.elapsed() < WAIT, "{what}: {status:#}");
    }
}

/// The Connection Manager's log.
fn log(site: &Installation) -> String {
    until_logged();
    let folder = site.paths().connection_manager_logs();
    let entries = fs::read_dir(folder).expect("there is a folder of logs");
    let texts = entries.map(|entry| fs::read_to_string(entry.expect("it can be listed").path()));
    texts.collect::<Result<String, _>>().expect("a log is text")
}

/// The findings of a document with that id.
fn findings<'a>(document: &'a Value, id: &str) -> Vec<&'a Value> {
    let all = document["findings"].as_array().expect("there are findings");
    all.iter().filter(|finding| finding["id"] == id).collect()
}

/// The text of a finding and its fix.
fn words(finding: &Value) -> (&str, &str) {
    let text = |key: &str| finding[key].as_str().expect("it is a text");
    (text("what"), text("cure"))
}
