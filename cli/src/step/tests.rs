use cmsg_config::{Paths, socket::Role};
use cmsg_engine::stack::Service;
use time::OffsetDateTime;

use super::*;
use crate::{
    installation::{
        account::{Access, AccessChange, Owner, Ownership},
        firewall::Edit,
        layout,
        surroundings::KernelKey,
    },
    pki::generate::{Key, Request},
    system::{Who, recorder::Recorder},
};
use await_live::AwaitLive;
use copy_daemon::CopyDaemon;
use delete::Delete;
use deploy::Deploy;
use enable_engine::EnableEngine;
use file::Replaced;
use firewall::FirewallStep;
use hand_over::HandOver;
use hold::Hold;
use keep_adopted::KeepAdopted;
use kernel::{KernelSetting, KernelStep};
use leave_engine::LeaveEngine;
use load_images::LoadImages;
use make_account::MakeAccount;
use make_certificate::MakeCertificate;
use make_folders::MakeFolders;
use make_network::MakeNetwork;
use make_swarm::MakeSwarm;
use pull_images::PullImages;
use reload::Reload;
use remove::Remove;
use remove_account::RemoveAccount;
use remove_adopted::RemoveAdopted;
use remove_empty_folders::RemoveEmptyFolders;
use remove_services::RemoveServices;
use start::Start;
use start_role::StartRole;
use stop::Stop;
use stop_role::StopRole;
use units::{UnitFile, Units};
use write::Write;
use write_stack::{Draft, WriteStack};

fn paths() -> Paths {
    Paths::under("/r")
}

fn certificate(key: Key, is_there: bool) -> Step {
    let names = vec!["host.example".to_owned(), "192.0.2.1".to_owned()];
    Step::MakeCertificate(MakeCertificate {
        request: Request { key, names, now: OffsetDateTime::UNIX_EPOCH },
        followed_by: "more".into(),
        key: "/r/key.pem".into(),
        certificate: "/r/certificate.pem".into(),
        replaces_key: is_there,
        replaces_certificate: is_there,
    })
}

fn files() -> Vec<Step> {
    let write =
        |replaces| Step::Write(Write { path: "/r/file".into(), content: "x".into(), replaces });
    let copy = |replaces| {
        Step::CopyDaemon(CopyDaemon { from: "/d".into(), to: paths().daemon(), replaces })
    };
    let access = Access { owner: Owner::Account, mode: 0o640 };
    let before = Ownership { user: 1, group: 2, mode: 0o600, is_folder: false };
    let hand_over = |path: &str, before| AccessChange { path: path.into(), access, before };
    vec![
        Step::MakeFolders(MakeFolders {
            paths: paths(),
            folders: vec!["/r/opt".into(), "/r/opt/inner".into()],
        }),
        write(false),
        write(true),
        Step::Remove(Remove("/r/file".into())),
        certificate(Key::NewRsa, false),
        certificate(Key::NewP256, true),
        certificate(Key::Given("key".into()), true),
        copy(false),
        copy(true),
        Step::Delete(Delete(vec!["/r/a".into(), "/r/b".into()])),
        Step::RemoveEmptyFolders(RemoveEmptyFolders(vec!["/r/opt/inner".into(), "/r/opt".into()])),
        Step::HandOver(HandOver(vec![hand_over("/r/a", Some(before)), hand_over("/r/b", None)])),
        Step::KeepAdopted(KeepAdopted {
            folder: "/r/kept".into(),
            files: vec![("/r/kept/etc/file".into(), "x".into())],
        }),
    ]
}

fn roles() -> Vec<Step> {
    let mut steps = vec![
        Step::Stop(Stop { paths: paths(), roles: vec![Role::Cm] }),
        Step::Start(Start { paths: paths(), has_log: false }),
    ];
    for role in [Role::Cm, Role::Sg] {
        steps.push(Step::StopRole(StopRole { paths: paths(), role }));
        steps.push(Step::StartRole(StartRole { paths: paths(), role }));
        steps.push(Step::Reload(Reload { paths: paths(), role }));
    }
    let listens = vec!["a=1".to_owned(), "b=2".to_owned()];
    steps.push(Step::AwaitLive(AwaitLive {
        paths: paths(),
        roles: vec![Role::Cm.into()],
        listens,
    }));
    steps.push(Step::Hold(Hold(vec![Trace::NewAccount, Trace::AccountGoes])));
    steps
}

fn host() -> Vec<Step> {
    let file = |role, content: Option<&str>, replaces| UnitFile {
        role,
        content: content.map(Into::into),
        replaces,
    };
    let files = vec![file(Role::Cm, Some("x"), true), file(Role::Sg, None, true)];
    let (cm, sg) = (vec![Role::Cm], vec![Role::Sg]);
    let edit = Edit::Define { before: Vec::new(), after: vec!["443/tcp".to_owned()] };
    let (before, after) = ("1".to_owned(), "2".to_owned());
    let setting = KernelSetting { key: KernelKey::SendBuffer, before, after };
    vec![
        Step::MakeAccount(MakeAccount),
        Step::RemoveAccount(RemoveAccount),
        Step::Units(Units { paths: paths(), files, disables: sg, enables: Vec::new() }),
        Step::Units(Units {
            paths: paths(),
            files: vec![file(Role::Cm, Some("x"), false)],
            disables: Vec::new(),
            enables: cm,
        }),
        Step::Firewall(FirewallStep { edits: vec![edit] }),
        Step::Kernel(KernelStep { settings: vec![setting] }),
    ]
}

fn images() -> Vec<Step> {
    let images = vec!["pcoip-cm:1".to_owned(), "sg:1".to_owned()];
    let who = Who { user: "me".to_owned(), password: "secret".into() };
    let pull = PullImages {
        registry: "r.example".to_owned(),
        who: Some(who),
        roles: vec![Role::Cm, Role::Sg],
        images: images.clone(),
    };
    let load = LoadImages { archive: "/images.tar".into(), images };
    vec![Step::LoadImages(load), Step::PullImages(pull)]
}

fn engine() -> Vec<Step> {
    let service = Service {
        role: Role::Cm,
        image: "pcoip-cm:1".to_owned(),
        deployment: "one".to_owned(),
        memory: 64,
    };
    let stack = Draft { paths: paths(), services: vec![service], compose: None };
    let network = "10.0.0.0/24".parse().unwrap();
    let write = |replaces| Step::WriteStack(WriteStack { stack: stack.clone(), replaces });
    let make = |replaces| Step::MakeNetwork(MakeNetwork { network, replaces });
    let deploy = |is_first| Step::Deploy(Deploy { files: vec![layout::stack(&paths())], is_first });
    let files = vec![layout::stack(&paths())];
    let gone = vec!["old:1".to_owned(), "older:1".to_owned()];
    let steps = vec![
        Step::EnableEngine(EnableEngine),
        Step::MakeSwarm(MakeSwarm { pool: network }),
        make(None),
        make(Some("10.0.1.0/24".parse().unwrap())),
        write(false),
        write(true),
        deploy(true),
        deploy(false),
        Step::RemoveServices(RemoveServices { paths: paths(), files, roles: vec![Role::Cm] }),
        Step::LeaveEngine(LeaveEngine { images: gone.clone(), ..LeaveEngine::default() }),
        Step::LeaveEngine(LeaveEngine { network: true, images: gone, swarm: true }),
    ];
    let adopted = |networks: &[&str]| {
        let networks = networks.iter().map(ToString::to_string).collect();
        Step::RemoveAdopted(RemoveAdopted { networks })
    };
    let adopted = [adopted(&[]), adopted(&["a", "b"])];
    steps.into_iter().chain(adopted).collect()
}

fn listed(texts: &[String]) -> String {
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ").trim_end().to_owned() }
}

/// What progress and a summary say of a step.
fn shown(step: &Step) -> String {
    let Stage { group, running, finished } = step.stage();
    let on_host = step.on_host().map(|it| format!("; on the host: {it}")).unwrap_or_default();
    let stage = if running.is_empty() { String::new() } else { format!(": {running}; {finished}") };
    format!("shown: {group}{stage}{on_host}")
}

/// What a step says, does and leaves, on a host that has all that it replaces.
fn block(step: &Step) -> String {
    let mut system = Recorder::default();
    let traces = step.traces();
    for trace in &traces {
        if let Trace::Replaced(Replaced(path)) = trace {
            system.state.files.insert(path.clone(), String::new());
        }
    }
    step.perform(&mut system).unwrap();
    let traces: Vec<_> = traces.iter().map(|it| serde_json::to_string(it).unwrap()).collect();
    let lines = [
        format!("{}: {}", step.name(), step.changes()),
        format!("to undo: {}", step.undoing()),
        shown(step),
        format!("does: {}", listed(&system.calls)),
        format!("leaves: {}", listed(&traces)),
    ];
    lines.join("\n")
}

#[test]
fn every_kind_of_step_says_what_it_does_and_leaves_how_to_undo_it() {
    let steps = [files(), roles(), host(), images(), engine()].concat();
    let blocks: Vec<_> = steps.iter().map(block).collect();
    let is_kind = |step: &Step, name: &str| format!("{step:?}").split('(').next() == Some(name);
    for name in Step::NAMES {
        assert!(steps.iter().any(|step| is_kind(step, name)), "{name} is not among them");
    }

    if std::env::var_os("UPDATE_SCREENS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/step/tests/kinds.txt");
        let mut file = std::fs::File::create(path).unwrap();
        std::io::Write::write_all(&mut file, (blocks.join("\n\n") + "\n").as_bytes()).unwrap();
    }
    assert_eq!(blocks.join("\n\n"), include_str!("tests/kinds.txt").trim_end());
}
