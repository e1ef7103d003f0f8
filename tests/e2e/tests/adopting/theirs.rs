//! A machine with a stack that has the documented name and form, but was not deployed by this
//! installer.

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use cmsg_engine::{Engine, is_others};
use e2e::{
    binaries,
    installer::plain,
    machine::Machine,
    needs::{Need, met},
};
use serde_json::Value;

pub(crate) const CM: &str = "docker.cloudsmith.io/teradici/pcoip-cmsg/pcoip-cm:25.03";
pub(crate) const SG: &str = "docker.cloudsmith.io/teradici/pcoip-cmsg/sg:23.04";
pub(crate) const CONF: &str = "/opt/teradici/pcoipcm_data/data/ConnectionManager.conf";

/// The paths are those in the containers of the other product.
pub(crate) const MANAGER: &str = "# Theirs\nPcoipAddress = https://127.0.0.1:1\n\
    SecurityGatewayEnabled = true\nExternalRoutableIP = 203.0.113.1\n\
    LicenseServerAddress = https://127.0.0.1:2\nMaxConnections = 77\nTheirKey = 1\n\
    DataDirectory = /state\nSslCertificate = /certs/server.pem\nSslKey = /certs/server.key\n\
    JwtSigningKey = /certs/jwt.key\n";
const GATEWAY: &str = "ExternalRoutableIP = 203.0.113.1\nDataDirectory = /state\n\
    SslCertificate = /certs/server.pem\nSslKey = /certs/server.key\n\
    JwtVerifyingCertificate = /certs/jwt.pem\n";

pub(crate) const WAY_BACK: &str = "set -e\n\
    cp -r /opt/teradici/pcoipcm_data/data/adopted/files/. /\n\
    docker stack deploy --resolve-image never \
    -c /opt/teradici/pcoipcm_data/data/adopted/stack.yaml pcoipcm";

/// Images with only the program, certificates, and the swarm.
const PREPARE: &str = r#"set -e
docker load --quiet --input "$1" >/dev/null
for one in pcoip-cm:$2 sg:$3; do
  image=$(docker images --format '{{.Repository}}:{{.Tag}}' | grep "^localhost/pcoip-cmsg/${one%%:*}:")
  docker create --name made --network=host "$image" >/dev/null
  docker export made | docker import --change 'ENTRYPOINT ["/pcoip-cmsgd"]' - "${one#*:}" >/dev/null
  docker rm made >/dev/null
  docker rmi "$image" >/dev/null
done
docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1 >/dev/null
mkdir -p /opt/teradici/pcoipcm_data/data /opt/teradici/pcoipcm_data/certs
cd /opt/teradici/pcoipcm_data/certs
request() { openssl req -x509 -nodes -days 90 -subj "/CN=$1" "${@:2}" 2>/dev/null; }
request cm.example -newkey rsa:3072 -keyout server.key -out server.pem \
  -addext 'subjectAltName=DNS:cm.example,IP:203.0.113.1' -addext 'basicConstraints=CA:FALSE'
request jwt -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout jwt.key -out jwt.pem
"#;

pub(crate) struct Theirs {
    pub(crate) machine: Machine,
    path: String,
}

impl Theirs {
    /// One with both services, where tests can have it.
    pub(crate) fn running() -> Option<Self> {
        let tools = ["dockerd", "unshare", "ip", "useradd", "ps", "pgrep", "openssl", "curl"];
        let tools = tools.map(Need::Tool);
        if !met(&[&[Need::Root, Need::Namespace][..], &tools].concat()) {
            return None;
        }
        let mut machine = Machine::start();
        machine.start_engine();
        let archive = binaries::path("pcoip-cmsg-images.tar").display().to_string();
        machine.tell("bash", &["-c", PREPARE, "bash", &archive, CM, SG]);
        let site = Self { machine, path: std::env::var("PATH").unwrap_or_default() };
        site.write("ConnectionManager.conf", MANAGER);
        site.write("SecurityGateway.conf", GATEWAY);
        let stack = site.machine.folder().join("theirs.yaml");
        put(&stack, &stack_file());
        let words = ["stack", "deploy", "--resolve-image", "never", "-c"];
        let stack = stack.display().to_string();
        site.machine.tell("docker", &[&words[..], &[&stack, "pcoipcm"]].concat());
        site.wait_until_it_serves();
        Some(site)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.machine.path("/opt/teradici/pcoipcm_data/data").join(name);
        put(&path, text);
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.machine.path(path)).expect("the file is there")
    }

    /// Runs the installer, and returns its exit code and document.
    pub(crate) fn setup(&self, words: &[&str]) -> (Option<i32>, Value) {
        let setup = binaries::path("pcoip-cmsg-setup");
        let mut command = self.machine.command(setup);
        command.arg("--output=json").args(words);
        let output = plain(&mut command).env("PATH", &self.path).output();
        let output = output.expect("`nsenter` starts");
        let told = serde_json::from_slice(&output.stdout);
        let told = told.unwrap_or_else(|_| String::from_utf8_lossy(&output.stderr).into());
        (output.status.code(), told)
    }

    /// Makes the `docker` command refuse our stack file, but no other.
    pub(crate) fn have_deployments_of_ours_fail(&mut self) {
        const MAKE: &str = "mkdir -p /opt/bin; cat > /opt/bin/docker <<'END'
#!/bin/bash
case \"$*\" in *data/stack.yaml*) echo refused >&2; exit 1;; esac
exec /usr/bin/docker \"$@\"
END
chmod 755 /opt/bin/docker";
        self.machine.tell("bash", &["-ec", MAKE]);
        self.path.insert_str(0, "/opt/bin:");
    }

    /// Kills the engine, and makes `systemctl` start it again.
    pub(crate) fn stop_engine(&mut self) {
        self.machine.kill_engine();
        self.machine.tell("mkdir", &["-p", "/run/systemd/system", "/opt/bin"]);
        let path = self.machine.path("/opt/bin/systemctl");
        put(&path, include_str!("../swarm/systemctl.sh"));
        let everybody = Permissions::from_mode(0o755);
        fs::set_permissions(path, everybody).expect("the script can be made one that runs");
        self.path.insert_str(0, "/opt/bin:");
    }

    /// Deploys the services again from the engine's description of them.
    pub(crate) fn deploy_again_as_it_is(&self) {
        let docker = Path::new("/usr/bin/docker");
        let engine = Engine::at(self.machine.path("run/docker.sock")).expect("it answers");
        let facts = engine.facts().expect("it answers");
        let services: Vec<_> = facts.services.iter().filter(|it| is_others(it)).collect();
        let others = engine.others(docker, &services).expect("they can be read");
        let written = others.render().expect("they can be written down");
        assert_eq!(written.lost, [""; 0], "{}", written.text);
        let file = self.machine.folder().join("again.yaml");
        put(&file, &written.text);
        engine.deploy(docker, &[file]).expect("they can be deployed");
    }

    /// The containers of both services.
    pub(crate) fn containers(&self) -> Vec<String> {
        let listed = self.machine.tell("/usr/bin/docker", &["ps", "--quiet", "--no-trunc"]);
        let mut containers: Vec<_> = listed.lines().map(str::to_owned).collect();
        containers.sort_unstable();
        containers
    }

    /// The services and their owners.
    pub(crate) fn services(&self) -> Vec<String> {
        let names = ["service", "inspect", "pcoipcm_cm", "pcoipcm_sg", "--format"];
        let form = "{{.Spec.Name}} {{if index .Spec.Labels \"pcoip-cmsg.installed-by\"}}ours\
                    {{else}}theirs{{end}}";
        let told = self.machine.tell("/usr/bin/docker", &[&names[..], &[form]].concat());
        told.lines().map(str::to_owned).collect()
    }

    /// Whether port 443 still serves the original certificate.
    pub(crate) fn serves_its_certificate(&self) -> bool {
        let certificate = "/opt/teradici/pcoipcm_data/certs/server.pem";
        let words = ["--silent", "--max-time", "5", "--resolve", "cm.example:443:127.0.0.1"];
        let mut curl = self.machine.command("curl");
        curl.args(words).args(["--cacert", certificate, "https://cm.example/health"]);
        curl.output().expect("`curl` starts").status.success()
    }

    pub(crate) fn wait_until_it_serves(&self) {
        let begun = Instant::now();
        while self.containers().len() < 2 || !self.serves_its_certificate() {
            let shown = || {
                let words = ["service", "ps", "--no-trunc", "pcoipcm_cm", "pcoipcm_sg"];
                self.machine.docker().args(words).output()
            };
            assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", shown());
            std::thread::yield_now();
        }
    }
}

fn put(path: &Path, text: &str) {
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("it can be written");
}

fn stack_file() -> String {
    let service = |image: &str, command: &str, conf: &str, logs: &str| {
        format!(
            "    image: {image}\n    command: [{command}, --config, \
             /opt/teradici/pcoipcm_data/data/{conf}]\n    networks: [hostnet]\n    environment:\n      \
             THEIR_TOKEN: 'a$$b'\n    volumes:\n      - \
             /opt/teradici/pcoipcm_data/data:/opt/teradici/pcoipcm_data/data\n      - \
             /opt/teradici/pcoipcm_data/certs:/certs:ro\n      - \
             run:/opt/teradici/pcoipcm_data/run\n      - state:/state\n      - \
             logs:/var/log/Teradici/{logs}\n"
        )
    };
    let cm = service(CM, "connection-manager", "ConnectionManager.conf", "ConnectionManager");
    let sg = service(SG, "security-gateway", "SecurityGateway.conf", "SecurityGateway");
    format!(
        "version: '3.8'\nservices:\n  cm:\n{cm}  sg:\n{sg}networks:\n  hostnet:\n    external: \
         true\n    name: host\nvolumes:\n  run:\n  state:\n  logs:\n"
    )
}
