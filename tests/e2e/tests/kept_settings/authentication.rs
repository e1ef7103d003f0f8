//! OAuth and single sign-on, which are not implemented, so nobody may rely on them.

use std::{fs, fs::File, io::Write as _};

use e2e::installer::{INSTALL_ON_HOST as INSTALL, document, plain};

use super::{Environment, Installation, ids, tells};

#[test]
fn authentication_that_does_not_work_is_refused_wherever_it_is_given() {
    let site = Installation::none();
    let answers = site.file("answers.yaml", "enable-sso: true\n");
    let answers = format!("--answers={}", answers.display());
    let variable: Environment = &[("PCOIP_CMSG_ENABLE_OAUTH", "true")];
    let oauth = "users, and no identity provider is contacted";
    let sso = "users log on to their desktops with their passwords";
    let table: [(&[&str], Environment, &str, &str); 4] = [
        (&["--enable-oauth"], &[], "`--enable-oauth` is not", oauth),
        (&[], variable, "`PCOIP_CMSG_ENABLE_OAUTH` in the environment is not", oauth),
        (&[&answers], &[], "`enable-sso` in the answers file is not", sso),
        (&["--enable-sso=true"], &[], "`--enable-sso` is not", sso),
    ];
    for (words, environment, who, without) in table {
        let output = site.run(&[&INSTALL[..], words].concat(), environment, "");

        assert_eq!(output.status.code(), Some(3), "{words:?}");
        assert_eq!(ids(&output), ["settings.unsupported"], "{words:?}");
        assert!(tells(&output, who) && tells(&output, without), "{:#}", document(&output));
        assert!(!site.paths().base().exists());
    }
}

#[test]
fn authentication_that_was_saved_only_warns_and_can_be_switched_off() {
    let site = Installation::none();
    site.done(&INSTALL, &[], "");
    // As saved by an earlier version, which accepted the setting.
    let saved = site.paths().data().join("answers.yaml");
    let text = fs::read_to_string(&saved).expect("it is there");
    const OAUTH: &str =
        "enable-oauth: true\nid-provider-url: https://idp.example\noauth-client-id: 0oa1\n";
    let mut file = File::create(&saved).expect("it can be written");
    file.write_all(format!("{text}{OAUTH}").as_bytes()).expect("it can be written");
    const WARNED: [&str; 2] = ["settings.unsupported", "settings.no-effect-yet"];

    for words in [&["configure", "--agent-port=6000"][..], &["install"], &["rollback"]] {
        assert_eq!(ids(&site.done(words, &[], "")), WARNED, "{words:?}");
    }
    let shown = shown(&site, &["configure", "--agent-port=6001"]);
    let off = site.done(&["configure", "--enable-oauth=false"], &[], "");

    const WARNING: &str = "warning: `enable-oauth` in the saved settings has no effect";
    let (start, end) = shown.split_once("6001").expect("the change is told");
    assert!(start.contains(WARNING) && end.contains(WARNING), "{shown}");
    assert_eq!(ids(&off), ["settings.no-effect-yet"]);
    assert_eq!(site.value("OauthEnabled"), None);
}

/// The output of a successful command without a terminal.
fn shown(site: &Installation, words: &[&str]) -> String {
    let mut command = e2e::binaries::command("pcoip-cmsg-setup");
    command.args(words).arg("--root").arg(site.paths().root());
    let output = plain(&mut command).output().expect("the installer can be run");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    text
}
