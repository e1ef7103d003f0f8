//! Whole screens at two widths, as people see them. `UPDATE_SCREENS=1 cargo test -p pcoip-cmsg-setup
//! screens` writes them again.

use std::{fs::File, io::Write as _, path::Path};

use cmsg_config::{
    Paths,
    socket::{Role, Status, Usage},
};

use super::{
    Change,
    ending::Ending,
    plan_lines,
    summary::{Planned, Summary},
};
use crate::{
    finding::Finding,
    host::Facts,
    installation::surroundings::KernelKey,
    plan::{
        self, Plan,
        tests::{BOTH, facts, installed, wanted},
    },
    screen::{Screen, wrap, wrap::Width},
    step::{
        Step,
        kernel::{KernelSetting, KernelStep},
        make_account::MakeAccount,
        make_network::MakeNetwork,
        make_swarm::MakeSwarm,
    },
    wanted::Wanted,
};

const WIDTHS: [usize; 2] = [80, 120];

/// A screen for a width.
type Draw<'a> = &'a dyn Fn(Width) -> String;

/// Compares what is drawn with the stored screens, and with the same text that is not wrapped.
fn compare(name: &str, draw: Draw<'_>) {
    let words = |text: &str| -> Vec<String> {
        // A command that goes on in the next line says so.
        text.split_whitespace().filter(|it| *it != "\\").map(str::to_owned).collect()
    };
    for columns in WIDTHS {
        let shown = draw(Width::of_columns(columns)) + "\n";

        let widest = shown.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns), "{name}: {widest:?} of {columns} columns\n{shown}");
        assert_eq!(words(&shown), words(&draw(Width::UNLIMITED)), "{name}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/screens");
        let path = folder.join(format!("{name}-{columns}.txt"));
        if std::env::var_os("UPDATE_SCREENS").is_some() {
            File::create(&path).unwrap().write_all(shown.as_bytes()).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(shown, stored, "{}", path.display());
    }
}

/// What an installation on the machine itself changes there.
fn prepared(plan: &mut Plan) {
    let settings = [KernelKey::SendBuffer, KernelKey::ReceiveBuffer, KernelKey::ReservedPorts];
    let settings =
        settings.map(|key| KernelSetting { key, before: String::new(), after: "55000".to_owned() });
    let network = "10.101.0.0/24".parse().unwrap();
    let steps = [
        Step::MakeSwarm(MakeSwarm { pool: network }),
        Step::MakeNetwork(MakeNetwork { network, replaces: None }),
        Step::MakeAccount(MakeAccount),
        Step::Kernel(KernelStep { settings: settings.into() }),
    ];
    plan.steps.splice(..0, steps);
}

fn planned<'a>(wanted: &'a Wanted, facts: &'a Facts, plan: &'a Plan) -> Planned<'a> {
    Planned { wanted, facts, plan, arrow: "\u{2192}", is_verbose: false }
}

/// A gateway with sessions.
fn gateway(in_use: usize) -> Status {
    Status {
        role: Role::Sg,
        version: "0.1.0".to_owned(),
        pid: 7,
        ready: true,
        reason: None,
        listens: Vec::new(),
        started: None,
        sessions: in_use,
        usage: Some(Usage { in_use, resumable: 0 }),
        files_read: None,
        deployment: None,
        logons: None,
        turned_away: None,
        failover: None,
        unserved: None,
        broker: None,
    }
}

#[test]
fn an_installation_is_planned_in_ten_lines() {
    let (wanted, answers) = wanted(BOTH);
    let facts = facts(&wanted);
    let mut plan = plan::install(&wanted, &facts, &answers);
    prepared(&mut plan);

    for kept in [0, 3] {
        let summary = Summary::of_installation(planned(&wanted, &facts, &plan), kept);

        let lines = summary.lines(Width::of_columns(80));
        assert!(lines.lines().count() <= 10, "{lines}");
        if kept == 0 {
            compare("install", &|width| summary.lines(width));
        }
    }
    compare("install-steps", &|width| wrap::text(&plan_lines(&plan), width));
}

#[test]
fn an_installation_ends_with_what_to_do_next() {
    let end = |text: &str, is_verbose: bool, width: Width| {
        let (wanted, _) = wanted(text);
        let facts = facts(&wanted);
        Ending { wanted: &wanted, facts: &facts, is_install: true, is_verbose }.lines(width)
    };
    let external = format!("{BOTH}external-sg-ip: 192.0.2.7\n");
    let gateway = "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\n\
                   external-pcoip-ip: 192.0.2.1\nenable-connection-manager: false\n\
                   jwt-verifying-cert: /j\n";

    compare("end", &|width| end(BOTH, false, width));
    compare("end-with-gateways", &|width| end(&external, false, width));
    compare("end-of-a-gateway", &|width| end(gateway, false, width));
    let wide = Width::of_columns(100);
    assert_eq!(end(BOTH, true, wide), end(&external, false, wide));
    assert!(!end(BOTH, false, wide).contains("external-sg"));
}

#[test]
fn a_change_names_old_and_new_values_and_what_restarts() {
    let text = format!("{BOTH}agent-port: 6000\n");
    let (wanted, answers) = wanted(&text);
    let mut facts = installed(BOTH);
    facts.installed.live = vec![gateway(3)];
    let mut plan = plan::install(&wanted, &facts, &answers);
    plan.restarts = vec![Role::Cm, Role::Sg];
    let change = |setting: &str, before: &str, after: &str| Change {
        setting: setting.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    };
    let pin = format!("sha256:{}", "ab".repeat(32));
    let changes = [change("agent-port", "60443", "6000"), change("broker-pin", "", &pin)];

    let summary = Summary::of_settings(planned(&wanted, &facts, &plan), &changes);

    compare("configure", &|width| summary.lines(width));
    let many: Vec<_> = (0..9).map(|it| change(&format!("setting-{it}"), "a", "b")).collect();
    let summary = Summary::of_settings(planned(&wanted, &facts, &plan), &many);
    let lines = summary.lines(Width::of_columns(80));
    assert!(lines.contains("4 more; `--verbose`"), "{lines}");
    assert!(lines.lines().count() <= 10, "{lines}");
}

#[test]
fn a_failed_validation_has_its_errors_first() {
    let conf = Paths::under("/srv/pcoip").security_gateway_conf();
    let findings = [
        Finding::warning(
            "agent.not-verified",
            "the certificates of agents are not verified, because agents use self-signed ones by default",
            format!(
                "if an authority signs them, add its certificate with `--ca-cert FILE` and set \
                 `AgentCertCheck = true` in `{}`",
                conf.display()
            ),
        ),
        Finding::error(
            "certificate.unreadable",
            "`--ssl-cert /etc/pki/tls/certs/pcoip-gateway.example.com.crt`: No such file or directory \
             (os error 2)",
            "specify a readable file",
        ),
    ];

    compare("validate", &|width| {
        let text = Screen::silent().findings_text(&findings, width);
        format!("{text}\n{}", wrap::text(&super::validation_line(&findings), width))
    });
}
