//! Killed at every step, between two and within one.

use serde_json::json;

use crate::site::{INSTALL, PURGE, Site, differences};

const STEPS: usize = 5;

#[test]
fn an_installation_that_was_killed_after_any_step_is_carried_out_by_the_next() {
    let site = Site::fresh();
    let before = site.tree();
    let steps = site.steps(&INSTALL);
    assert!(steps > STEPS, "{steps}");
    for step in 1..steps {
        let mut installer = site.start(&INSTALL);
        assert!(installer.after(step), "step {step} is not the last");

        installer.kill();
        let again = site.done(&INSTALL);

        assert_eq!(again["findings"][0]["id"], json!("installation.interrupted"), "{step}");
        site.is_live();
        site.is_gone_without_trace(&before);
    }
}

#[test]
fn an_installation_that_was_killed_in_any_step_is_removed_without_trace() {
    let site = Site::fresh();
    let before = site.tree();
    let steps = site.steps(&INSTALL);
    for step in 1..=steps + 1 {
        site.start(&INSTALL).kill_in(step, steps);

        site.is_gone_without_trace(&before);
    }
}

#[test]
fn a_change_that_was_killed_is_carried_out_by_the_next_or_taken_back() {
    let site = Site::installed();
    let before = site.installed_tree();
    let change = ["configure", "--agent-port=6000"];
    let steps = site.steps(&change);
    assert!(steps >= STEPS, "{steps}");
    for step in 1..=steps {
        site.start(&change).kill_in(step, steps);

        let again = site.done(&["install"]);

        assert_eq!(again["findings"][0]["id"], json!("installation.interrupted"), "{step}");
        assert_eq!(differences(&before, &site.installed_tree()), [""; 0], "{step}");
        site.is_live();
    }
    for step in 1..steps {
        let port = (6000 + step).to_string();
        let change = ["configure", "--agent-port", &port];
        let mut installer = site.start(&change);
        assert!(installer.after(step), "step {step} is not the last");

        installer.kill();
        site.done(&change);

        assert_eq!(site.setting("agent-port"), json!(port), "{step}");
        site.is_live();
    }
}

#[test]
fn a_change_that_was_killed_does_not_keep_the_installation_from_being_removed() {
    let site = Site::fresh();
    let before = site.tree();
    let change = ["configure", "--agent-port=6000"];
    let mut step = 0;
    loop {
        site.done(&INSTALL);
        let steps = site.steps(&change);
        // Every other step is enough, since all are undone in the same way.
        step += 2;
        if step > steps + 1 {
            break;
        }
        site.start(&change).kill_in(step, steps);

        site.is_gone_without_trace(&before);
    }
}

#[test]
fn a_removal_that_was_killed_is_carried_out_by_the_next_or_taken_back() {
    let site = Site::fresh();
    let before = site.tree();
    site.done(&INSTALL);
    let installed = site.installed_tree();
    let steps = site.steps(&PURGE);
    for step in 1..steps {
        site.start(&PURGE).kill_in(step, steps);

        site.done(&["install"]);

        site.is_live();
        assert_eq!(differences(&installed, &site.installed_tree()), [""; 0], "{step}");
    }
    for step in 1..steps {
        let mut installer = site.start(&PURGE);
        assert!(installer.after(step), "step {step} is not the last");
        installer.kill();

        site.is_gone_without_trace(&before);
        site.done(&INSTALL);
    }
    for step in [steps, steps + 1] {
        site.start(&PURGE).kill_in(step, steps);
        // There may be nothing left to remove.
        let _ = site.run(&PURGE);
        site.is_as(&before);
        site.done(&INSTALL);
    }
}
