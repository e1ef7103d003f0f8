//! Stopped by a signal.

use std::fs;

use e2e::installer::document;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::site::{INSTALL, PURGE, Site, differences};

/// The signals that stop an installer. A test that runs under `nohup` ignores SIGHUP, and so do its
/// children.
fn signals() -> Vec<Signal> {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    let ignores_hangups = ignored.is_some_and(|mask| mask.ends_with(['1', '3', '5', '7', '9']));
    let all = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    all.into_iter().filter(|signal| *signal != Signal::SIGHUP || !ignores_hangups).collect()
}

/// Interrupts a command after each of its steps, including the last one, and checks how it ends.
fn at_every_step(site: &Site, words: &[&str], check: impl Fn(&str)) {
    let steps = site.steps(words);
    for (step, signal) in (1..steps).zip(signals().into_iter().cycle()) {
        let what = format!("{words:?}: {signal} after step {step}");
        let mut installer = site.start(words);
        assert!(installer.after(step), "{what}");

        installer.signal(signal);
        let (output, said) = installer.end();

        assert_eq!(output.status.code(), Some(130), "{what}: {said}");
        assert!(said.contains("error: interrupted\n"), "{what}: {said}");
        assert!(said.contains("hint: all changes were undone"), "{what}: {said}");
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

#[test]
fn an_installation_under_nohup_survives_the_end_of_its_terminal() {
    let site = Site::fresh();
    let steps = site.steps(&INSTALL);
    let mut installer = site.start_under_nohup(&INSTALL);
    assert!(installer.after(steps / 2));

    installer.signal(Signal::SIGHUP);
    let (output, said) = installer.end();

    assert_eq!(output.status.code(), Some(0), "{said}");
    site.is_live();
}
