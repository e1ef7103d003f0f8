//! Told to end by a signal.

use e2e::installer::document;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::site::{INSTALL, PURGE, Site, differences};

const SIGNALS: [Signal; 2] = [Signal::SIGINT, Signal::SIGTERM];

/// Interrupts a command after each of its steps, also the last one that it tells, and asserts how it
/// ends.
fn at_every_step(site: &Site, words: &[&str], check: impl Fn(&str)) {
    let steps = site.steps(words);
    for (step, signal) in (1..steps).zip(SIGNALS.into_iter().cycle()) {
        let what = format!("{words:?}: {signal} after step {step}");
        let mut installer = site.start(words);
        assert!(installer.after(step), "{what}");

        installer.signal(signal);
        let (output, said) = installer.end();

        assert_eq!(output.status.code(), Some(130), "{what}: {said}");
        assert!(said.contains("error: interrupted\n"), "{what}: {said}");
        assert!(said.contains("hint: everything is undone"), "{what}: {said}");
        let document = document(&output);
        let last = document["findings"].as_array().and_then(|all| all.last());
        assert_eq!(last.map(|finding| &finding["id"]), Some(&json!("interrupted")), "{what}");
        check(&what);
    }
}

#[test]
fn an_installation_that_is_interrupted_leaves_nothing() {
    let site = Site::fresh();
    let before = site.tree();

    at_every_step(&site, &INSTALL, |_| site.is_as(&before));
}

#[test]
fn a_change_or_removal_that_is_interrupted_leaves_everything_as_it_was() {
    let site = Site::installed();
    let before = site.installed_tree();
    let is_as_before = |what: &str| {
        assert_eq!(differences(&before, &site.installed_tree()), [""; 0], "{what}");
        site.is_live();
    };

    at_every_step(&site, &["configure", "--agent-port=6000"], is_as_before);
    at_every_step(&site, &PURGE, is_as_before);
}
