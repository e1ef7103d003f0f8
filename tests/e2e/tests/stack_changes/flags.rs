//! The effect of flags on the services, as the services and their clients see it, for changes and
//! for new installations.

use std::{collections::BTreeSet, fs, path::Path};

use cmsg_config::socket::Role::{Cm, Sg};
use e2e::installer;
use serde_json::json;

use crate::{
    rows::{
        Arrives::{self, Copied, Forgotten, Kept, Listens, Named, Network, Stands},
        BACK, ELSEWHERE, FIRST, SECOND,
    },
    site::{INSTALL, Site},
};

/// Creates the files for the rows.
const MAKE: &str = "set -e; cd /root; (umask 077; echo hunter2 >password); \
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 300 \
    -addext keyUsage=keyCertSign,cRLSign; \
    openssl req -newkey rsa:2048 -nodes -keyout cm.key -out cm.csr -subj /CN=cm.example; \
    printf 'subjectAltName=DNS:cm.example,IP:192.0.2.1\nextendedKeyUsage=serverAuth\n\
    keyUsage=digitalSignature,keyEncipherment\n' >ext; \
    openssl x509 -req -in cm.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 300 -extfile ext \
    -out cm.crt; \
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout jwt.key \
    -out jwt.crt -subj /CN=jwt -days 300; \
    printf '[ca]\ndefault_ca=own\n[own]\ndatabase=index\ndefault_md=sha256\n\
    default_crl_days=30\n' >ca.conf; touch index; \
    openssl ca -gencrl -config ca.conf -keyfile ca.key -cert ca.crt -out ca.crl";

fn arrives(site: &Site, arrival: &Arrives) {
    let settings = || site.done(&["status"])["settings"].take();
    match arrival {
        Listens(role, key, address) => {
            let listens = site.status(*role).listens;
            let at = listens.iter().filter(|listen| listen.key == *key);
            let all: Vec<_> = at.map(|listen| listen.address.to_string()).collect();
            assert!(!all.is_empty() && all.iter().all(|at| at == address), "{key}: {listens:?}");
        }
        Stands(role, key, values) => assert_eq!(site.values(*role, key), *values, "{key}"),
        Network(range) => assert_eq!(site.network(), *range),
        Copied(copy, given) => {
            let copy = site.shell(&format!("cat /opt/teradici/pcoipcm_data/certs/{copy}"));
            assert_eq!(copy, site.shell(&format!("cat /root/{given}")), "{given}");
        }
        Named(name) => {
            for told in site.shown("-ext subjectAltName") {
                let mut names = told.lines().flat_map(|line| line.split(", ")).map(str::trim);
                assert!(names.any(|it| it == *name), "{name}: {told}");
            }
        }
        Kept(name) => assert_eq!(settings()[*name]["value"], json!(false), "{name}"),
        Forgotten(name) => assert_eq!(settings().get(*name), None, "{name}"),
    }
}

#[test]
fn a_changed_flag_arrives_and_starts_anew_only_the_service_that_it_concerns() {
    let Some(site) = Site::installed() else { return };
    site.shell(MAKE);
    for (words, arrivals, restarts) in [FIRST, BACK, SECOND].into_iter().flatten() {
        let before = site.tasks();

        let document = site.done(&[&["configure"], *words].concat());

        assert_eq!(document["restarts"], json!(restarts), "{words:?}");
        arrivals.iter().for_each(|arrival| arrives(&site, arrival));
        let after = site.tasks();
        for (index, role) in [Cm, Sg].iter().enumerate() {
            let is_anew = before[index] != after[index];
            assert_eq!(is_anew, restarts.contains(role), "{words:?}: {role:?}");
        }
        site.is_live();
    }
}

#[test]
fn flags_that_an_installation_is_given_all_at_once_all_arrive() {
    let Some(site) = Site::fresh() else { return };
    site.shell(MAKE);
    let before = site.state();
    for rows in [FIRST, SECOND] {
        let flags: Vec<_> = rows.iter().flat_map(|(words, ..)| *words).copied().collect();

        site.done(&installer::with(&INSTALL, &flags));

        let arrivals = rows.iter().flat_map(|(_, arrivals, _)| *arrivals);
        arrivals.for_each(|arrival| arrives(&site, arrival));
        site.is_live();
        site.is_gone_without_trace(&before, flags[0]);
    }
}

#[test]
fn every_flag_is_in_a_row_or_in_a_test_of_its_own() {
    let page = include_str!("../../../../docs/configuration.md");
    let lines = page.lines().filter_map(|line| line.strip_prefix("| `--")?.split_once('`'));
    let all: BTreeSet<_> = lines.map(|(name, _)| name).collect();
    let words = [FIRST, BACK, SECOND].into_iter().flatten().flat_map(|(words, ..)| *words);
    let in_rows: BTreeSet<_> =
        words.map(|word| installer::name(word).trim_start_matches("--")).collect();
    let elsewhere: BTreeSet<_> = ELSEWHERE.iter().map(|(name, _)| *name).collect();

    assert_eq!(&in_rows | &elsewhere, all);
    assert_eq!(&in_rows & &elsewhere, BTreeSet::new(), "one place is enough");
    for (name, test) in ELSEWHERE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(test);
        let text = fs::read_to_string(path).expect("the test is there");
        assert!(text.contains(&format!("--{name}")), "`--{name}` is not in `{test}`");
    }
}

#[test]
fn an_installation_stays_with_what_runs_it_and_where_it_lies() {
    const OTHER: &str = "add `--runtime=swarm`, or run `pcoip-cmsg-setup uninstall` first, which \
                         keeps configuration and keys";
    const RIGHT: &str = "run the command with `--runtime=swarm`";
    let Some(site) = Site::installed() else { return };
    let before = site.state();
    for (command, cure) in [("install", OTHER), ("configure", RIGHT), ("status", RIGHT)] {
        let finding = site.fails(&[command, "--runtime=host"], 3);

        assert_eq!(finding["id"], json!("runtime.other"), "{command}");
        assert_eq!(finding["cure"], json!(cure), "{command}");
    }
    let finding = site.fails(&[&INSTALL[..], &["--root=/srv/other"]].concat(), 3);
    assert_eq!(finding["id"], json!("runtime.root"));
    assert!(!site.machine.path("/srv/other").exists());
    site.is_as(&before, "refused");
}

#[test]
fn one_half_goes_and_comes_back_and_the_other_stays_at_its_work() {
    let Some(site) = Site::installed() else { return };
    for (flag, gone) in [("--enable-security-gateway", Sg), ("--enable-connection-manager", Cm)] {
        let other = if gone == Sg { Cm } else { Sg };
        let at = usize::from(gone == Sg);
        let keys = ["cm", "sg"];
        let off = format!("{flag}=false");
        let mut words = vec!["configure", &off];
        if gone == Cm {
            words.push("--jwt-verifying-cert=/opt/teradici/pcoipcm_data/certs/jwt-verifying.crt");
        }

        let document = site.done(&words);

        // Its own file names the peer.
        assert_eq!(document["restarts"], json!([other]), "{flag}");
        assert_eq!(site.tasks()[at], "", "{flag}");
        let status = site.done(&["status"]);
        assert_eq!(status["roles"][keys[1 - at]]["live"], json!(true), "{status:#}");
        assert!(status["roles"][keys[at]].is_null(), "{status:#}");

        site.done(&["configure", &format!("{flag}=true")]);
        site.is_live();
        assert_ne!(site.tasks()[at], "", "{flag}");
    }
}
