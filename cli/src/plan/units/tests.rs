use super::*;
use crate::{
    host::daemon::DaemonFact,
    plan::{
        self, Plan,
        tests::{BOTH, after, facts, wanted},
    },
    system::recorder::Recorder,
};

/// A host with systemd, on which nothing is installed.
pub(crate) fn booted() -> Facts {
    let mut facts = facts(&wanted(BOTH).0);
    facts.installed.units.are_used = true;
    facts
}

/// The same after both roles were installed.
pub(crate) fn installed() -> Facts {
    let (wanted, answers) = wanted(BOTH);
    let plan = plan::install(&wanted, &booted(), &answers);
    after(&plan, booted())
}

/// What is done to units and roles.
fn calls(plan: &Plan, facts: &Facts) -> Vec<String> {
    let mut system = Recorder::default();
    for (path, file) in &facts.installed.files {
        system.state.files.insert(path.clone(), file.content.text());
    }
    system.state.files.insert(Paths::under("/r").daemon(), String::new());
    system.state.systemd.read(&system.state.files.clone());
    for step in &plan.steps {
        step.perform(&mut system).unwrap();
    }
    let is_about_units = |call: &String| {
        let words: Vec<_> = call.split(' ').collect();
        let [verb, on, ..] = words[..] else { return call == "start" || call == "stop" };
        on.ends_with(".service") || ["start", "stop", "enable", "disable", "reload"].contains(&verb)
    };
    system.calls.into_iter().filter(is_about_units).collect()
}

fn install(text: &str, facts: &Facts) -> (Vec<String>, Vec<Role>) {
    let (wanted, answers) = wanted(text);
    let plan = plan::install(&wanted, facts, &answers);
    (calls(&plan, facts), plan.restarts)
}

#[test]
fn units_are_read_and_start_at_boot_before_the_roles_start() {
    let expected = [
        "write etc/systemd/system/pcoip-cmsg-connection-manager.service",
        "give etc/systemd/system/pcoip-cmsg-connection-manager.service Root 644",
        "write etc/systemd/system/pcoip-cmsg-security-gateway.service",
        "give etc/systemd/system/pcoip-cmsg-security-gateway.service Root 644",
        "reload units",
        "enable connection-manager",
        "enable security-gateway",
        "start connection-manager",
        "start security-gateway",
    ];

    assert_eq!(install(BOTH, &booted()), (expected.map(str::to_owned).into(), vec![]));
}

#[test]
fn installing_again_does_nothing_to_units() {
    assert_eq!(install(BOTH, &installed()), (vec![], vec![]));
}

#[test]
fn a_role_restarts_for_what_it_reads_and_the_other_runs_on() {
    let broker = BOTH.replace("https://b", "https://other");

    let expected = ["stop connection-manager", "start connection-manager"];
    assert_eq!(
        install(&broker, &installed()),
        (expected.map(str::to_owned).into(), vec![Role::Cm])
    );
}

#[test]
fn a_unit_of_another_version_is_replaced_and_restarts_its_role() {
    let mut facts = installed();
    let unit = layout::unit(&Paths::under("/r"), Role::Sg);
    facts.installed.files.get_mut(&unit).unwrap().content = "older".into();

    let expected = [
        "stop security-gateway",
        "rename etc/systemd/system/pcoip-cmsg-security-gateway.service \
         etc/systemd/system/pcoip-cmsg-security-gateway.service~",
        "write etc/systemd/system/pcoip-cmsg-security-gateway.service",
        "give etc/systemd/system/pcoip-cmsg-security-gateway.service Root 644",
        "reload units",
        "start security-gateway",
    ];
    assert_eq!(install(BOTH, &facts), (expected.map(str::to_owned).into(), vec![Role::Sg]));
}

#[test]
fn what_somebody_has_stopped_or_disabled_is_started_and_starts_at_boot() {
    let mut facts = installed();
    facts.installed.units.running = vec![Role::Cm];
    facts.installed.units.enabled = vec![Role::Sg];

    let expected = ["reload units", "enable connection-manager", "start security-gateway"];
    assert_eq!(install(BOTH, &facts), (expected.map(str::to_owned).into(), vec![]));
}

#[test]
fn a_role_that_is_not_wanted_loses_its_unit() {
    let text = format!("{BOTH}enable-security-gateway: false\n");

    // Beside no gateway a Connection Manager sends sessions elsewhere.
    let expected = [
        "stop connection-manager",
        "stop security-gateway",
        "disable security-gateway",
        "rename etc/systemd/system/pcoip-cmsg-security-gateway.service \
         etc/systemd/system/pcoip-cmsg-security-gateway.service~",
        "reload units",
        "start connection-manager",
    ];
    assert_eq!(install(&text, &installed()), (expected.map(str::to_owned).into(), vec![Role::Cm]));
}

#[test]
fn a_new_daemon_restarts_both_roles_and_a_supervisor_gives_way() {
    let both = ["connection-manager", "security-gateway"];
    let [stops, starts] = ["stop", "start"].map(|what| both.map(|role| format!("{what} {role}")));
    let mut facts = installed();
    facts.daemon = DaemonFact::Copy("/new".into());

    let (calls, restarts) = install(BOTH, &facts);

    assert_eq!(calls, [&stops[..], &starts].concat());
    assert_eq!(restarts, [Role::Cm, Role::Sg]);

    let mut supervised = plan::tests::installed(BOTH);
    supervised.installed.units.are_used = true;
    let (calls, restarts) = install(BOTH, &supervised);
    assert_eq!((&calls[0][..], &calls[calls.len() - 2..]), ("stop", &starts[..]));
    assert_eq!(restarts, [Role::Cm, Role::Sg]);
}

#[test]
fn a_limit_of_connections_that_was_edited_changes_the_memory_of_its_unit_alone() {
    let mut facts = installed();
    let conf = layout::conf(&Paths::under("/r"), Role::Sg);
    let unit = layout::unit(&Paths::under("/r"), Role::Sg);
    let file = facts.installed.files.get_mut(&conf).unwrap();
    file.content = format!("{}MaxConnections = 400\n", file.content.text()).into();
    let (wanted, answers) = wanted(BOTH);

    let plan = plan::install(&wanted, &facts, &answers);

    assert_eq!(plan.restarts, [Role::Sg]);
    let changed = after(&plan, facts).installed;
    let text = changed.content(&unit).unwrap().text();
    assert!(text.contains("\nMemoryMax=612M\n"), "{text}");
}

#[test]
fn a_removal_stops_and_takes_away_the_units() {
    let facts = installed();
    let plan = plan::uninstall(&Paths::under("/r"), &facts.installed, &facts.machine, None, false);

    let expected = [
        "stop connection-manager",
        "stop security-gateway",
        "disable connection-manager",
        "disable security-gateway",
        "rename etc/systemd/system/pcoip-cmsg-connection-manager.service \
         etc/systemd/system/pcoip-cmsg-connection-manager.service~",
        "rename etc/systemd/system/pcoip-cmsg-security-gateway.service \
         etc/systemd/system/pcoip-cmsg-security-gateway.service~",
        "reload units",
    ];
    assert_eq!(calls(&plan, &facts), expected);
}

#[test]
fn units_that_lie_under_another_root_are_not_ours() {
    let mut facts = installed();
    facts.installed.units.are_used = false;
    let plan = plan::uninstall(&Paths::under("/r"), &facts.installed, &facts.machine, None, true);

    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Units(_))));
}

#[test]
fn nothing_in_a_unit_is_left_open() {
    for role in [Role::Cm, Role::Sg] {
        let unit = render(&Paths::under("/"), role, 1762).text();

        assert!(!unit.contains(['{', '}']), "{unit}");
        let start = format!(
            "ExecStart=/opt/teradici/pcoipcm_data/bin/pcoip-cmsgd {} --config {}\n",
            role.command(),
            layout::conf(&Paths::under("/"), role).display()
        );
        assert!(unit.contains(&start), "{unit}");
        assert!(unit.contains("\nMemoryMax=1762M\n"), "{unit}");
    }
}
