//! Lines of the .conf files that an administrator edited although a flag sets them.

use std::{
    fs::{self, File},
    io::Write as _,
};

use cmsg_config::{
    ConfFile,
    socket::{self, Role},
};
use e2e::{
    installation::Installation,
    installer::{document, told},
};
use serde_json::{Value, json};

const KEY: &str = "AllowedAgents";

/// Replaces the values of a key, like an administrator with an editor.
fn edit(site: &Installation, role: Role, key: &str, values: &[&str]) {
    let path = conf(site, role);
    let mut file = ConfFile::load(&path).expect("the configuration can be read");
    file.set(key, values);
    let mut written = File::create(path).expect("the configuration can be opened");
    written.write_all(file.render().as_bytes()).expect("the configuration can be written");
}

fn conf(site: &Installation, role: Role) -> std::path::PathBuf {
    match role {
        Role::Cm => site.paths().connection_manager_conf(),
        Role::Sg => site.paths().security_gateway_conf(),
    }
}

/// The values of a key in both files.
fn both(site: &Installation, key: &str) -> [Vec<String>; 2] {
    [Role::Cm, Role::Sg].map(|role| site.values(&conf(site, role), key))
}

fn edits(document: &Value) -> Vec<String> {
    let findings = document["findings"].as_array().expect("there are findings").iter();
    let edits = findings.filter(|finding| finding["id"] == "configuration.edited");
    edits.map(|finding| finding["what"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_edit_by_hand_is_kept_by_an_unrelated_change_and_becomes_the_answer() {
    let site = Installation::start();
    site.done(&["configure", "--allowed-agents=10.1.0.0/16", "--trusted-proxies=10.2.0.1"]);
    let hand = ["10.1.0.0/16", "10.9.0.0/16"];
    for role in [Role::Cm, Role::Sg] {
        edit(&site, role, KEY, &hand);
    }
    edit(&site, Role::Cm, "TrustedProxies", &[]);

    let path = |role| conf(&site, role).display().to_string();
    let [cm, sg] = [path(Role::Cm), path(Role::Sg)];
    let kept = |path: &str| {
        format!("`{KEY}` was edited by hand in `{path}`: kept `10.1.0.0/16, 10.9.0.0/16`")
    };
    let removed = format!("`TrustedProxies` was removed by hand from `{cm}`: it stays removed");
    let expected = [kept(&cm), removed, kept(&sg)];
    let checked = document(&site.run(&["validate"]));
    assert_eq!(edits(&checked), expected);
    let status = site.done(&["status"]);
    assert_eq!(edits(&status).len(), 3, "{status:#}");

    let unrelated = site.done(&["configure", "--agent-port=6000"]);

    assert_eq!(edits(&unrelated), expected);
    assert_eq!(both(&site, KEY), [hand, hand]);
    assert_eq!(site.values(&conf(&site, Role::Cm), "TrustedProxies"), [""; 0]);
    assert_eq!(
        unrelated["settings"]["allowed-agents"],
        json!({ "value": hand, "from": "edited", "was": ["10.1.0.0/16"] })
    );
    let later = site.done(&["configure", "--agent-port=6001"]);
    assert_eq!(
        (edits(&later), both(&site, KEY)),
        (vec![], [hand.into(), hand.into()].map(strings))
    );
    assert_eq!(later["settings"]["allowed-agents"]["from"], "saved");

    edit(&site, Role::Cm, KEY, &["10.8.0.0/16"]);
    let typed = site.done(&["configure", "--allowed-agents=10.3.0.0/16"]);
    let replaced =
        format!("`{KEY}` was edited by hand in `{cm}`: `10.8.0.0/16` is replaced by `10.3.0.0/16`");
    assert_eq!(edits(&typed), [replaced]);
    assert_eq!(both(&site, KEY), [["10.3.0.0/16"], ["10.3.0.0/16"]]);

    let back = site.done(&["rollback"]);
    assert_eq!(edits(&back), [""; 0]);
    assert_eq!(site.values(&conf(&site, Role::Cm), KEY), ["10.8.0.0/16"]);
    assert_eq!(site.values(&conf(&site, Role::Sg), KEY), hand);
}

fn strings(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

#[test]
fn keys_of_one_value_are_answers_too_and_listeners_move_alone() {
    let site = Installation::start();
    site.done(&["configure", "--listen=broker=127.0.0.1:0", "--listen=pcoip=127.0.0.1:0"]);
    let [free, other] = [(); 2].map(|()| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.local_addr().expect("it has an address").to_string()
    });
    edit(&site, Role::Cm, "ListenAddress", &[&free]);
    edit(&site, Role::Cm, "HttpListenAddress", &[&other]);
    edit(&site, Role::Cm, "PcoipAddress", &["https://127.0.0.1:2"]);
    edit(&site, Role::Cm, "SecurityGatewayEnabled", &["false"]);
    let pcoip = site.values(&conf(&site, Role::Sg), "ListenAddress");

    let changed = site.done(&["configure", "--agent-port=6000"]);

    let values = |key: &str| site.values(&conf(&site, Role::Cm), key);
    assert_eq!(edits(&changed).len(), 4, "{:#}", changed["findings"]);
    assert_eq!(values("ListenAddress"), [free.as_str()]);
    assert_eq!(values("HttpListenAddress"), [other]);
    assert_eq!(values("PcoipAddress"), ["https://127.0.0.1:2"]);
    assert_eq!(changed["settings"]["broker-url"]["value"], "https://127.0.0.1:2");
    assert_eq!(values("SecurityGatewayEnabled"), ["true"]);
    assert_eq!(site.values(&conf(&site, Role::Sg), "ListenAddress"), pcoip);
    let listen = changed["settings"]["listen"]["value"].as_array().cloned().unwrap_or_default();
    assert_eq!(listen, [json!(format!("broker={free}")), json!("pcoip=127.0.0.1:0")]);
    assert!(socket::connect(&site.paths().run(), Role::Cm).is_ok());
    let again = site.done(&["configure", "--agent-port=6001"]);
    assert_eq!(edits(&again), [""; 0]);
}

#[test]
fn an_edit_that_cannot_be_read_is_refused_with_its_line_and_stays() {
    let site = Installation::start();
    site.done(&["configure", "--agent-port=6000"]);
    edit(&site, Role::Cm, "AgentPort", &["99999"]);
    let text = fs::read_to_string(conf(&site, Role::Cm)).expect("it can be read");
    let line = 1 + text.lines().position(|line| line.starts_with("AgentPort")).unwrap_or(0);

    let (code, refused) = told(&site.run(&["configure", "--ignore-disk-req"]));

    let ids: Vec<_> = refused["findings"].as_array().expect("there are findings").iter().collect();
    let invalid = ids.iter().find(|finding| finding["id"] == "configuration.invalid");
    let what = invalid.expect("the line is refused")["what"].as_str().unwrap_or_default();
    assert_eq!(code, Some(3), "{refused:#}");
    assert!(what.contains(&format!("line {line}: `AgentPort`: `99999` is not a port")), "{what}");
    assert_eq!(site.values(&conf(&site, Role::Cm), "AgentPort"), ["99999"]);
}

#[test]
fn what_was_edited_after_the_last_change_is_named_when_it_is_rolled_back() {
    let site = Installation::start();
    site.done(&["configure", "--agent-port=6000"]);
    edit(&site, Role::Cm, "AgentPort", &["7000"]);
    edit(&site, Role::Cm, "MaxConnections", &["77"]);

    let back = site.done(&["rollback"]);

    let cm = conf(&site, Role::Cm).display().to_string();
    let lost = [
        format!("`AgentPort` was edited by hand in `{cm}`: `7000` is removed"),
        format!("`MaxConnections` was edited by hand in `{cm}`: `77` is removed"),
    ];
    assert_eq!(edits(&back), lost);
    assert_eq!(site.values(&conf(&site, Role::Cm), "AgentPort"), [""; 0]);
    site.done(&["rollback"]);
    assert_eq!(site.values(&conf(&site, Role::Cm), "AgentPort"), ["7000"]);
    assert_eq!(site.values(&conf(&site, Role::Cm), "MaxConnections"), ["77"]);
}

#[test]
fn an_edit_of_one_of_two_files_is_reported_until_the_flag_sets_both() {
    let site = Installation::start();
    site.done(&["configure", "--allowed-agents=10.1.0.0/16"]);
    edit(&site, Role::Cm, KEY, &["10.0.0.0/8"]);

    let status = site.done(&["status"]);

    let file = conf(&site, Role::Cm).display().to_string();
    let told = format!(
        "`{KEY}` was edited by hand in `{file}`: `10.0.0.0/8`; it was `10.1.0.0/16`; the other \
         service still has the old value"
    );
    assert_eq!(edits(&status), [told]);
    let findings = status["findings"].as_array().expect("there are findings").iter();
    let finding = findings.clone().find(|finding| finding["id"] == "configuration.edited");
    let flag = "--allowed-agents 10.0.0.0/8";
    let cure = format!(
        "run `pcoip-cmsg-setup configure --root {} {flag}` to set it for both services",
        site.root().display()
    );
    assert_eq!(finding.expect("it is reported")["cure"], cure);
    site.done(&["configure", "--allowed-agents", "10.0.0.0/8"]);
    assert_eq!(edits(&site.done(&["status"])), [""; 0]);
    assert_eq!(both(&site, KEY), [["10.0.0.0/8"], ["10.0.0.0/8"]]);
}
