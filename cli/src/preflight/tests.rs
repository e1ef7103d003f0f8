use cmsg_config::{Paths, socket::Role};

use super::*;
use crate::{
    answers::{Answers, Origin, file},
    args::settings::Setting,
    host::{
        broker::{BrokerFact, Seen},
        daemon::DaemonFact,
        export::Export,
        ports::Trouble,
        sockets::Owner,
        target::{Folder, Obstacle},
    },
    installation::{installed::InstalledFile, layout},
    pki::sha256,
    plan::{
        self,
        tests::{after, facts, installed, wanted},
    },
    wanted::listen::ListenKey,
};

/// Every check, as the commands put them together.
fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let on_host = of_host(wanted, facts).into_iter();
    on_host.chain(of_plan(wanted, facts)).collect()
}

pub(super) const BOTH: &str = "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\n\
                    broker-url: https://b\nexternal-pcoip-ip: 192.0.2.1\n";

/// A host where each role has a configuration.
pub(super) fn configured_facts(wanted: &Wanted) -> Facts {
    let mut facts = facts(wanted);
    for role in wanted.roles() {
        configured(&mut facts, role, "");
    }
    facts
}

/// A role's configuration is there and says so.
pub(super) fn configured(facts: &mut Facts, role: Role, text: &str) {
    let path = layout::conf(&Paths::under("/r"), role);
    let file = InstalledFile { content: text.into(), is_private: true };
    facts.installed.files.insert(path, file);
}

/// What is found on a host that is changed a little.
fn found(change: impl FnOnce(&mut Facts)) -> Vec<(&'static str, bool, String)> {
    let (wanted, _) = wanted(BOTH);
    let mut facts = configured_facts(&wanted);
    change(&mut facts);
    let findings = check(&wanted, &facts);
    findings.into_iter().map(|f| (f.id, f.is_error(), f.what)).collect()
}

fn seen(trouble: Option<&str>) -> BrokerFact {
    BrokerFact::Seen(Seen {
        key: sha256(b"key"),
        certificate: sha256(b"certificate"),
        names: "b.example".to_owned(),
        trouble: trouble.map(str::to_owned),
    })
}

#[test]
fn a_good_host_has_no_findings() {
    assert_eq!(found(|_| {}), []);
}

#[test]
fn a_port_that_is_taken_is_told_with_the_flag_that_moves_it() {
    let (wanted, _) = wanted(BOTH);
    let mut facts = configured_facts(&wanted);
    facts.listeners.get_mut(&ListenKey::Broker).unwrap().troubles =
        vec![Trouble::Taken { transport: "tcp", owner: None }];
    facts.listeners.get_mut(&ListenKey::Pcoip).unwrap().troubles = vec![
        Trouble::Taken { transport: "udp", owner: Some(Owner { name: "sg".to_owned(), pid: 7 }) },
        Trouble::Refused("no such address".to_owned()),
    ];

    let findings = check(&wanted, &facts);

    assert_eq!(
        findings[0],
        Finding::error(
            "port.taken",
            "127.0.0.1:20001/tcp, needed by `broker`, is in use",
            "find the program as root (`ss -lntup`) and stop it, or choose another address with \
             `--listen broker=ADDR:PORT`",
        )
    );
    assert_eq!(
        findings[1],
        Finding::error(
            "port.taken",
            "127.0.0.1:20003/udp, needed by `pcoip`, is in use by `sg` (pid 7)",
            "stop that program, or choose another address with `--listen pcoip=ADDR:PORT`",
        )
    );
    assert_eq!(findings[2].id, "port.refused");
    assert_eq!(findings.len(), 3);
}

#[test]
fn two_listeners_cannot_share_a_port_of_one_transport() {
    let [address, everywhere] = ["127.0.0.1:7", "0.0.0.0:7"].map(|text| text.parse().ok());
    let table = [
        (ListenKey::Broker, ListenKey::Http, 1),
        (ListenKey::Pcoip, ListenKey::UdpSource, 1),
        (ListenKey::Broker, ListenKey::UdpSource, 0),
    ];
    for (one, other, count) in table {
        let found = found(|facts| {
            facts.listeners.get_mut(&one).unwrap().address = address;
            facts.listeners.get_mut(&other).unwrap().address = everywhere;
        });

        assert_eq!(found.iter().filter(|f| f.0 == "port.twice").count(), count, "{one} {other}");
    }
}

#[test]
fn a_shortage_of_disk_is_a_warning_under_another_root() {
    let found = found(|facts| facts.free_disk = Some(9_999_999_999));

    let what = "only 9 GB of disk space is free for `/r`, but 10 GB is required".to_owned();
    assert_eq!(found, [("host.disk", false, what)]);
}

#[test]
fn a_folder_that_cannot_take_the_files_is_refused() {
    let usable = Folder {
        path: "/r".into(),
        obstacle: None,
        free: Some(26_000_000),
        has_no_inodes: false,
        device: Some(1),
    };
    let blocked = |obstacle| Folder { obstacle: Some(obstacle), ..usable.clone() };
    let table = [
        (usable.clone(), None),
        (blocked(Obstacle::NotAFolder), Some(("target.not-a-folder", "is not a directory"))),
        (blocked(Obstacle::ReadOnly), Some(("target.read-only", "is read-only"))),
        (blocked(Obstacle::NotPermitted), Some(("target.not-permitted", "cannot write"))),
        (blocked(Obstacle::Other("i/o error".to_owned())), Some(("target.unusable", "i/o error"))),
        (
            Folder { free: Some(25_999_999), ..usable.clone() },
            Some(("target.full", "has 25 MB free, but the installation needs 26 MB")),
        ),
        (Folder { has_no_inodes: true, ..usable.clone() }, Some(("target.full", "no free inodes"))),
    ];
    for (folder, expected) in table {
        let found = found(|facts| {
            facts.daemon_bytes = 10_000_000;
            facts.target.folders = vec![folder.clone()];
        });

        assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
        for ((id, is_error, what), (wanted, part)) in found.iter().zip(expected) {
            assert!(*id == wanted && *is_error && what.contains(part), "{id} {what}");
        }
    }
}

#[test]
fn a_full_file_system_is_told_once_for_all_folders_in_it() {
    let full = |path: &str, device| Folder {
        path: path.into(),
        obstacle: None,
        free: Some(0),
        has_no_inodes: false,
        device,
    };

    let found = found(|facts| {
        let folders = [("/r", Some(1)), ("/r/a", Some(1)), ("/r/b", Some(2)), ("/r/c", Some(1))];
        facts.target.folders = folders.map(|(path, device)| full(path, device)).into();
    });

    let paths: Vec<_> = found.iter().map(|(_, _, what)| what.split('`').nth(1)).collect();
    assert_eq!(paths, [Some("/r"), Some("/r/b")]);
}

#[test]
fn who_is_not_root_is_told_so_once() {
    let text = BOTH.replace("root: /r\n", "");
    let (wanted, _) = wanted(&text);
    let mut facts = facts(&wanted);
    facts.listeners.get_mut(&ListenKey::Broker).unwrap().troubles = vec![Trouble::NotPermitted];
    facts.target.folders = vec![Folder {
        path: "/opt".into(),
        obstacle: Some(Obstacle::NotPermitted),
        free: None,
        has_no_inodes: false,
        device: None,
    }];
    let told = |facts: &Facts| {
        let findings = of_host(&wanted, facts).into_iter().map(|finding| finding.id);
        findings.filter(|id| !id.starts_with("runtime.")).collect::<Vec<_>>()
    };

    assert_eq!(told(&facts), ["host.not-root"]);
    facts.is_root = true;
    assert_eq!(told(&facts), ["target.not-permitted", "port.not-permitted"]);
}

#[test]
fn disk_that_is_ignored_is_not_told() {
    let (wanted, _) = wanted(&format!("{BOTH}ignore-disk-req: true\n"));
    let mut facts = configured_facts(&wanted);
    facts.free_disk = Some(0);

    assert_eq!(check(&wanted, &facts), []);
}

#[test]
fn a_daemon_that_is_not_there_is_refused() {
    let finding = |daemon: DaemonFact| found(|facts| facts.daemon = daemon);
    let (away, odd) =
        ("the daemon `/d` does not exist", "the daemon `/d` is not an executable file");
    let refused = |what: &str| vec![("daemon.missing", true, what.to_owned())];
    assert_eq!(finding(DaemonFact::Missing("/d".into())), refused(away));
    assert_eq!(finding(DaemonFact::NotExecutable("/d".into())), refused(odd));
}

#[test]
fn trust_in_the_broker_is_told_only_where_it_is_new_or_broken() {
    let pin = |key: &[u8]| format!("PcoipAddress = https://b\nBrokerCertPin = {}\n", sha256(key));
    let elsewhere = pin(b"old").replace("https://b", "https://elsewhere");
    let unverified = "PcoipAddress = https://b\nBrokerCertCheck = false\n".to_owned();
    let issuer = Some("unknown issuer");
    let table = [
        (BrokerFact::NotAsked, String::new(), None),
        (
            BrokerFact::Unreachable("refused".to_owned()),
            String::new(),
            Some(("broker.unreachable", false)),
        ),
        (seen(None), String::new(), None),
        (seen(issuer), String::new(), Some(("broker.pinned", false))),
        (seen(issuer), elsewhere, Some(("broker.pinned", false))),
        (seen(issuer), "PcoipAddress = https://b\n".to_owned(), Some(("broker.untrusted", false))),
        (seen(issuer), unverified, Some(("broker.pinned", false))),
        (BrokerFact::Unverified, String::new(), Some(("broker.unverified", false))),
        (seen(issuer), pin(b"key"), None),
        (seen(issuer), pin(b"certificate"), None),
        (seen(issuer), pin(b"old"), Some(("broker.key-changed", true))),
    ];
    for (index, (broker, conf, expected)) in table.into_iter().enumerate() {
        let found = found(|facts| {
            configured(facts, Role::Cm, &conf);
            facts.broker = broker;
        });

        let told = found.first().map(|(id, is_error, _)| (*id, *is_error));
        assert_eq!(told, expected, "row {index}");
    }
}

#[test]
fn authentication_that_was_written_by_hand_and_does_not_work_is_a_warning() {
    let conf = "OauthEnabled = true\nSsoEnabled = false\n";

    let found = found(|facts| configured(facts, Role::Cm, conf));

    assert_eq!(found.len(), 1, "{found:?}");
    let (id, is_error, what) = &found[0];
    assert_eq!((*id, *is_error), ("settings.unsupported", false));
    assert!(what.contains("`OauthEnabled = true` has no effect: only the broker"), "{what}");
}

#[test]
fn the_configuration_is_read_as_the_daemon_reads_it() {
    let found =
        found(|facts| configured(facts, Role::Cm, "MaxConnections = many\nColour = blue\n"));

    let file = "/r/opt/teradici/pcoipcm_data/data/ConnectionManager.conf";
    let what =
        format!("`{file}`: line 1: `MaxConnections`: `many` is not a number from 1 to 100000");
    assert_eq!(found, [("configuration.invalid", true, what)]);
}

#[test]
fn an_unknown_key_is_a_warning() {
    let found = found(|facts| configured(facts, Role::Cm, "Colour = blue\n"));

    let file = "/r/opt/teradici/pcoipcm_data/data/ConnectionManager.conf";
    let what = format!("`{file}`: line 1: unknown key `Colour`");
    assert_eq!(found, [("configuration.odd", false, what)]);
}

#[test]
fn files_that_cannot_be_read_are_told_once_each() {
    let (wanted, _) = wanted(
        "accept-policies: true\nroot: /r\nruntime: host\nbroker-url: https://b\n\
         external-pcoip-ip: 192.0.2.1\nssl-cert: /c\nssl-key: /k\nca-cert: /a\n",
    );
    let mut facts = configured_facts(&wanted);
    for setting in [Setting::SslCert, Setting::SslKey] {
        facts.given.insert(setting, Err("is not a regular file".to_owned()));
    }
    facts.given.insert(Setting::CaCert, Ok("nothing".into()));

    let findings = check(&wanted, &facts);

    let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["certificate.unreadable", "key.unreadable", "certificate.unreadable"]);
    assert_eq!(findings[0].what, "`--ssl-cert /c`: is not a regular file");
}

#[test]
fn that_agents_are_not_verified_is_told_when_a_role_is_new() {
    let told = |there: &[Role]| {
        let (wanted, _) = wanted(BOTH);
        let mut facts = facts(&wanted);
        there.iter().for_each(|role| configured(&mut facts, *role, ""));
        check(&wanted, &facts)
    };
    let finding = |files: &str| {
        Finding::warning(
            "agent.not-verified",
            "the certificates of agents are not verified, because agents use self-signed ones by \
             default",
            format!(
                "if an authority signs them, add its certificate with `--ca-cert FILE` and set \
                 `AgentCertCheck = true` in {files}"
            ),
        )
    };
    let data = "/r/opt/teradici/pcoipcm_data/data";
    let [cm, sg] = ["ConnectionManager", "SecurityGateway"].map(|n| format!("`{data}/{n}.conf`"));

    assert_eq!(told(&[]), [finding(&format!("{cm} and {sg}"))]);
    assert_eq!(told(&[Role::Cm]), [finding(&sg)]);
    assert_eq!(told(&[Role::Cm, Role::Sg]), []);
}

#[test]
fn that_networks_have_to_be_named_is_reported_once_where_older_versions_needed_none() {
    let paths = Paths::under("/r");
    let told = |facts: &Facts, text: &str| {
        let findings = check(&wanted(text).0, facts);
        ["agent.addresses", "broker.client-address"]
            .map(|id| findings.iter().filter(|finding| finding.id == id).count())
    };
    let mut old = installed(BOTH);
    let record = layout::record(&paths);
    let text = old.installed.files[&record].content.text().to_string();
    let mut note: serde_json::Value = serde_json::from_str(&text).unwrap();
    note.as_object_mut().unwrap().remove("announced").unwrap();
    let file = InstalledFile { content: note.to_string().into(), is_private: true };
    old.installed.files.insert(record, file);

    let (is_wanted, answers) = wanted(BOTH);
    let new = after(&plan::install(&is_wanted, &old, &answers), installed(BOTH));

    assert_eq!(told(&facts(&is_wanted), BOTH), [0, 0], "nothing was installed");
    assert_eq!(told(&old, BOTH), [1, 1]);
    assert_eq!(told(&old, &format!("{BOTH}allowed-agents: 10.0.0.0/8\n")), [0, 1]);
    assert_eq!(told(&old, &format!("{BOTH}trusted-proxies: 10.0.0.1\n")), [1, 0]);
    assert_eq!(told(&new, BOTH), [0, 0]);
}

#[test]
fn a_file_that_cannot_take_the_answers_is_refused() {
    let found = found(|facts| {
        let found = Err("is not a regular file".to_owned());
        facts.export = Some(Export { path: "/folder".into(), found });
    });

    let what = "`--save-answers`: `/folder`: is not a regular file".to_owned();
    assert_eq!(found, [("settings.save-answers", true, what)]);
}

#[test]
fn a_certificate_that_was_just_given_and_is_not_shown_is_told() {
    const GIVEN: &str = "accept-policies: true\nroot: /r\nruntime: host\nbroker-url: https://b\n\
         external-pcoip-ip: 192.0.2.1\nssl-cert: /c\nssl-key: /k\nca-cert: /a\n";
    let told = |answers: &Answers| {
        let (wanted, _) = Wanted::read(answers, Location::read(answers).unwrap());
        let mut facts = configured_facts(&wanted);
        configured(&mut facts, Role::Sg, "SslCertificate = /mine.crt\n");
        check(&wanted, &facts)
    };
    let layer = file::parse(GIVEN).unwrap();

    let given = told(&Answers::resolve(&[(Origin::Flag, &layer)]));
    let kept = told(&Answers::resolve(&[(Origin::Saved, &layer)]));

    let warning = Finding::warning(
        "certificate.not-shown",
        "`/r/opt/teradici/pcoipcm_data/data/SecurityGateway.conf` names the certificate \
         `/mine.crt`, not the one that you specified",
        "to use your certificate, remove the lines `SslCertificate` and `SslKey` from that file",
    );
    assert_eq!(given, [warning]);
    assert_eq!(kept, []);
}
