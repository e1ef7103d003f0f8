use super::*;
use crate::{
    answers::Answers,
    installation::account::{Ids, Ownership},
    plan::{
        self,
        tests::{after, facts, wanted},
    },
    step::{hand_over::HandedOver, remove_account::RemoveAccount},
    system::recorder::Recorder,
    wanted::Wanted,
};

const MACHINE: &str = "accept-policies: true\nself-signed: true\nruntime: host\n\
                       broker-url: https://b\nexternal-pcoip-ip: 192.0.2.1\n";
const KEY_IS_GIVEN: &str = "give /opt/teradici/pcoipcm_data/certs/cmsg.key RootForGroup 640";
const ACCOUNT: Ids = Ids { user: 998, group: 997 };

/// A fresh machine, and what is wanted of it.
fn machine() -> (Wanted, Answers, Facts) {
    let (wanted, answers) = wanted(MACHINE);
    let mut facts = facts(&wanted);
    facts.account = AccountFact::Missing;
    let paths = wanted.place.paths();
    facts.installed.missing_folders = layout::all_folders(&paths).split_off(3);
    (wanted, answers, facts)
}

/// The machine after it was installed on.
fn installed() -> (Wanted, Answers, Facts) {
    let (wanted, answers, facts) = machine();
    let paths = wanted.place.paths();
    let plan = plan::install(&wanted, &facts, &answers);
    let mut facts = after(&plan, facts);
    facts.account = AccountFact::There(ACCOUNT);
    for (path, access) in accesses(&paths) {
        let (user, group) = access.owner.numbers(ACCOUNT);
        let is_folder = layout::all_folders(&paths).contains(&path);
        let found = Ownership { user, group, mode: access.mode, is_folder };
        facts.installed.access.insert(path, found);
    }
    (wanted, answers, facts)
}

fn calls(steps: &[Step]) -> Vec<String> {
    let mut system = Recorder::default();
    for step in steps {
        step.perform(&mut system).unwrap();
    }
    system.calls
}

#[test]
fn the_account_comes_before_its_files_and_they_are_its_own_before_the_roles_start() {
    let (wanted, answers, facts) = machine();

    let calls = calls(&plan::install(&wanted, &facts, &answers).steps);

    let at = |call: &str| calls.iter().position(|other| other == call);
    let order = ["useradd", KEY_IS_GIVEN, "start"].map(at);
    assert!(order.is_sorted() && order[0].is_some(), "{calls:#?}");
    let given: Vec<_> = calls.iter().filter(|call| call.contains(" Account ")).collect();
    let own = [
        "/opt/teradici/pcoipcm_data/run",
        "/opt/teradici/pcoipcm_data/state",
        "/var/log/Teradici/ConnectionManager",
        "/var/log/Teradici/SecurityGateway",
    ];
    assert_eq!(given, own.map(|path| format!("give {path} Account 700")).each_ref());
}

#[test]
fn what_has_its_access_is_left_alone_and_what_has_another_is_given_back_by_undoing() {
    let (wanted, answers, mut facts) = installed();
    assert_eq!(calls(&plan::install(&wanted, &facts, &answers).steps), [""; 0]);

    let paths = wanted.place.paths();
    let found = facts.installed.access.get_mut(&layout::key(&paths)).unwrap();
    found.mode = 0o644;
    let before = *found;
    let plan = plan::install(&wanted, &facts, &answers);

    assert_eq!(calls(&plan.steps), [KEY_IS_GIVEN]);
    assert_eq!(plan.restarts, []);
    assert_eq!(
        plan.steps[0].traces(),
        [Trace::HandedOver(HandedOver(layout::key(&paths), before))]
    );
}

#[test]
fn folders_around_ours_that_were_there_stay_as_they_are() {
    let (wanted, answers, mut facts) = machine();
    let others = PathBuf::from("/opt/teradici");
    facts.installed.missing_folders.retain(|folder| *folder != others);
    let found = Ownership { user: 5, group: 5, mode: 0o755, is_folder: true };
    facts.installed.access.insert(others, found);

    let calls = calls(&plan::install(&wanted, &facts, &answers).steps);

    assert!(!calls.iter().any(|call| call.starts_with("give /opt/teradici ")), "{calls:#?}");
}

#[test]
fn the_account_goes_with_everything_where_it_was_made_for_it() {
    let (wanted, answers, mut facts) = machine();
    let paths = wanted.place.paths();
    let goes = |facts: &Facts, purges| {
        let plan = plan::install(&wanted, facts, &answers);
        let installed = after(&plan, Facts { account: facts.account, ..machine().2 }).installed;
        plan::uninstall(&paths, &installed, &facts.machine, None, purges)
            .steps
            .contains(&Step::RemoveAccount(RemoveAccount))
    };

    assert!(goes(&facts, true));
    assert!(!goes(&facts, false));
    facts.account = AccountFact::There(ACCOUNT);
    assert!(!goes(&facts, true));
}
