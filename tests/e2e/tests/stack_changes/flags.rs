//! What a changed flag does to the services, as the services and their clients see it.

use cmsg_config::socket::Role;
use serde_json::json;

use crate::site::Site;

/// Where the table says that something arrives.
enum Arrives {
    /// At a listener of that role, by its key.
    Listens(Role, &'static str, &'static str),
    /// In that role's file, under that key, where the role reads it when it starts.
    Stands(Role, &'static str, &'static str),
    /// At the engine's network.
    Network(&'static str),
    /// As `false` among the saved answers, and nowhere else.
    Kept(&'static str),
}
use Arrives::{Kept, Listens, Network, Stands};
use Role::{Cm, Sg};

/// Flags, where each arrives, and which services start anew for it.
const ROWS: &[(&[&str], &[Arrives], &[Role])] = &[
    (
        &["--listen=http=0.0.0.0:8080", "--broker-cert-check=false", "--enable-horizon"],
        &[
            Listens(Cm, "http", "0.0.0.0:8080"),
            Stands(Cm, "BrokerCertCheck", "false"),
            Stands(Cm, "HorizonEnabled", "true"),
        ],
        &[Cm],
    ),
    (
        &[
            "--enable-oauth",
            "--id-provider-url=https://idp.example/oauth2",
            "--oauth-client-id=0oa1",
            "--fa-url=https://cac.example:8443",
            "--enable-sso",
            "--sso-enrollment-url=https://ca.example/certsrv",
            "--sso-enrollment-domain=corp.example",
            "--sso-enrollment-username=svc",
            "--sso-enrollment-password=@/root/password",
            "--sso-enrollment-certificate-template-name=Smartcard",
        ],
        &[
            Stands(Cm, "OauthEnabled", "true"),
            Stands(Cm, "IdProviderUrl", "https://idp.example/oauth2"),
            Stands(Cm, "OauthClientId", "0oa1"),
            Stands(Cm, "FederatedAuthUrl", "https://cac.example:8443"),
            Stands(Cm, "SsoEnabled", "true"),
            Stands(Cm, "SsoEnrollmentUrl", "https://ca.example/certsrv"),
            Stands(Cm, "SsoEnrollmentDomain", "corp.example"),
            Stands(Cm, "SsoEnrollmentUsername", "svc"),
            Stands(
                Cm,
                "SsoEnrollmentPasswordFile",
                "/opt/teradici/pcoipcm_data/data/secrets/sso-enrollment-password",
            ),
            Stands(Cm, "SsoEnrollmentTemplate", "Smartcard"),
        ],
        &[Cm],
    ),
    (
        // A list that is given replaces the saved one.
        &[
            "--listen=http=0.0.0.0:8080",
            "--listen=udp-source=0.0.0.0:55001",
            "--enable-collaboration=false",
        ],
        &[
            Listens(Sg, "udp-source", "0.0.0.0:55001"),
            Stands(Sg, "CollaborationEnabled", "false"),
            Listens(Cm, "http", "0.0.0.0:8080"),
        ],
        &[Sg],
    ),
    (
        &["--listen=pcoip=0.0.0.0:5173"],
        &[
            Listens(Sg, "pcoip", "0.0.0.0:5173"),
            Stands(Cm, "ExternalPort", "5173"),
            Listens(Sg, "udp-source", "0.0.0.0:55000"),
            Listens(Cm, "http", "0.0.0.0:80"),
        ],
        &[Cm, Sg],
    ),
    (&["--docker-network-cidr=10.77.0.0/24"], &[Network("10.77.0.0/24")], &[]),
    (&["--ignore-disk-req=false"], &[Kept("ignore-disk-req")], &[]),
];

fn arrives(site: &Site, arrival: &Arrives) {
    match arrival {
        Listens(role, key, address) => {
            let listens = site.status(*role).listens;
            let at = listens.iter().filter(|listen| listen.key == *key);
            let all: Vec<_> = at.map(|listen| listen.address.to_string()).collect();
            assert!(!all.is_empty() && all.iter().all(|at| at == address), "{key}: {listens:?}");
        }
        Stands(role, key, value) => assert_eq!(site.values(*role, key), [*value], "{key}"),
        Network(range) => {
            let line =
                "docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' pcoipcm_network";
            assert_eq!(site.shell(line).trim(), *range);
        }
        Kept(name) => {
            let status = site.done(&["status"]);
            assert_eq!(status["settings"][*name]["value"], json!(false), "{name}");
        }
    }
}

#[test]
fn a_changed_flag_arrives_and_starts_anew_only_the_service_that_it_concerns() {
    let Some(site) = Site::installed() else { return };
    site.shell("(umask 077; echo hunter2 >/root/password)");
    for (words, arrivals, restarts) in ROWS {
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
fn one_half_goes_and_comes_back_and_the_other_stays_at_its_work() {
    let Some(site) = Site::installed() else { return };
    for (flag, gone) in [("enable-security-gateway", Sg), ("enable-connection-manager", Cm)] {
        let other = if gone == Sg { Cm } else { Sg };
        let at = usize::from(gone == Sg);
        let keys = ["cm", "sg"];
        let off = format!("--{flag}=false");
        let mut words = vec!["configure", &off];
        if gone == Cm {
            words.push("--jwt-verifying-cert=/opt/teradici/pcoipcm_data/certs/jwt-verifying.crt");
        }

        let document = site.done(&words);

        // Its own file says with whom it works.
        assert_eq!(document["restarts"], json!([other]), "{flag}");
        assert_eq!(site.tasks()[at], "", "{flag}");
        let status = site.done(&["status"]);
        assert_eq!(status["roles"][keys[1 - at]]["live"], json!(true), "{status:#}");
        assert!(status["roles"][keys[at]].is_null(), "{status:#}");

        site.done(&["configure", &format!("--{flag}=true")]);
        site.is_live();
        assert_ne!(site.tasks()[at], "", "{flag}");
    }
}
