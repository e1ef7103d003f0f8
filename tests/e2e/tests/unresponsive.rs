//! A service that is running, but hangs: it is reported as such, and `install` restarts it.

use e2e::{installation::Installation, installer::document};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

#[test]
fn a_gateway_that_hangs_is_reported_and_restarted() {
    let site = Installation::start();
    let [manager, gateway] = site.pids();
    let pid = Pid::from_raw(i32::try_from(gateway).expect("a process id is small"));
    kill(pid, Signal::SIGSTOP).expect("it runs");

    let status = site.run(&["status"]);
    let drain = site.run(&["drain"]);
    let restarted = site.done(&["install", "--yes"]);

    let found = document(&status)["findings"].clone();
    let found = found.as_array().into_iter().flatten();
    let found: Vec<_> = found.filter(|finding| finding["level"] == "error").collect();
    assert_eq!((status.status.code(), found.len()), (Some(1), 1), "{found:?}");
    assert_eq!(found[0]["id"], "role.not-responding");
    assert_eq!(found[0]["what"], "the security gateway is running but does not answer");
    let half = "the security gateway does not answer: there was no answer in time; the connection \
                manager is draining";
    assert_eq!(document(&drain)["findings"][0]["what"], half);
    assert_eq!(restarted["restarts"], json!(["sg"]));
    let [same, other] = site.pids();
    assert_eq!(same, manager);
    assert_ne!(other, gateway);
}
