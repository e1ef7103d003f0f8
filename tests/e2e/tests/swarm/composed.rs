//! An installation with an administrator's own compose file.

use std::{
    fs::File,
    io::Write as _,
    time::{Duration, Instant},
};

use e2e::{
    binaries,
    installer::{self, INSTALL, PURGE},
    machine::Machine,
    needs::met,
    stepped::kill_in,
};
use serde_json::{Value, json};

use super::NEEDS;

const FILE: &str = "/etc/mine.yaml";

/// Both roles, the gateway with a lower memory limit, and another service.
const MINE: &str = r#"
version: "3.7"
x-role: &role
  read_only: true
  cap_drop: [ALL]
  cap_add: [NET_BIND_SERVICE]
  networks: [outside]
  environment: [SSL_CERT_FILE=/opt/teradici/pcoipcm_data/certs/host-authorities.crt]
services:
  cm:
    <<: *role
    image: ${PCOIP_CM_IMAGE}
    command: [connection-manager, --config, /opt/teradici/pcoipcm_data/data/ConnectionManager.conf]
    volumes:
      - /opt/teradici/pcoipcm_data:/opt/teradici/pcoipcm_data
      - /var/log/Teradici/ConnectionManager:/var/log/Teradici/ConnectionManager
  sg:
    <<: *role
    image: ${PCOIP_SG_IMAGE}
    command: [security-gateway, --config, /opt/teradici/pcoipcm_data/data/SecurityGateway.conf]
    volumes:
      - /opt/teradici/pcoipcm_data:/opt/teradici/pcoipcm_data
      - /var/log/Teradici/SecurityGateway:/var/log/Teradici/SecurityGateway
    deploy:
      labels: [example.team=remote]
      resources: {limits: {memory: 300M}}
  own:
    image: localhost/own:1
    command: [/usr/bin/sleep, infinity]
    stop_signal: SIGKILL
    networks: [ours]
networks:
  outside: {external: true, name: host}
  ours: {external: true, name: pcoipcm_network}
"#;

/// The installation's copy of the compose file.
const COPY: &str = "/opt/teradici/pcoipcm_data/data/compose-file.yaml";
const RUNNING: [&str; 3] = ["pcoipcm_cm 1/1", "pcoipcm_own 1/1", "pcoipcm_sg 1/1"];

struct Site(Machine);

impl Site {
    fn prepare() -> Self {
        let site = Self(installer::machine());
        site.bash(
            "tar -hC / -c usr/bin/sleep $(ldd /usr/bin/sleep | grep -o '/[^ ]*' | cut -c 2-) | \
             /usr/bin/docker import - localhost/own:1",
        );
        site
    }

    fn bash(&self, lines: &str) -> String {
        self.0.tell("bash", &["-c", lines])
    }

    /// Puts a compose file where the administrator has it.
    fn write(&self, text: &str) {
        let file = self.0.folder().join("mine.yaml");
        let mut made = File::create(&file).expect("a file can be made");
        made.write_all(text.as_bytes()).expect("it can be written");
        self.bash(&format!("cp {} {FILE}", file.display()));
    }

    fn setup(&self, words: &[&str]) -> (Option<i32>, Value) {
        let program = binaries::path("pcoip-cmsg-setup");
        installer::told(&installer::run(&self.0, &program, words))
    }

    /// The engine's description of a service.
    fn service(&self, name: &str) -> Value {
        let told = self.0.tell("/usr/bin/docker", &["service", "inspect", name]);
        serde_json::from_str::<Value>(&told).expect("it is a document")[0]["Spec"].take()
    }

    /// Waits for these services: the installer waits for the roles, and the engine is slower.
    fn until(&self, expected: &[&str]) {
        let begun = Instant::now();
        while self.services() != expected {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", self.services());
        }
    }

    fn services(&self) -> Vec<String> {
        let listed =
            self.bash("/usr/bin/docker service ls --format '{{.Name}} {{.Replicas}}' | sort");
        listed.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_compose_file_is_deployed_as_it_says_and_gives_way_again() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::prepare();
    site.write(MINE);

    let (code, document) = site.setup(&[&INSTALL[..], &["--compose-file", FILE]].concat());

    assert_eq!(code, Some(0), "{document:#}");
    let gateway = site.service("pcoipcm_sg");
    let template = &gateway["TaskTemplate"];
    assert_eq!(template["Resources"]["Limits"]["MemoryBytes"], json!(300 << 20));
    assert_eq!(gateway["Labels"]["example.team"], "remote");
    assert_eq!(gateway["Labels"]["pcoip-cmsg.installed-by"], "pcoip-cmsg-setup");
    let account = site.bash("getent passwd pcoip-cmsg | cut -d: -f3,4").trim().to_owned();
    assert_eq!(template["ContainerSpec"]["User"], account.as_str());
    let own = site.service("pcoipcm_own");
    let network = site.bash("/usr/bin/docker network inspect -f '{{.Id}}' pcoipcm_network");
    assert_eq!(own["TaskTemplate"]["Networks"][0]["Target"], network.trim());
    site.until(&RUNNING);
    assert_eq!(
        site.bash(&format!("stat -c '%U %a' {COPY}; cat {COPY}")),
        format!("root 600\n{MINE}")
    );

    // Repeating the command changes nothing, even without the administrator's file.
    site.bash(&format!("rm {FILE}"));
    let (code, document) = site.setup(&["configure"]);
    assert_eq!((code, &document["restarts"]), (Some(0), &json!([])), "{document:#}");

    // Some invalid files are only noticed when they are deployed.
    site.write(&MINE.replace("300M", "1K"));
    let (code, document) = site.setup(&["configure", "--compose-file", FILE]);
    assert_eq!(code, Some(1), "{document:#}");
    let kept = site.service("pcoipcm_sg");
    assert_eq!(kept["TaskTemplate"]["Resources"]["Limits"]["MemoryBytes"], json!(300 << 20));
    assert_eq!((site.services().len(), site.bash(&format!("cat {COPY}"))), (3, MINE.to_owned()));

    let (code, document) = site.setup(&["configure", "--compose-file="]);
    assert_eq!(code, Some(0), "{document:#}");
    site.until(&["pcoipcm_cm 1/1", "pcoipcm_sg 1/1"]);
    let gateway = site.service("pcoipcm_sg");
    let limit = &gateway["TaskTemplate"]["Resources"]["Limits"]["MemoryBytes"];
    assert_eq!(*limit, json!(1762_u64 << 20), "the installer's own limit");
    assert!(!site.0.path(COPY).exists());

    let (code, document) = site.setup(&PURGE);
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(site.bash("/usr/bin/docker info -f '{{.Swarm.LocalNodeState}}'").trim(), "inactive");
}

#[test]
fn an_installation_with_a_compose_file_that_was_killed_is_carried_out_by_the_next() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::prepare();
    site.write(MINE);
    let words = [&INSTALL[..], &["--compose-file", FILE]].concat();
    let kill = |words: &[&str], step| {
        kill_in(&site.0, &binaries::path("pcoip-cmsg-setup"), words, step);
    };
    let recovered = |words: &[&str], step| {
        let (code, document) = site.setup(words);
        assert_eq!(code, Some(0), "{step}: {document:#}");
        assert_eq!(document["findings"][0]["id"], "installation.interrupted", "{step}");
        site.until(&RUNNING);
        assert_eq!(site.bash(&format!("cat {COPY}")), MINE, "{step}");
    };
    for step in ["deploy the stack", "wait until the services are healthy"] {
        kill(&words, step);
        recovered(&words, step);
        let (code, document) = site.setup(&PURGE);
        assert_eq!((code, site.services()), (Some(0), vec![]), "{step}: {document:#}");
        assert!(!site.0.path(COPY).exists(), "{step}");
    }
    let (code, document) = site.setup(&words);
    assert_eq!(code, Some(0), "{document:#}");
    let step = "wait until the services are healthy";
    kill(&["configure", "--compose-file="], step);
    recovered(&["configure"], step);
}

#[test]
fn a_compose_file_that_would_not_work_is_refused_before_anything_is_changed() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::prepare();
    site.write(&MINE.replace("networks: [outside]", "restart: always"));

    let (code, document) = site.setup(&[&INSTALL[..], &["--compose-file", FILE]].concat());

    assert_eq!(code, Some(3), "{document:#}");
    let findings = document["findings"].as_array().expect("there are findings").iter();
    let mut ids: Vec<_> = findings
        .filter_map(|it| Some((it["id"].as_str()?, it["level"].as_str()?)))
        .filter(|(id, _)| id.starts_with("compose."))
        .collect();
    ids.dedup();
    let one = [("compose.port", "error"), ("compose.ignored", "warning")];
    assert_eq!(ids, [one, one].concat());
}
