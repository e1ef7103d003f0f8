//! Certificates change during a session without a restart. Only the first CA certificate requires a
//! restart, since the services' files must contain its path.

use e2e::{binaries, hosts::process::Process, installer::with};
use serde_json::json;

use crate::site::{INSTALL, Site};

const MAKE: &str = "set -e; cd /root; \
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 300 \
    -addext keyUsage=keyCertSign,cRLSign; \
    openssl req -newkey rsa:2048 -nodes -keyout $0.key -out $0.csr -subj /CN=cm.example; \
    printf 'subjectAltName=DNS:cm.example,IP:192.0.2.1\\nextendedKeyUsage=serverAuth\\n\
    keyUsage=digitalSignature,keyEncipherment\\n' >ext; \
    openssl x509 -req -in $0.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 300 -extfile ext -out $0.crt";

/// The digests of the certificates that clients see, of both services.
fn shown(site: &Site) -> [String; 2] {
    site.shown("-fingerprint -sha256")
}

fn digest(site: &Site, certificate: &str) -> String {
    site.shell(&format!("openssl x509 -in {certificate} -noout -fingerprint -sha256"))
}

fn simulator(site: &Site, words: &str) -> Process {
    let mut command = site.machine.command(binaries::path("pcoip-sim"));
    command.args(words.split(' '));
    Process::start(command)
}

#[test]
fn a_new_certificate_is_shown_at_once_and_a_session_goes_on() {
    let Some(site) = Site::fresh() else { return };
    for name in ["one", "two"] {
        site.machine.tell("bash", &["-c", MAKE, name]);
        site.shell(&format!("cp /root/ca.crt /root/{name}-ca.crt"));
    }
    let mut agent =
        simulator(&site, "agent --listen 127.0.0.1:61443 --pcoip-listen 127.0.0.1:5172");
    let words = "broker --listen 127.0.0.1:8443 --agent-host localhost --agent-ip 127.0.0.1 \
                 --agent-pcoip-port 5172";
    let mut broker = simulator(&site, words);
    for ready in [&mut agent, &mut broker] {
        ready.wait_for(|event| event["event"] == "ready");
    }
    let licence = "--license-server-url=https://licence.example/server";
    let agents = ["--agent-port=61443", "--allowed-agents=127.0.0.1"];
    let own = ["--broker-url=https://localhost:8443", agents[0], agents[1], licence];
    site.done(&with(&INSTALL, &own));
    let given = |name: &str| {
        let flag = |flag: &str, file: &str| format!("--{flag}=/root/{name}{file}");
        [flag("ssl-cert", ".crt"), flag("ssl-key", ".key"), flag("ca-cert", "-ca.crt")]
    };
    let own = "/opt/teradici/pcoipcm_data/certs/cmsg.crt";
    let change = |more: &[&str]| site.done(&[&["configure"], more].concat());

    let names = given("one");
    let [certificate, key, _] = names.each_ref().map(String::as_str);
    let made = digest(&site, own);
    assert_eq!(shown(&site), [made.clone(), made.clone()]);
    let first = change(&["--self-signed=false", certificate, key, &names[2]]);
    // The services' files now contain a CA certificate, and are only read at the start.
    assert_eq!(first["restarts"], json!(["cm", "sg"]), "{:#}", first["plan"]);
    assert_eq!(shown(&site), [digest(&site, "/root/one.crt"), digest(&site, "/root/one.crt")]);

    let tasks = site.tasks();
    let client = "client --connect https://127.0.0.1 --passcode 123456 --user u --password p \
                  --domain example.com --hold 12";
    let client = simulator(&site, client);
    // The settings of the flags reach the peers of the services.
    agent.wait_for(|event| {
        event["event"] == "launch" && event["license_path"] == "https://licence.example/server"
    });
    let names = given("two");
    let second = change(&[&names[0], &names[1], &names[2]]);
    assert_eq!(second["restarts"], json!([]));
    assert_eq!(shown(&site), [digest(&site, "/root/two.crt"), digest(&site, "/root/two.crt")]);
    let back = change(&["--self-signed"]);
    assert_eq!(back["restarts"], json!([]));
    let again = digest(&site, own);
    assert_eq!(shown(&site), [again.clone(), again]);

    assert_eq!(site.tasks(), tasks);
    let result = client.end().pop().expect("a client ends with its result");
    assert_eq!([&result["ok"], &result["resumed"]], [&json!(true), &json!(0)], "{result:#}");
}
