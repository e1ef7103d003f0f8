//! The kernel's settings for a gateway.

use std::fs::File;
use std::io::Write as _;

use e2e::{binaries, hosts::process::Process};
use serde_json::json;

use crate::installed::Site;

const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
const FILE: &str = "/etc/sysctl.d/60-pcoip-cmsg.conf";

/// A machine on which others have reserved ports.
fn site() -> Option<Site> {
    let site = Site::fresh()?;
    site.machine.tell("bash", &["-c", &format!("echo 8080,9000-9002 >{RESERVED}")]);
    let others = site.machine.path("/etc/sysctl.d/50-others.conf");
    let mut others = File::create(others).expect("the machine has the folder");
    others.write_all(b"net.ipv4.ip_local_reserved_ports = 8080\n").expect("it can be written");
    Some(site)
}

fn reserved(site: &Site) -> String {
    site.machine.tell("cat", &[RESERVED]).trim().to_owned()
}

#[test]
fn the_port_to_agents_is_reserved_now_and_later_and_given_back() {
    let Some(site) = site() else { return };

    let (code, document) = site.install(&[]);

    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(reserved(&site), "8080,9000-9002,55000");
    // This network is not the machine's first one, whose limits alone can be changed.
    let file = site.machine.tell("cat", &[FILE]);
    let lines: Vec<_> = file.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, ["net.ipv4.ip_local_reserved_ports = 8080,55000"]);
    assert_eq!(site.machine.tell("stat", &["-c", "%U:%G %a", FILE]).trim(), "root:root 644");
    // As when it starts.
    site.machine.tell("bash", &["-c", &format!("echo >{RESERVED}")]);
    site.machine.tell("sysctl", &["--quiet", "--load=/etc/sysctl.d/50-others.conf", FILE]);
    assert_eq!(reserved(&site), "8080,55000");
    assert_eq!(site.run(&["uninstall", "--yes"]).status.code(), Some(0));
    assert_eq!(reserved(&site), "8080");
    assert!(!site.machine.path(FILE).exists());
}

#[test]
fn without_a_gateway_and_after_a_failure_the_kernel_is_as_it_was() {
    let Some(site) = site() else { return };

    let (code, document) = site.install(&["--daemon=/bin/true"]);
    assert_eq!(code, Some(4), "{document:#}");
    assert_eq!(reserved(&site), "8080,9000-9002");
    assert!(!site.machine.path(FILE).exists());

    assert_eq!(site.install(&[]).0, Some(0));
    assert_eq!(reserved(&site), "8080,9000-9002,55000");
    let configured = site.run(&["configure", "--enable-security-gateway=false"]);
    assert_eq!(configured.status.code(), Some(0));
    assert_eq!(reserved(&site), "8080,9000-9002");
    assert!(!site.machine.path(FILE).exists());
    let planned = site.run(&["uninstall", "--dry-run", "--yes"]);
    let planned = e2e::installer::document(&planned);
    let steps: Vec<_> = planned["plan"].as_array().into_iter().flatten().collect();
    assert!(
        !steps.iter().any(|step| step["step"] == json!("set kernel parameters")),
        "{planned:#}"
    );
}

#[test]
fn a_port_that_ipv4_alone_has_is_taken_whatever_bindv6only_says() {
    let Some(site) = Site::fresh() else { return };
    site.machine.tell("sysctl", &["--quiet", "--write", "net.ipv6.bindv6only=1"]);
    let mut holder = site.machine.command(binaries::path("pcoip-sim"));
    holder.args(["agent", "--listen=0.0.0.0:443", "--pcoip-listen=127.0.0.1:5172"]);
    let mut holder = Process::start(holder);
    holder.wait_for(|event| event["event"] == "ready");

    let (code, document) = site.install(&["--enable-ipv6"]);

    assert_eq!(code, Some(3), "{document:#}");
    let taken = document["findings"].as_array().into_iter().flatten();
    let taken: Vec<_> = taken.filter(|finding| finding["level"] == "error").collect();
    let [taken] = taken[..] else { panic!("{document:#}") };
    assert_eq!(taken["id"], "port.taken");
}
