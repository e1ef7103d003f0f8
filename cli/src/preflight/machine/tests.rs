use super::{
    super::tests::{BOTH, configured, configured_facts},
    *,
};
use crate::{
    finding::Level,
    host::{
        engine::EngineFact,
        machine::{
            Machine, System,
            firewall::{Firewall, Rules},
            kernel::Said,
        },
    },
    installation::surroundings::KernelKey,
    plan::tests::wanted,
    wanted::listen::ListenKey,
};
use cmsg_config::socket::Role;
use cmsg_engine::EngineFacts;

/// The id and the text of all that is found on a host that is changed a little.
fn found(change: impl FnOnce(&mut Facts)) -> Vec<(&'static str, String)> {
    let (wanted, _) = wanted(BOTH);
    let mut facts = configured_facts(&wanted);
    change(&mut facts);
    let findings = check(&wanted, &facts).into_iter().chain(limits(&wanted, &facts));
    findings
        .map(|finding| {
            assert_eq!(finding.level, Level::Warning);
            (finding.id, format!("{}; {}", finding.what, finding.cure))
        })
        .collect()
}

fn ids(change: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
    found(change).into_iter().map(|(id, _)| id).collect()
}

fn system(id: &str, version: &str) -> Option<System> {
    Some(System { id: id.into(), version: version.into(), name: format!("{id} {version}") })
}

#[test]
fn services_that_run_as_root_are_found_under_a_folder_only() {
    let place = |root: Option<&str>, runtime| Location { root: root.map(Into::into), runtime };
    let table = [
        (place(Some("/r"), Runtime::Host), true, true),
        (place(Some("/r"), Runtime::Host), false, false),
        (place(None, Runtime::Host), true, false),
        (place(None, Runtime::Swarm), true, false),
    ];
    for (place, is_root, is_found) in table {
        let found = services_of_root(&place, is_root).map(|finding| finding.id);

        assert_eq!(found, is_found.then_some("host.services-run-as-root"), "{place:?}");
    }
}

/// The smallest machine that is good.
fn good() -> Machine {
    Machine {
        system: system("rocky", "9.4"),
        processors: Some(2),
        megahertz: Some(2_450),
        memory: Some(3_500_000_000),
        swap: Some(4_000_000_000),
        enforces_selinux: Some(false),
        lent_ports: Some(32_768..=60_999),
        reserved_ports: Some(Vec::new()),
        own_files: Some(21_000),
        most_files: Some(0),
        tracked_connections: Some(40_000),
        ..Machine::default()
    }
}

#[test]
fn what_is_unknown_or_just_enough_is_not_told() {
    assert_eq!(found(|facts| facts.machine = Machine::default()), []);
    assert_eq!(found(|facts| facts.machine = good()), []);
}

#[test]
fn a_machine_below_the_documented_minimums_is_told() {
    type Edit = fn(&mut Machine);
    let table: [(Edit, &str, &str); 7] = [
        (|m| m.processors = Some(1), "host.processors", "the host has 1 processor, but 2 are"),
        (|m| m.megahertz = Some(2_300), "host.clock-speed", "run at 2300 MHz, but 2500 MHz is"),
        (|m| m.memory = Some(2_090_000_000), "host.memory", "has 2.0 GB of memory, but 4 GB is"),
        (|m| m.swap = Some(0), "host.swap", "the host has 0.0 GB of swap space, but 4 GB is"),
        (|m| m.enforces_selinux = Some(true), "host.selinux", "SELinux is enforcing"),
        (
            |m| m.own_files = Some(20_999),
            "host.file-limit",
            "may open 20999 files, but a service with `MaxConnections = 10000` needs 21000",
        ),
        (
            |m| m.tracked_connections = Some(39_999),
            "host.tracked-connections",
            "tracks at most 39999 connections, but `MaxConnections` allows 40000; \
             `sysctl -w net.netfilter.nf_conntrack_max=80000`",
        ),
    ];
    for (change, id, part) in table {
        let told = found(|facts| {
            facts.machine = good();
            change(&mut facts.machine);
        });

        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 == id && told[0].1.contains(part), "{told:?}");
    }
}

#[test]
fn systems_other_than_the_documented_ones_are_told() {
    let table = [
        ("rhel", "8.10", true),
        ("rhel", "9", true),
        ("rocky", "8.9", true),
        ("rocky", "9.4", true),
        ("rhel", "10.0", false),
        ("rhel", "7.9", false),
        ("almalinux", "9.4", false),
        ("debian", "12", false),
        ("arch", "", false),
    ];
    for (id, version, is_good) in table {
        let told = found(|facts| facts.machine.system = system(id, version));

        let what = format!("the operating system is {id} {version}").trim().to_owned();
        let cure = "for production use RHEL or Rocky Linux, version 8 or 9";
        let expected =
            if is_good { vec![] } else { vec![("host.system", format!("{what}; {cure}"))] };
        assert_eq!(told, expected);
    }
}

#[test]
fn the_limits_follow_the_configuration_and_the_runtime() {
    let table = [
        ("host", "MaxConnections = 100000\n", Some(200_999), Some(1), vec!["host.file-limit"]),
        ("host", "MaxConnections = 100000\n", Some(201_000), Some(1), vec![]),
        ("swarm", "MaxConnections = 100000\n", Some(1), Some(200_999), vec!["host.file-limit"]),
        ("swarm", "MaxConnections = 100000\n", Some(1), Some(201_000), vec![]),
        ("host", "MaxConnections = many\n", Some(20_999), None, vec!["host.file-limit"]),
        ("units", "MaxConnections = 100000\n", Some(1), Some(200_999), vec!["host.file-limit"]),
        ("units", "MaxConnections = 100000\n", Some(1), Some(201_000), vec![]),
    ];
    for (runtime, conf, own_files, most_files, expected) in table {
        let kept_by = if runtime == "units" { "host" } else { runtime };
        let (wanted, _) = wanted(&BOTH.replace("runtime: host", &format!("runtime: {kept_by}")));
        let mut facts = configured_facts(&wanted);
        facts.installed.units.are_used = runtime == "units";
        configured(&mut facts, Role::Sg, conf);
        facts.machine = Machine { own_files, most_files, ..Machine::default() };

        let told = limits(&wanted, &facts);

        let told: Vec<_> = told.iter().map(|finding| finding.id).collect();
        assert_eq!(told, expected, "{runtime} {conf}");
    }
}

#[test]
fn the_limit_that_docker_sets_for_containers_counts() {
    let (wanted, _) = wanted(&BOTH.replace("runtime: host", "runtime: swarm"));
    let mut facts = configured_facts(&wanted);
    facts.machine = Machine { most_files: Some(1_000_000), ..Machine::default() };
    let engine = EngineFacts { open_files: Some(4096), ..EngineFacts::default() };
    facts.engine = EngineFact::There(Box::new(engine));

    let [limit] = &limits(&wanted, &facts)[..] else { panic!("there is one limit") };

    assert_eq!(limit.id, "host.file-limit");
    assert!(limit.what.starts_with("a process may open 4096 files"), "{}", limit.what);
    assert!(limit.cure.contains("`default-ulimits`"), "{}", limit.cure);
}

#[test]
fn the_port_to_agents_is_to_be_reserved_where_the_system_lends_it() {
    let told = |port: u16, reserved: Option<Vec<std::ops::RangeInclusive<u16>>>| {
        found(|facts| {
            facts.machine.lent_ports = Some(32_768..=60_999);
            facts.machine.reserved_ports = reserved;
            facts.listeners.get_mut(&ListenKey::UdpSource).unwrap().address =
                Some(([0, 0, 0, 0], port).into());
        })
    };

    assert_eq!(
        told(55_000, Some(vec![8080..=8080, 9148..=9150])),
        [(
            "host.reserved-ports",
            "the kernel may give port 55000 of `udp-source` to another program while \
             the gateway is stopped; `sysctl -w \
             net.ipv4.ip_local_reserved_ports=8080,9148-9150,55000`, and the same in a file under \
             `/etc/sysctl.d`"
                .to_owned()
        )]
    );
    assert_eq!(told(55_000, Some(vec![54_000..=55_000])), []);
    assert_eq!(told(25_000, Some(Vec::new())), []);
    assert_eq!(told(55_000, None), []);
}

#[test]
fn what_the_installer_sets_itself_needs_no_cure_unless_another_file_has_the_last_word() {
    let said = |path: &str, is_after_ours, value: &str| Said {
        path: path.into(),
        is_after_ours,
        key: KernelKey::ReservedPorts,
        value: value.to_owned(),
    };
    let told = |said: Vec<Said>, is_prepared| {
        found(|facts| {
            everywhere(facts);
            facts.machine.is_prepared = is_prepared;
            facts.machine.lent_ports = Some(32_768..=60_999);
            facts.machine.reserved_ports = Some(Vec::new());
            facts.machine.kernel.values = [(KernelKey::ReservedPorts, String::new())].into();
            facts.machine.kernel.said = said;
        })
    };
    let reserved = (
        "host.reserved-ports",
        "the kernel may give port 55000 of `udp-source` to another program while \
         the gateway is stopped; nothing to do: `install` reserves it, and `uninstall` undoes that"
            .to_owned(),
    );
    let overridden = (
        "host.kernel-settings",
        "`/etc/sysctl.d/99-a.conf` sets `net.ipv4.ip_local_reserved_ports` to `8080` when the \
         machine starts, after the installer's own `/etc/sysctl.d/60-pcoip-cmsg.conf`; set it to \
         `8080,55000` in that file, or remove the line"
            .to_owned(),
    );

    let early = said("/etc/sysctl.d/50-a.conf", false, "8080");
    assert_eq!(told(vec![early.clone()], true), std::slice::from_ref(&reserved));
    let late = said("/etc/sysctl.d/99-a.conf", true, "8080");
    assert_eq!(told(vec![early, late.clone()], true), [reserved, overridden]);
    let enough = said("/etc/sysctl.d/99-a.conf", true, "8080,55000");
    assert_eq!(told(vec![enough], true).len(), 1);
    assert_eq!(told(vec![late], false).len(), 1);
}

#[test]
fn other_container_tools_matter_to_swarm_alone() {
    let told = |runtime: &str, paths: &[&str]| {
        let (wanted, _) = wanted(&BOTH.replace("runtime: host", &format!("runtime: {runtime}")));
        let mut facts = configured_facts(&wanted);
        facts.machine.other_engines = paths.iter().map(Into::into).collect();
        check(&wanted, &facts)
    };
    let warning = Finding::warning(
        "host.other-engines",
        "container tools besides Docker are installed: `/bin/podman` and `/bin/buildah`",
        "remove them: `dnf erase podman buildah`",
    );

    assert_eq!(told("swarm", &["/bin/podman", "/bin/buildah"]), [warning]);
    assert_eq!(told("swarm", &[]), []);
    assert_eq!(told("host", &["/bin/podman"]), []);
}

/// What firewalld tells of the one zone in use.
fn firewall(lines: &str) -> Option<Firewall> {
    let text = format!("work (active)\n  target: default\n{lines}");
    Some(Firewall { now: Some(Rules::parse(&text, "public")), kept: None })
}

/// The documented ports on all addresses.
fn everywhere(facts: &mut Facts) {
    let ports = [
        (ListenKey::Broker, 443),
        (ListenKey::Http, 80),
        (ListenKey::Pcoip, 4172),
        (ListenKey::UdpSource, 55_000),
    ];
    for (key, port) in ports {
        facts.listeners.get_mut(&key).unwrap().address = Some(([0, 0, 0, 0], port).into());
    }
}

#[test]
fn ports_that_the_firewall_closes_are_told_with_the_command_that_opens_them() {
    let told = found(|facts| {
        everywhere(facts);
        facts.machine.firewall = firewall("  services: ssh https\n  ports: 4000-4172/tcp\n");
    });

    let what = "firewalld blocks clients from 80/tcp, 4172/udp; `firewall-cmd --zone=work \
                --add-port=80/tcp --add-port=4172/udp`, and again with `--permanent`";
    assert_eq!(told, [("host.firewall-closed", what.to_owned())]);
}

#[test]
fn a_firewall_opens_a_port_by_number_service_rule_or_target() {
    const ALL: &str = "  ports: 80/tcp 443/tcp 4172/tcp 4172/udp\n";
    const RULES: &str = "  services: http\n  ports: 4172/tcp 4172/udp\n  rich rules: \n\t";
    let table = [
        (ALL.to_owned(), true),
        (format!("{RULES}rule port port=\"443\" protocol=\"tcp\" accept\n"), true),
        (format!("{RULES}rule family=\"ipv4\" service name=\"https\" accept\n"), true),
        (format!("{RULES}rule port port=\"443\" protocol=\"tcp\" reject\n"), false),
        (format!("{RULES}rule port port=\"443\" protocol=\"udp\" accept\n"), false),
        ("  target: ACCEPT\n".to_owned(), true),
        (ALL.replace("443/tcp", "443-x/tcp"), false),
        (ALL.replace("443/tcp", "443"), false),
    ];
    for (lines, is_open) in table {
        let told = ids(|facts| {
            everywhere(facts);
            facts.machine.firewall = firewall(&lines);
        });

        assert_eq!(told.is_empty(), is_open, "{lines}");
    }
}

#[test]
fn a_firewall_does_not_matter_on_loopback() {
    assert_eq!(ids(|facts| facts.machine.firewall = firewall("")), [""; 0]);
}

#[test]
fn a_forward_away_from_a_port_of_ours_is_told() {
    let rule = "rule family=\"ipv6\" forward-port port=\"80\" protocol=\"tcp\" to-port=\"8080\"";
    let told = found(|facts| {
        everywhere(facts);
        facts.machine.firewall = firewall(&format!(
            "  target: ACCEPT\n  forward-ports: \n\tport=443:proto=tcp:toport=8443:toaddr=\n\t\
             port=25:proto=tcp:toport=2525:toaddr=\n  rich rules: \n\t{rule}\n"
        ));
    });

    let expected = [
        "firewalld forwards 443/tcp elsewhere: \
         port=443:proto=tcp:toport=8443:toaddr=; `firewall-cmd --zone=work \
         --remove-forward-port=port=443:proto=tcp:toport=8443:toaddr=`, and again with \
         `--permanent`"
            .to_owned(),
        format!(
            "firewalld forwards 80/tcp elsewhere: {rule}; `firewall-cmd --zone=work \
             --remove-rich-rule='{rule}'`, and again with `--permanent`"
        ),
    ];
    assert_eq!(told, expected.map(|text| ("host.firewall-forward", text)));
}

#[test]
fn what_the_installer_does_about_a_firewall_itself_needs_no_cure() {
    let vendors = "port=443:proto=tcp:toport=8443:toaddr=";
    let other = "port=80:proto=tcp:toport=8080:toaddr=192.0.2.9";
    let told = found(|facts| {
        everywhere(facts);
        facts.machine.is_prepared = true;
        let lines = format!(
            "  services: http https\n  ports: 4172/tcp\n  forward-ports: \n\t{vendors}\n\t{other}\n"
        );
        facts.machine.firewall = firewall(&lines).map(|firewall| {
            let kept = firewall.now.clone();
            Firewall { kept, ..firewall }
        });
    });

    let expected = [
        (
            "host.firewall-closed",
            "firewalld blocks clients from 4172/udp; nothing to do: `install` allows it, and `uninstall` undoes that"
                .to_owned(),
        ),
        (
            "host.firewall-forward",
            format!(
                "firewalld forwards 443/tcp elsewhere: {vendors}; nothing to do: `install` removes that rule, and `uninstall` restores it"
            ),
        ),
        (
            "host.firewall-forward",
            format!(
                "firewalld forwards 80/tcp elsewhere: {other}; `firewall-cmd \
                 --zone=work --remove-forward-port={other}`, and again with `--permanent`"
            ),
        ),
    ];
    assert_eq!(told, expected);
}
