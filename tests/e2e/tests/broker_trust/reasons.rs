//! All reasons for which a broker's certificate is refused, and their texts.

use std::io::Write as _;

use e2e::{
    installation::Installation,
    installer::{INSTALL_ON_HOST, document, with},
    needs::{Need, met},
    terminal::Terminal,
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{
    findings, log,
    presenter::{Presented, Presenter},
    until, words,
};

/// An installation that trusts the presenter's authority.
fn installed(presenter: &Presenter) -> (Installation, NamedTempFile) {
    let mut file = NamedTempFile::new().expect("a file can be made");
    file.write_all(presenter.authority().as_bytes()).expect("it can be written");
    let site = Installation::nothing();
    let url = url(presenter);
    let authority = format!("--ca-cert={}", file.path().display());
    let document = site.done(&with(&INSTALL_ON_HOST, &[&url, &authority]));
    assert!(findings(&document, "broker.pinned").is_empty(), "{document:#}");
    (site, file)
}

fn url(presenter: &Presenter) -> String {
    format!("--broker-url=https://localhost:{}", presenter.address.port())
}

/// The finding of `status` once the broker's certificate is refused for this reason.
fn refused(site: &Installation, problem: &str) -> Value {
    let is_so = |cm: &Value| cm["broker"]["refused"]["problem"] == json!(problem);
    let status = until(site, problem, is_so);
    findings(&status, "broker.untrusted")[0].clone()
}

/// The certificate, the problem, its text and its fix.
type Row = (Presented<'static>, &'static str, &'static str, &'static str);

fn table() -> [Row; 4] {
    const RIGHT: Presented<'_> = Presented::RIGHT;
    const AHEAD: &str = "Date: Fri, 02 Jan 2099 00:00:00 GMT\r\n";
    [
        (
            Presented { years: (2000, 2001), ..RIGHT },
            "expired",
            "it expired at 2001-01-01T00:00:00Z",
            "renew the broker's certificate",
        ),
        (
            Presented { name: "other.example", ..RIGHT },
            "other-name",
            "it is for `other.example`, not for `localhost`",
            "set `--broker-url` to a name in the certificate",
        ),
        (
            Presented { is_issued: false, ..RIGHT },
            "unknown-authority",
            "it was not issued by a trusted authority",
            "add the certificates of its authority with `--ca-cert FILE`",
        ),
        (
            Presented { years: (2099, 2100), head: AHEAD, ..RIGHT },
            "not-yet-valid",
            "it is not valid before 2099-01-01T00:00:00Z",
            "compare the clocks of both hosts",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_has_its_words_and_its_fix() {
    let presenter = Presenter::start(&Presented::RIGHT).await;
    let (site, _authority) = installed(&presenter);
    until(&site, "the broker is trusted", |cm| cm["broker"]["answers"] == json!(true));
    for (presented, problem, why, fix) in table() {
        presenter.present(&presented);

        let finding = refused(&site, problem);

        let (what, cure) = words(&finding);
        assert!(what.contains(why), "{what}");
        assert!(cure.starts_with(fix), "{cure}");
        let told = log(&site);
        let line = told.lines().rfind(|line| line.contains("Not ready for sessions"));
        assert!(line.is_some_and(|line| line.contains(why)), "{told}");
        if problem == "not-yet-valid" {
            assert!(what.contains(" seconds ahead of this host's"), "{what}");
        }
        // Other settings can still be changed, and nothing is pinned.
        let document = site.done(&["configure", "--ignore-disk-req", "--dry-run"]);
        let (told, cure) = words(findings(&document, "broker.untrusted")[0]);
        assert!(told.contains(why), "{told}");
        assert!(cure.contains("--broker-pin sha256:"), "{cure}");
        // Consecutive refusals are logged once a minute.
        presenter.present(&Presented::RIGHT);
        until(&site, "the broker is trusted", |cm| cm["broker"]["answers"] == json!(true));
    }
    let conf = site.paths().connection_manager_conf();
    assert_eq!(site.values(&conf, "BrokerCertPin"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_pinned_at_a_terminal_and_not_by_silence() {
    if !met(&[Need::Tool("setsid")]) {
        return;
    }
    let own = Presented { is_issued: false, ..Presented::RIGHT };
    let presenter = Presenter::start(&own).await;
    let site = Installation::nothing();
    let document = site.done(&with(&INSTALL_ON_HOST, &[&url(&presenter)]));
    assert_eq!(findings(&document, "broker.pinned").len(), 1);
    let conf = site.paths().connection_manager_conf();
    let before = site.values(&conf, "BrokerCertPin");
    presenter.present(&own);
    let mut command = e2e::binaries::command("pcoip-cmsg-setup");
    command.args(["configure", "--yes", "--root"]).arg(site.root());

    let mut terminal = Terminal::run(&command);
    terminal.expect("presents a different certificate than the pinned one");
    terminal.expect("key:\r\n    sha256:");
    terminal.expect("How should it be trusted?");
    terminal.answer("(--broker-cert-check=false)\r\n", "");

    let (code, shown) = terminal.ended();
    assert_eq!(code, 0, "{shown}");
    let after = site.values(&conf, "BrokerCertPin");
    assert!(after.len() == 1 && after != before, "{after:?}");
    assert!(shown.contains(&after[0]), "{shown}");
    until(&site, "the broker is trusted", |cm| cm["broker"]["answers"] == json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_verified_is_named_by_every_command() {
    let presenter = Presenter::start(&Presented::RIGHT).await;
    let site = Installation::nothing();
    let flags = [&*url(&presenter), "--broker-cert-check=false"];
    let words = with(&INSTALL_ON_HOST, &flags);

    let validated = document(&site.run(&with(&["validate"], &words[1..])));
    let documents = [
        validated,
        site.done(&words),
        site.done(&["install"]),
        site.done(&["configure", "--agent-port=6000"]),
        site.done(&["update"]),
        site.done(&["status"]),
    ];

    for document in documents {
        let found = findings(&document, "broker.unverified");
        assert_eq!(found.len(), 1, "{document:#}");
        assert!(found[0]["what"].as_str().is_some_and(|it| it.contains("intercepted")));
    }
    let pinned = site.done(&["configure", "--broker-cert-check=true"]);
    assert_eq!(findings(&pinned, "broker.pinned").len(), 1, "{pinned:#}");
    let status = site.done(&["status"]);
    assert!(findings(&status, "broker.unverified").is_empty(), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_from_the_brokers_is_a_finding_with_the_seconds() {
    const BEHIND: &str = "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n";
    let presenter = Presenter::start(&Presented { head: BEHIND, ..Presented::RIGHT }).await;
    let site = Installation::nothing();
    let url = url(&presenter);
    let words_of = with(&INSTALL_ON_HOST, &[&url]);

    let validated = document(&site.run(&with(&["validate"], &words_of[1..])));
    let installed = site.done(&words_of);

    for document in [validated, installed] {
        let (what, _) = words(findings(&document, "clock.skew")[0]);
        let seconds = what.split(" seconds behind ").next().and_then(|it| it.rsplit(' ').next());
        let seconds = seconds.and_then(|seconds| seconds.parse::<u64>().ok());
        assert!(seconds.is_some_and(|seconds| seconds > 20 * 365 * 86400), "{what}");
    }
    until(&site, "the clock is known", |cm| {
        cm["broker"]["clock_skew"].as_i64().is_some_and(|skew| skew < 0)
    });
}
