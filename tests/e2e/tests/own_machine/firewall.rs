//! The real firewalld: the ports for clients are opened immediately and permanently, and nothing
//! else changes.

use std::process::Stdio;

use e2e::{
    machine::Machine,
    needs::{Need, met},
};
use serde_json::Value;

use crate::installed::Site;

/// Makes firewalld look as if systemd started it.
const STARTS: &str = "mkdir -p /etc/systemd/system/multi-user.target.wants && ln -sfn \
                      /lib/systemd/system/firewalld.service \
                      /etc/systemd/system/multi-user.target.wants/firewalld.service";
const START: &str = "mkdir -p /run/dbus && dbus-daemon --system --fork && \
                     (firewalld --nofork --nopid >/run/firewalld.log 2>&1 &) && \
                     for _ in $(seq 300); do firewall-cmd --state && exit 0; sleep 0.2; done; exit 1";
/// The guide's settings for IPv6, and unrelated open ports.
const GUIDE: &str = "firewall-cmd --add-port=9443/tcp && \
     firewall-cmd --permanent --add-port=8022/tcp && \
     firewall-cmd --add-forward-port=port=443:proto=tcp:toport=8443 && \
     firewall-cmd --permanent --add-forward-port=port=443:proto=tcp:toport=8443 && \
     firewall-cmd --permanent --add-rich-rule='rule family=ipv6 forward-port protocol=tcp port=80 \
     to-port=8080'";
const VENDORS: &str = "port=443:proto=tcp:toport=8443:toaddr=";

/// A machine with a running firewalld.
fn site() -> Option<Site> {
    let tools = ["firewalld", "firewall-cmd", "firewall-offline-cmd", "dbus-daemon", "nft"];
    if !met(&tools.map(Need::Tool)) {
        return None;
    }
    let site = Site::fresh()?;
    shell(&site.machine, STARTS);
    // Remove the settings of the real machine.
    shell(&site.machine, "rm -rf /etc/firewalld/zones/* /etc/firewalld/services/*");
    Some(site)
}

fn shell(machine: &Machine, script: &str) -> String {
    machine.tell("bash", &["-c", script])
}

/// All rules of a set, and its services.
fn rules(site: &Site, tool: &str) -> String {
    shell(&site.machine, &format!("{tool} --list-all-zones; {tool} --get-services"))
}

const NOW: &str = "firewall-cmd";
const KEPT: &str = "firewall-cmd --permanent";
const OFFLINE: &str = "firewall-offline-cmd";

/// A line of the default zone: `services`, `ports`.
fn line(site: &Site, tool: &str, key: &str) -> Vec<String> {
    let told = shell(&site.machine, &format!("{tool} --zone=public --list-{key}"));
    let mut words: Vec<_> = told.split_whitespace().map(str::to_owned).collect();
    words.sort_unstable();
    words
}

fn findings(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().into_iter().flatten();
    findings
        .filter(|finding| finding["id"].as_str().is_some_and(|id| id.starts_with("host.firewall")))
        .filter_map(|finding| finding["cure"].as_str())
        .collect()
}

#[test]
fn firewalld_lets_clients_in_at_once_and_for_good_and_is_as_it_was_afterwards() {
    let Some(site) = site() else { return };
    shell(&site.machine, START);
    shell(&site.machine, GUIDE);
    let before = [NOW, KEPT].map(|tool| rules(&site, tool));

    let (code, document) = site.install(&[]);

    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(
        findings(&document),
        [
            "nothing to do: `install` allows it, and `uninstall` undoes that",
            "nothing to do: `install` removes that rule, and `uninstall` restores it",
            "nothing to do: `install` removes that rule, and `uninstall` restores it",
        ]
    );
    assert_eq!(
        line(&site, NOW, "ports"),
        ["4172/tcp", "4172/udp", "443/tcp", "80/tcp", "9443/tcp"]
    );
    assert_eq!(line(&site, KEPT, "ports"), ["8022/tcp"]);
    assert_eq!(line(&site, KEPT, "services"), ["dhcpv6-client", "pcoip-cmsg", "ssh"]);
    let [now, kept] = [NOW, KEPT].map(|tool| rules(&site, tool));
    assert!(!now.contains("toport") && !kept.contains("toport") && !kept.contains("to-port"));
    let ports = shell(&site.machine, "firewall-cmd --permanent --service=pcoip-cmsg --get-ports");
    assert_eq!(ports.trim(), "443/tcp 80/tcp 4172/tcp 4172/udp");
    let again = site.install(&[]);
    assert_eq!(again.1["plan"].as_array().map(Vec::len), Some(1), "{:#}", again.1);
    assert_eq!(site.run(&["uninstall", "--yes"]).status.code(), Some(0));
    assert_eq!([NOW, KEPT].map(|tool| rules(&site, tool)), before);
    let left = shell(&site.machine, "ls -A /etc/firewalld/services /run/*.xml 2>/dev/null; true");
    assert!(!left.contains("pcoip"), "{left}");
}

#[test]
fn what_firewalld_loaded_anew_is_changed_and_taken_back_too() {
    let Some(site) = site() else { return };
    shell(&site.machine, START);
    let before = [NOW, KEPT].map(|tool| rules(&site, tool));
    assert_eq!(site.install(&[]).0, Some(0));
    shell(&site.machine, "firewall-cmd --reload");
    assert_eq!(line(&site, NOW, "services"), ["dhcpv6-client", "pcoip-cmsg", "ssh"]);
    let known = rules(&site, NOW);

    let configured = site.run(&["configure", "--listen=http=off"]);

    assert_eq!(configured.status.code(), Some(0), "{}", e2e::installer::document(&configured));
    assert_eq!(line(&site, NOW, "services"), ["dhcpv6-client", "ssh"]);
    assert_eq!(line(&site, NOW, "ports"), ["4172/tcp", "4172/udp", "443/tcp"]);
    let ports = shell(&site.machine, "firewall-cmd --permanent --service=pcoip-cmsg --get-ports");
    assert_eq!(ports.trim(), "443/tcp 4172/tcp 4172/udp");
    // If the roles do not start, the firewall is unchanged.
    let failed = site.install(&["--daemon=/bin/true", "--listen=http=0.0.0.0:80"]);
    assert_eq!(failed.0, Some(4), "{:#}", failed.1);
    assert_eq!(line(&site, NOW, "ports"), ["4172/tcp", "4172/udp", "443/tcp"]);
    assert_eq!(site.run(&["uninstall", "--yes", "--purge"]).status.code(), Some(0));
    // firewalld forgets a removed service when it reloads its files.
    assert!(known.contains("pcoip-cmsg"));
    shell(&site.machine, "firewall-cmd --reload");
    assert_eq!([NOW, KEPT].map(|tool| rules(&site, tool)), before);
}

#[test]
fn where_firewalld_is_not_up_its_files_are_changed_for_when_it_starts() {
    let Some(site) = site() else { return };
    let forward = "--add-forward-port=port=443:proto=tcp:toport=8443";
    shell(&site.machine, &format!("{OFFLINE} --zone=public {forward}"));
    let before = rules(&site, OFFLINE);

    let (code, document) = site.install(&[]);

    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(findings(&document).len(), 2, "{document:#}");
    assert_eq!(line(&site, OFFLINE, "services"), ["dhcpv6-client", "pcoip-cmsg", "ssh"]);
    assert!(!rules(&site, OFFLINE).contains(VENDORS));
    shell(&site.machine, START);
    assert_eq!(line(&site, NOW, "services"), ["dhcpv6-client", "pcoip-cmsg", "ssh"]);
    assert_eq!(site.run(&["uninstall", "--yes"]).status.code(), Some(0));
    assert_eq!(rules(&site, OFFLINE), before);
    assert_eq!(line(&site, NOW, "services"), ["dhcpv6-client", "ssh"]);
}

#[test]
fn a_client_from_outside_gets_in_when_it_is_installed_and_not_afterwards() {
    let Some(site) = site() else { return };
    let outside = "ip netns add outside && ip link add inside type veth peer name eth0 netns outside \
                   && ip address add 198.51.100.1/24 dev inside && ip link set inside up && \
                   ip -n outside address add 198.51.100.2/24 dev eth0 && \
                   ip -n outside link set eth0 up";
    shell(&site.machine, outside);
    shell(&site.machine, START);
    let reaches = || {
        let mut curl = site.machine.command("ip");
        curl.args(["netns", "exec", "outside", "curl", "-ks", "--max-time", "10"]);
        curl.arg("https://198.51.100.1/health").stdout(Stdio::null());
        curl.status().expect("`ip` starts").success()
    };

    assert_eq!(site.install(&[]).0, Some(0));
    assert!(reaches());
    shell(&site.machine, "firewall-cmd --reload");
    assert!(reaches());
    // The service is still running when only the firewall is closed.
    shell(&site.machine, "firewall-cmd --zone=public --remove-service=pcoip-cmsg");
    assert!(!reaches(), "the firewall lets everybody in anyway");
}
