//! The engine stops and restarts while the installer runs.

use e2e::stepped::JOURNAL;
use serde_json::json;

use crate::site::{INSTALL, PURGE, Site, error};

#[test]
fn an_engine_that_is_killed_halfway_is_told_and_the_next_command_repairs() {
    let Some(mut site) = Site::fresh() else { return };
    let before = site.state();
    let steps = site.plan(&INSTALL);
    let installer = site.start_until(&INSTALL, &steps, "write the stack file");
    site.machine.kill_engine();

    let (output, said) = installer.end();

    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(error(&output)["id"], json!("step.failed"));
    assert!(said.contains("docker"), "{said}");
    assert!(said.contains("not all changes were undone"), "{said}");
    assert!(site.machine.path(JOURNAL).exists(), "the journal is kept");
    // A further command without an engine does not lose it either.
    let _ = site.run(&INSTALL);
    assert!(site.machine.path(JOURNAL).exists(), "the journal is kept");

    site.machine.start_engine();
    let again = site.done(&INSTALL);

    assert_eq!(again["findings"][0]["id"], json!("installation.interrupted"));
    site.is_live();
    site.is_gone_without_trace(&before, "after the engine was killed");
}

#[test]
fn an_engine_that_is_restarted_halfway_makes_no_difference_in_the_end() {
    let Some(mut site) = Site::installed() else { return };
    let change = ["configure", "--agent-port=6001"];
    let steps = site.plan(&change);
    let installer = site.start_until(&change, &steps, "write the stack file");
    site.machine.kill_engine();
    site.machine.start_engine();

    let (output, said) = installer.end();

    // The new engine deploys the services, and the installer does not notice the restart.
    assert_eq!(output.status.code(), Some(0), "{said}");
    site.is_live();
    assert_eq!(site.values(cmsg_config::socket::Role::Cm, "AgentPort"), ["6001"]);
}

#[test]
fn what_is_installed_is_not_removed_while_its_engine_is_away() {
    let Some(mut site) = Site::fresh() else { return };
    let before = site.state();
    site.done(&INSTALL);
    let files = site.shell("find /opt/teradici | sort");
    site.machine.kill_engine();

    let refused = site.fails(&PURGE, 3);

    assert_eq!(refused["id"], json!("docker.not-running"), "{refused}");
    assert_eq!(site.shell("find /opt/teradici | sort"), files);
    site.machine.start_engine();
    site.is_gone_without_trace(&before, "after the engine came back");
}
