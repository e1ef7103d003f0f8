//! Wherever a plan breaks, the host is as it was.

use std::{collections::BTreeMap, path::PathBuf};

use super::*;
use crate::{
    host::{Facts, daemon::DaemonFact, export::Export},
    installation::{installed::Installed, layout, surroundings::KernelKey},
    plan::{
        self,
        tests::{BOTH, facts, installed, wanted},
        units,
    },
    step::make_certificate::MakeCertificate,
    system::recorder::{State, Systemd, firewall::Remembered},
    wanted::listen::ListenKey,
};

/// A plan and the host before it.
type Case = (Vec<Step>, State);

/// Everything is new, but the root's own folder.
fn first_installation() -> Case {
    let (wanted, answers) = wanted(BOTH);
    let mut facts = facts(&wanted);
    facts.installed.missing_folders = layout::all_folders(&paths()).split_off(2);
    facts.export = Some(Export { path: "/r/mine.yaml".into(), found: Ok(None) });
    prepare(&mut facts);
    (plan::install(&wanted, &facts, &answers).steps, state(&facts))
}

/// Has the machine prepared.
fn prepare(facts: &mut Facts) {
    facts.machine.is_prepared = true;
    facts.machine.firewall = Some(Remembered::default().facts());
    for key in [ListenKey::Broker, ListenKey::Pcoip] {
        let listener = facts.listeners.get_mut(&key).unwrap();
        listener.address = Some(([0, 0, 0, 0], listener.port().unwrap()).into());
    }
    facts.machine.kernel.has_folder = true;
    facts.machine.kernel.values =
        [(KernelKey::ReservedPorts, "8080"), (KernelKey::SendBuffer, "212992")]
            .map(|(key, value)| (key, value.to_owned()))
            .into();
}

/// Another daemon, other names, another broker, one role less, and a folder that was removed.
fn other_installation() -> Case {
    const OTHER: &str = "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\n\
                         broker-url: https://other\nhost-address: other.example\n\
                         enable-security-gateway: false\n";
    let (wanted, answers) = wanted(OTHER);
    let mut facts = installed(BOTH);
    facts.installed.missing_folders = vec![paths().connection_manager_logs()];
    facts.daemon = DaemonFact::Copy(PathBuf::from("/new"));
    (plan::install(&wanted, &facts, &answers).steps, state(&facts))
}

/// Everything is new, under systemd.
fn first_units() -> Case {
    let (wanted, answers) = wanted(BOTH);
    let mut facts = units::tests::booted();
    facts.installed.missing_folders = layout::all_folders(&paths()).split_off(2);
    (plan::install(&wanted, &facts, &answers).steps, state(&facts))
}

/// One role less, a unit of another version, one that was disabled.
fn other_units() -> Case {
    let (wanted, answers) = wanted(&format!("{BOTH}enable-security-gateway: false\n"));
    let mut facts = units::tests::installed();
    let unit = layout::unit(&paths(), Role::Cm);
    facts.installed.files.get_mut(&unit).unwrap().content = "older".into();
    facts.installed.units.enabled = vec![Role::Sg];
    (plan::install(&wanted, &facts, &answers).steps, state(&facts))
}

/// All that is done under systemd goes.
fn removal_of_units() -> Case {
    let facts = units::tests::installed();
    (plan::uninstall(&paths(), &facts.installed, &facts.machine, None, true).steps, state(&facts))
}

fn cases() -> [Case; 5] {
    [first_installation(), other_installation(), first_units(), other_units(), removal_of_units()]
}

fn systemd(there: &Installed, files: &BTreeMap<PathBuf, String>) -> Systemd {
    let such = |roles: &[Role]| roles.iter().map(|role| role.command()).collect();
    let (enabled, running) = (such(&there.units.enabled), such(&there.units.running));
    let mut systemd = Systemd { enabled, running, ..Systemd::default() };
    systemd.read(files);
    systemd
}

/// The host as a plan finds it.
fn state(facts: &Facts) -> State {
    let there = &facts.installed;
    let mut files: Vec<(PathBuf, String)> =
        there.files.iter().map(|(path, file)| (path.clone(), file.content.text())).collect();
    if there.has_daemon {
        files.push((paths().daemon(), "the old daemon".to_owned()));
    }
    if there.has_log {
        files.push((layout::supervise_log(&paths()), String::new()));
    }
    let files = files.into_iter().collect();
    let systemd = systemd(there, &files);
    let is_there = |folder: &PathBuf| !there.missing_folders.contains(folder);
    State {
        files,
        folders: layout::all_folders(&paths()).into_iter().filter(is_there).collect(),
        has_account: false,
        runs: there.supervisor_runs,
        systemd,
        firewall: Remembered::default(),
        kernel: facts.machine.kernel.values.clone(),
        ..State::default()
    }
}

/// Performs the plan on a recorder that is set up so, and tells whether it went well.
fn goes_well((steps, start): &Case, recorder: Recorder, is_clean: bool) -> bool {
    let mut system = Recorder { state: start.clone(), ..recorder };
    let Err(broken) = perform(steps, &mut system) else { return true };

    if !broken.left.is_empty() {
        assert!(system.state.files.remove(&journal::path(&paths())).is_some());
    }
    assert_eq!(&system.state, start, "{:?}", system.calls);
    assert!(broken.left.is_empty() || !is_clean, "{:?}", broken.left);
    false
}

#[test]
fn whichever_effect_fails_the_host_is_as_it_was() {
    for (case, least) in cases().into_iter().zip([25, 12, 25, 12, 12]) {
        let failing = |after| Recorder { fails_after: Some(after), ..Recorder::default() };

        let end = (0..).find(|after| goes_well(&case, failing(*after), true));

        assert!(end.is_some_and(|effects| effects >= least), "{end:?}");
    }
}

#[test]
fn whenever_the_operator_interrupts_the_host_is_as_it_was() {
    for case in cases() {
        let interrupted =
            |after| Recorder { interrupted_after: Some(after), ..Recorder::default() };

        let end = (0..).find(|after| goes_well(&case, interrupted(*after), true));

        assert!(end.is_some());
    }
}

#[test]
fn where_the_roles_do_not_live_the_host_is_as_it_was() {
    // A removal waits for no role.
    for case in cases().into_iter().take(4) {
        let dead = Recorder { is_dead: true, ..Recorder::default() };

        assert!(!goes_well(&case, dead, false));
    }
}

#[test]
fn every_step_that_can_be_undone_stands_in_one_of_the_plans() {
    let steps: Vec<Step> = cases().into_iter().flat_map(|case| case.0).collect();
    let has = |is_such: fn(&Step) -> bool| steps.iter().any(is_such);

    assert!(has(|step| matches!(step, Step::Stop { .. })));
    assert!(has(|step| matches!(step, Step::MakeFolders { .. })));
    assert!(has(|step| matches!(step, Step::Write(Write { replaces: false, .. }))));
    assert!(has(|step| matches!(step, Step::Write(Write { replaces: true, .. }))));
    assert!(has(|step| matches!(step, Step::Remove(_))));
    assert!(has(|step| matches!(
        step,
        Step::MakeCertificate(MakeCertificate { replaces_key: false, .. })
    )));
    assert!(has(|step| matches!(
        step,
        Step::MakeCertificate(MakeCertificate { replaces_key: true, .. })
    )));
    assert!(has(|step| matches!(step, Step::CopyDaemon(CopyDaemon { replaces: false, .. }))));
    assert!(has(|step| matches!(step, Step::CopyDaemon(CopyDaemon { replaces: true, .. }))));
    assert!(has(|step| matches!(step, Step::Firewall(_))));
    assert!(has(|step| matches!(step, Step::Kernel(_))));
    assert!(has(|step| matches!(step, Step::Start { .. })));
    assert!(has(|step| matches!(step, Step::Units(_))));
    assert!(has(|step| matches!(step, Step::StartRole { .. })));
    assert!(has(|step| matches!(step, Step::StopRole { .. })));
}
