//! Services that do not start: the change is rolled back automatically, and the reason is reported.

use cmsg_config::socket::Role;
use serde_json::json;

use crate::site::{INSTALL, Site, error};

#[test]
fn a_port_that_is_taken_on_the_way_ends_with_4_and_the_service_is_where_it_was() {
    let Some(site) = Site::installed() else { return };
    let tasks = site.tasks();
    let listens = site.status(Role::Cm).listens;
    let before = site.state();
    let change = ["configure", "--listen=broker=0.0.0.0:8443"];
    let steps = site.plan(&change);
    let installer = site.start_until(&change, &steps, "write the stack file");
    let taken = site.machine.in_network(|| std::net::TcpListener::bind("0.0.0.0:8443"));
    let _taken = taken.expect("the port is free until then");

    let (output, said) = installer.end();

    assert_eq!(output.status.code(), Some(4), "{said}");
    let finding = error(&output);
    assert_eq!(finding["id"], json!("role.not-live"), "{finding}");
    assert!(finding["cure"].to_string().contains("all changes were undone"), "{finding}");
    assert!(said.contains("0.0.0.0:8443") && said.contains("in use"), "{said}");
    assert_eq!(site.status(Role::Cm).listens, listens);
    site.is_as(&before, "rolled back");
    // The other service is not affected.
    assert_eq!(site.tasks()[1], tasks[1]);
}

#[test]
fn a_value_that_only_the_daemon_can_refuse_is_told_and_mended_by_hand() {
    let Some(site) = Site::installed() else { return };
    site.replace("SecurityGateway.conf", "^LogDirectory.*", "LogDirectory = /nowhere");
    let change = ["configure", "--agent-port=6001"];

    let failed = site.run(&change);

    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(4), "{said}");
    assert_eq!(error(&failed)["id"], json!("role.not-live"), "{said}");
    assert!(said.contains("/nowhere"), "{said}");
    // The installer does not undo the administrator's own line.
    assert!(said.contains("not all changes were undone"), "{said}");
    let tasks = site.tasks();
    site.replace(
        "SecurityGateway.conf",
        "^LogDirectory.*",
        "LogDirectory = /var/log/Teradici/SecurityGateway",
    );
    let again = site.done(&change);
    assert_eq!(again["findings"][0]["id"], json!("installation.interrupted"));
    site.is_live();
    assert_eq!(site.values(Role::Cm, "AgentPort"), ["6001"]);
    assert_ne!(site.tasks(), tasks);
}

#[test]
fn an_installation_whose_port_is_taken_on_the_way_ends_with_4_and_leaves_nothing() {
    let Some(site) = Site::fresh() else { return };
    let before = site.state();
    let steps = site.plan(&INSTALL);
    let installer = site.start_until(&INSTALL, &steps, "write the stack file");
    let taken = site.machine.in_network(|| std::net::TcpListener::bind("0.0.0.0:443"));
    let _taken = taken.expect("the port is free until then");

    let (output, said) = installer.end();

    assert_eq!(output.status.code(), Some(4), "{said}");
    let finding = error(&output);
    assert_eq!(finding["id"], json!("role.not-live"), "{finding}");
    let what = finding["what"].to_string();
    assert!(what.contains("the connection manager is not healthy"), "{what}");
    assert!(said.contains("0.0.0.0:443") && said.contains("in use"), "{said}");
    site.is_as(&before, "rolled back");
}
