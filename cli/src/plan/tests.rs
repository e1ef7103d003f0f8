use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use time::OffsetDateTime;

use super::*;
use crate::{
    args::settings::Setting,
    finding::Finding,
    host::{
        broker::BrokerFact, engine::EngineFact, machine::Machine, ports::Listener, target::Target,
    },
    installation::{account::AccountFact, installed::InstalledFile},
    pki::generate::{self, Key, Pair, Request},
    step::{
        file::Replaced, make_certificate::MakeCertificate,
        remove_empty_folders::RemoveEmptyFolders, trace::Trace,
    },
    system::recorder::Recorder,
    wanted::{Location, listen::ListenKey, tests::answers},
};

pub(crate) const BOTH: &str = "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\n\
                    broker-url: https://b\nexternal-pcoip-ip: 192.0.2.1\n";
const CM_ONLY: &str = "enable-security-gateway: false\n";
const SG_ONLY: &str = "enable-connection-manager: false\njwt-verifying-cert: /j\n";
/// What a fresh root gets before anything else.
const FOLDERS: [&str; 2] = ["mkdir /r/opt", "mkdir /r/opt/teradici"];

/// An installation that is asked for in the words of an answers file.
pub(crate) fn wanted(text: &str) -> (Wanted, Answers) {
    let answers = answers(text);
    let (wanted, findings) = Wanted::read(&answers, Location::read(&answers).unwrap());
    assert!(!findings.iter().any(Finding::is_error), "{findings:?}");
    (wanted, answers)
}

/// A fresh host for it.
pub(crate) fn facts(wanted: &Wanted) -> Facts {
    let listener = |port: u16| Listener {
        address: Some(([127, 0, 0, 1], port).into()),
        troubles: Vec::new(),
        is_any: false,
    };
    let keys = ListenKey::of(&wanted.roles()).into_iter();
    Facts {
        now: OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap(),
        is_root: false,
        machine: Machine::default(),
        networks: Vec::new(),
        peers: Vec::new(),
        account: AccountFact::NotUsed,
        hostname: Some("host.example".parse().unwrap()),
        free_disk: None,
        target: Target::default(),
        installed: Installed {
            missing_folders: ["/r/opt", "/r/opt/teradici"].map(PathBuf::from).into(),
            ..Installed::default()
        },
        given: BTreeMap::new(),
        exposed: BTreeSet::new(),
        copies: BTreeSet::new(),
        listeners: keys.zip(20_001..).map(|((_, key), port)| (key, listener(port))).collect(),
        daemon: DaemonFact::Copy(PathBuf::from("/pcoip-cmsgd")),
        daemon_bytes: 0,
        broker: BrokerFact::NotAsked,
        back_to: None,
        command: "install",
        edits: Vec::new(),
        known: BTreeSet::new(),
        engine: EngineFact::NotAsked,
        deploying: None,
        lookups: String::new(),
        authorities: None,
        export: None,
        adopted: None,
        bundle: None,
    }
}

/// What performing the plan does to a host that has all that it replaces. What waits aside only until
/// it is written again is not told.
pub(crate) fn calls(plan: &Plan) -> Vec<String> {
    let mut system = Recorder::default();
    for trace in plan.steps.iter().flat_map(Step::traces) {
        if let Trace::Replaced(Replaced(path)) = trace {
            system.state.files.insert(path, String::new());
        }
    }
    for step in &plan.steps {
        step.perform(&mut system).unwrap();
    }
    let next = system.calls.iter().skip(1).map(String::as_str).chain([""]);
    let told = system.calls.iter().zip(next).filter_map(|(call, next)| {
        let Some(path) = call.strip_suffix('~').and_then(|call| call.rsplit_once(' ')) else {
            return Some(call.clone());
        };
        (!next.ends_with(path.1)).then(|| format!("aside {}", path.1))
    });
    told.collect()
}

static TLS: LazyLock<Pair> = LazyLock::new(|| {
    let names = ["192.0.2.1", "host.example", "localhost", "127.0.0.1", "::1"];
    let names = names.map(str::to_owned).into();
    let now = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
    generate::pair(&Request { key: Key::NewRsa, names, now }).unwrap()
});

fn signing() -> Pair {
    let now = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
    generate::pair(&Request { key: Key::NewP256, names: Vec::new(), now }).unwrap()
}

/// The host after the plan was performed.
pub(crate) fn after(plan: &Plan, mut facts: Facts) -> Facts {
    let files = &mut facts.installed.files;
    let mut put = |path: &PathBuf, content: &Content| {
        let file = InstalledFile { content: content.clone(), is_private: true };
        files.insert(path.clone(), file);
    };
    let removed = |step: &Step| match step {
        Step::Remove(Remove(path)) => Some(path.clone()),
        _ => None,
    };
    for step in &plan.steps {
        match step {
            Step::Write(Write { path, content, .. }) => put(path, content),
            Step::MakeCertificate(MakeCertificate { request, key, certificate, .. }) => {
                let pair = if request.key == Key::NewRsa { TLS.clone() } else { signing() };
                put(key, &pair.key);
                put(certificate, &pair.certificate);
            }
            Step::Units(units) => {
                for file in &units.files {
                    let path = layout::unit(&units.paths, file.role);
                    file.content.iter().for_each(|content| put(&path, content));
                }
                facts.installed.units.enabled.clone_from(&units.enables);
                facts.installed.units.running.clone_from(&units.enables);
            }
            _ => {}
        }
    }
    let gone: Vec<_> = plan.steps.iter().filter_map(removed).collect();
    facts.installed.files.retain(|path, _| !gone.contains(path));
    facts.installed.missing_folders.clear();
    facts.installed.has_daemon = true;
    facts.installed.has_log = true;
    facts.installed.supervisor_runs = !facts.installed.units.are_used;
    facts.daemon = DaemonFact::Stays;
    facts
}

/// The host after an installation as `text` asks for it.
pub(crate) fn installed(text: &str) -> Facts {
    let (wanted, answers) = wanted(text);
    let facts = facts(&wanted);
    let plan = install(&wanted, &facts, &answers);
    after(&plan, facts)
}

#[test]
fn each_combination_of_roles_has_its_steps() {
    let head = [FOLDERS[0], FOLDERS[1], "write data/installation.json", "write data/answers.yaml"];
    let tls = ["make NewRsa", "write certs/cmsg.key", "write certs/cmsg.crt"];
    let jwt = ["make NewP256", "write certs/jwt-signing.key", "write certs/jwt-verifying.crt"];
    let tail = ["copy /pcoip-cmsgd bin/pcoip-cmsgd", "start"];
    let [cm, sg] = ["write data/ConnectionManager.conf", "write data/SecurityGateway.conf"];
    let given = "write certs/jwt-verifying.crt";
    let table: [(&str, Vec<&str>); 3] = [
        ("", [&head[..], &jwt, &tls, &[cm, sg], &tail].concat()),
        (CM_ONLY, [&head[..], &jwt, &tls, &[cm], &tail].concat()),
        (SG_ONLY, [&head[..], &[given], &tls, &[sg], &tail].concat()),
    ];
    for (more, expected) in table {
        let (wanted, answers) = wanted(&format!("{BOTH}{more}"));
        let mut facts = facts(&wanted);
        if wanted.jwt_verifying_cert.is_some() {
            facts.given.insert(Setting::JwtVerifyingCert, Ok(signing().certificate));
        }

        let plan = install(&wanted, &facts, &answers);

        assert_eq!(calls(&plan), expected, "{more}");
        assert_eq!(plan.restarts, []);
    }
}

#[test]
fn installing_again_changes_nothing() {
    let (wanted, answers) = wanted(BOTH);
    let facts = installed(BOTH);

    let plan = install(&wanted, &facts, &answers);

    assert_eq!(calls(&plan), [""; 0]);
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.restarts, []);
}

#[test]
fn what_a_role_reads_restarts_it_and_what_it_does_not_read_does_not() {
    let broker = "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\n\
                  broker-url: https://other\nexternal-pcoip-ip: 192.0.2.1\n";
    let external = "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\n\
                    broker-url: https://b\nexternal-pcoip-ip: 192.0.2.2\n";
    let policies = format!("{BOTH}ignore-disk-req: true\n");
    let table = [
        (
            broker,
            vec![
                "stop connection-manager",
                "write data/installation.json",
                "write data/previous.json",
                "write data/answers.yaml",
                "write data/ConnectionManager.conf",
                "start connection-manager",
            ],
            vec![Role::Cm],
        ),
        (
            external,
            vec![
                "stop connection-manager",
                "stop security-gateway",
                "write data/installation.json",
                "write data/previous.json",
                "write data/answers.yaml",
                "make NewRsa",
                "write certs/cmsg.key",
                "write certs/cmsg.crt",
                "write data/ConnectionManager.conf",
                "write data/SecurityGateway.conf",
                "start connection-manager",
                "start security-gateway",
            ],
            vec![Role::Cm, Role::Sg],
        ),
        (&policies, vec!["write data/previous.json", "write data/answers.yaml"], vec![]),
    ];
    for (text, expected, restarts) in table {
        let (wanted, answers) = wanted(text);

        let plan = install(&wanted, &installed(BOTH), &answers);

        assert_eq!(calls(&plan), expected);
        assert_eq!(plan.restarts, restarts);
    }
}

#[test]
fn a_supervisor_that_is_down_is_started() {
    let (wanted, answers) = wanted(BOTH);
    let mut facts = installed(BOTH);
    facts.installed.supervisor_runs = false;

    let plan = install(&wanted, &facts, &answers);

    assert_eq!(calls(&plan), ["start"]);
    assert_eq!(plan.restarts, []);
}

#[test]
fn roles_that_have_read_an_older_file_are_started_again() {
    let (wanted, answers) = wanted(BOTH);
    let mut facts = installed(BOTH);
    facts.installed.edited = vec![Role::Sg];

    let plan = install(&wanted, &facts, &answers);

    assert_eq!(calls(&plan), ["stop security-gateway", "start security-gateway"]);
    assert_eq!(plan.restarts, [Role::Sg]);
}

#[test]
fn the_answers_are_exported_unless_they_stand_there() {
    let (wanted, answers) = wanted(BOTH);
    let exported = |there: Option<&str>| {
        let mut facts = installed(BOTH);
        let file = |text: &str| InstalledFile { content: text.into(), is_private: true };
        facts.export = Some(Export { path: "/mine.yaml".into(), found: Ok(there.map(file)) });
        let plan = install(&wanted, &facts, &answers);
        plan.steps.iter().map(Step::changes).collect::<Vec<_>>()
    };

    assert_eq!(exported(None)[0], "new: `/mine.yaml`");
    assert_eq!(exported(Some("agent-port: 1\n"))[0], "changed: `/mine.yaml`");
    assert_eq!(exported(Some(&file::export(&answers))).len(), 1);
}

#[test]
fn the_plan_tells_the_ports_that_were_chosen_and_not_those_that_happen_to_be_free() {
    let (wanted, answers) = wanted(BOTH);
    let mut facts = facts(&wanted);
    facts.listeners.get_mut(&ListenKey::Http).unwrap().address = None;
    facts.listeners.get_mut(&ListenKey::UdpSource).unwrap().is_any = true;

    let plan = install(&wanted, &facts, &answers);

    assert_eq!(
        plan.steps.last().unwrap().changes(),
        "the services listen on broker=127.0.0.1:20001, http=off, pcoip=127.0.0.1:20003, \
         udp-source=127.0.0.1:0 (a free port)"
    );
}

#[test]
fn a_new_daemon_replaces_the_old_one() {
    let (wanted, answers) = wanted(BOTH);
    let mut facts = installed(BOTH);
    facts.daemon = DaemonFact::Copy(PathBuf::from("/new"));

    let plan = install(&wanted, &facts, &answers);

    assert_eq!(
        calls(&plan),
        [
            "stop",
            "write data/previous.json",
            "copy bin/pcoip-cmsgd bin/pcoip-cmsgd.previous",
            "copy /new bin/pcoip-cmsgd",
            "start",
        ]
    );
}

#[test]
fn a_role_that_is_not_wanted_any_more_keeps_its_configuration_aside() {
    let (only_cm, answers) = wanted(&format!("{BOTH}{CM_ONLY}"));
    let mut before = installed(BOTH);
    before.listeners.retain(|key, _| [ListenKey::Broker, ListenKey::Http].contains(key));

    let plan = install(&only_cm, &before, &answers);

    let calls = calls(&plan);
    assert!(calls.contains(&"write data/SecurityGateway.conf.disabled".to_owned()));
    assert!(calls.contains(&"aside data/SecurityGateway.conf".to_owned()));
}

/// What a removal deletes and which folders it removes when empty, without the root's name.
fn removal(facts: &Facts, purges: bool) -> (Vec<String>, usize) {
    let plan = uninstall(&Paths::under("/r"), &facts.installed, &facts.machine, None, purges);
    let folders = plan.steps.iter().find_map(|step| match step {
        Step::RemoveEmptyFolders(RemoveEmptyFolders(folders)) => Some(folders.len()),
        _ => None,
    });
    let deleted = calls(&plan).into_iter().filter(|call| !call.starts_with("rmdir"));
    (deleted.collect(), folders.unwrap_or_default())
}

#[test]
fn a_removal_keeps_data_and_logs_unless_they_are_purged() {
    let (wanted, answers) = wanted(BOTH);
    let mut fresh = facts(&wanted);
    fresh.installed.missing_folders = layout::all_folders(&Paths::under("/r")).split_off(1);
    let facts = after(&install(&wanted, &fresh, &answers), fresh);

    assert_eq!(
        removal(&facts, false),
        (
            [
                "stop",
                "aside run",
                "aside bin/pcoip-cmsgd",
                "aside bin/pcoip-cmsgd.previous",
                "aside data/previous.json"
            ]
            .map(str::to_owned)
            .into(),
            2
        )
    );
    let purged = [
        "stop",
        "aside run",
        "aside bin/pcoip-cmsgd",
        "aside bin/pcoip-cmsgd.previous",
        "aside data",
        "aside certs",
        "aside state",
        "aside var/log/Teradici/ConnectionManager",
        "aside var/log/Teradici/SecurityGateway",
        "aside var/log/Teradici/supervise.log",
    ];
    assert_eq!(removal(&facts, true), (purged.map(str::to_owned).into(), 15));
}

#[test]
fn in_folders_that_were_there_before_only_our_files_are_deleted() {
    let (deleted, folders) = removal(&installed(BOTH), true);

    assert!(deleted.contains(&"aside run/cm.sock".to_owned()));
    assert!(deleted.contains(&"aside data/answers.yaml".to_owned()));
    assert!(deleted.contains(&"aside certs/cmsg.key".to_owned()));
    assert!(!deleted.iter().any(|call| ["aside data", "aside certs"].contains(&call.as_str())));
    assert_eq!(folders, FOLDERS.len());
}
