use super::*;
use crate::system::recorder::firewall::Remembered;

/// The documented ports of both roles.
const DOORS: [OpenPort; 4] = [
    OpenPort { port: 443, transport: "tcp" },
    OpenPort { port: 80, transport: "tcp" },
    OpenPort { port: 4172, transport: "tcp" },
    OpenPort { port: 4172, transport: "udp" },
];
const FORWARD: &str = "port=443:proto=tcp:toport=8443:toaddr=";
const RICH: &str =
    "rule family=\"ipv6\" forward-port port=\"80\" protocol=\"tcp\" to-port=\"8080\"";

fn port(text: &str) -> Rule {
    Rule::Port(text.to_owned())
}

/// What happens, a line each.
fn told(change: &FirewallPlan) -> Vec<String> {
    let name = |sign: &str, Entry { scope, zone, rule }: &Entry| {
        format!("{sign} {scope:?} {zone} {}", rule.words().1)
    };
    let line = |edit: &Edit| match edit {
        Edit::Define { before, after } => format!("{} > {}", before.join(" "), after.join(" ")),
        Edit::Add(entry) => name("+", entry),
        Edit::Remove(entry) => name("-", entry),
    };
    change.edits.iter().map(line).collect()
}

/// Drafts it, does it, and returns what happened and what is ours.
fn make(
    firewall: &mut Remembered,
    ports: &[OpenPort],
    ours: &FirewallChanges,
) -> (Vec<String>, FirewallChanges) {
    let change = FirewallPlan::draft(&firewall.facts(), ports, ours);
    change.edits.iter().for_each(|edit| firewall.edit(edit));
    (told(&change), change.ours)
}

#[test]
fn a_closed_zone_gets_the_service_for_good_and_the_ports_for_the_present() {
    let mut firewall = Remembered::with(&[port("22/tcp")]);

    let (told, _) = make(&mut firewall, &DOORS, &FirewallChanges::default());

    assert_eq!(
        told,
        [
            " > 443/tcp 80/tcp 4172/tcp 4172/udp",
            "+ Kept public pcoip-cmsg",
            "+ Now public 443/tcp",
            "+ Now public 80/tcp",
            "+ Now public 4172/tcp",
            "+ Now public 4172/udp",
        ]
    );
}

#[test]
fn what_is_let_in_anyway_is_not_opened_and_not_ours() {
    let before = Remembered::with(&[port("443/tcp"), port("80/tcp"), port("4172/tcp")]);
    let mut open = before.clone();
    assert_eq!(
        make(&mut open, &DOORS[..3], &FirewallChanges::default()),
        (vec![], FirewallChanges::default())
    );

    let mut firewall = before.clone();
    let (told, ours) = make(&mut firewall, &DOORS, &FirewallChanges::default());

    let service = " > 443/tcp 80/tcp 4172/tcp 4172/udp";
    assert_eq!(told, [service, "+ Kept public pcoip-cmsg", "+ Now public 4172/udp"]);
    make(&mut firewall, &[], &ours);
    assert_eq!(firewall, before);
}

#[test]
fn an_installation_again_changes_nothing_whether_firewalld_has_started_anew_or_not() {
    let before = Remembered::with(&[Rule::Forward(FORWARD.to_owned()), port("22/tcp")]);
    for reloads in [false, true] {
        let mut firewall = before.clone();
        let (_, ours) = make(&mut firewall, &DOORS, &FirewallChanges::default());
        if reloads {
            firewall.reload();
        }

        let (told, ours) = make(&mut firewall, &DOORS, &ours);

        assert_eq!(told, [""; 0], "{reloads}");
        make(&mut firewall, &[], &ours);
        firewall.loaded.clear();
        assert_eq!(firewall, before, "{reloads}");
    }
}

#[test]
fn other_doors_take_the_place_of_the_first() {
    for reloads in [false, true] {
        let mut firewall = Remembered::default();
        let (_, ours) = make(&mut firewall, &DOORS, &FirewallChanges::default());
        if reloads {
            firewall.reload();
        }

        let (told, ours) = make(&mut firewall, &DOORS[..2], &ours);

        let service = "443/tcp 80/tcp 4172/tcp 4172/udp > 443/tcp 80/tcp";
        let expected: &[&str] = if reloads {
            &[service, "- Now public pcoip-cmsg", "+ Now public 443/tcp", "+ Now public 80/tcp"]
        } else {
            &[service, "- Now public 4172/tcp", "- Now public 4172/udp"]
        };
        assert_eq!(told, expected);
        make(&mut firewall, &[], &ours);
        firewall.loaded.clear();
        assert_eq!(firewall, Remembered::default());
    }
}

#[test]
fn a_port_that_somebody_has_made_permanent_stays() {
    let mut firewall = Remembered::default();
    let (_, ours) = make(&mut firewall, &DOORS, &FirewallChanges::default());
    let theirs = Entry { scope: Scope::Kept, zone: "public".to_owned(), rule: port("443/tcp") };
    firewall.edit(&Edit::Add(theirs));

    make(&mut firewall, &[], &ours);

    assert_eq!(firewall, Remembered::with(&[port("443/tcp")]));
}

#[test]
fn the_vendor_s_forwards_go_while_the_port_is_ours_and_come_back() {
    let other = "port=443:proto=tcp:toport=8443:toaddr=192.0.2.9";
    let rules = [FORWARD, other].map(|text| Rule::Forward(text.to_owned()));
    let before = Remembered::with(&[&rules[..], &[Rule::Rich(RICH.to_owned())]].concat());
    let mut firewall = before.clone();

    let (told, ours) = make(&mut firewall, &DOORS, &FirewallChanges::default());

    let removed: Vec<_> = told.iter().filter(|line| line.starts_with('-')).collect();
    assert_eq!(
        removed,
        [
            &format!("- Now public {FORWARD}"),
            &format!("- Now public {RICH}"),
            &format!("- Kept public {FORWARD}"),
            &format!("- Kept public {RICH}"),
        ]
    );
    // Without plain HTTP, port 80 is the vendor's again.
    let (told, ours) = make(&mut firewall, &DOORS[..1], &ours);
    let back: Vec<_> = told.iter().filter(|line| line.contains("8080")).collect();
    assert_eq!(back, [&format!("+ Now public {RICH}"), &format!("+ Kept public {RICH}")]);
    make(&mut firewall, &[], &ours);
    assert_eq!(firewall, before);
}

#[test]
fn what_was_brought_back_by_hand_is_not_brought_back_again() {
    let before = Remembered::with(&[Rule::Forward(FORWARD.to_owned())]);
    let mut firewall = before.clone();
    let (_, ours) = make(&mut firewall, &DOORS, &FirewallChanges::default());
    before.rules.iter().for_each(|entry| firewall.edit(&Edit::Add(entry.clone())));

    let (told, _) = make(&mut firewall, &[], &ours);

    assert!(!told.iter().any(|line| line.contains("8443")), "{told:?}");
    assert_eq!(firewall, before);
}

#[test]
fn where_firewalld_does_not_run_its_files_alone_change() {
    let mut facts = Remembered::default().facts();
    facts.now = None;

    let change = FirewallPlan::draft(&facts, &DOORS[..1], &FirewallChanges::default());

    assert_eq!(told(&change), [" > 443/tcp", "+ Kept public pcoip-cmsg"]);
    assert_eq!(change.ours, FirewallChanges::default());
}
