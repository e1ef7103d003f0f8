//! A machine between two networks: clients on one side, broker and desktops on the other, and the
//! installer on it.

use std::{
    net::SocketAddr,
    process::Output,
    time::{Duration, Instant},
};

use cmsg_config::{
    Paths,
    socket::{self, Connection, Connections, Role, Status},
};
use e2e::{
    binaries,
    hosts::{namespace::Namespace, process::Process},
    installer::{self, INSTALL, document},
    machine::Machine,
    needs::{Need, met},
};
use serde_json::Value;

/// The addresses of one family.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) client: &'static str,
    /// Where clients reach the machine.
    pub(crate) outside: &'static str,
    /// Where the machine comes from to broker and agent.
    pub(crate) inside: &'static str,
    /// Where broker and agent are.
    pub(crate) far: &'static str,
    /// Where the broker listens.
    listen: &'static str,
    length: u8,
}

pub(crate) const V4: Family = Family {
    client: "203.0.113.9",
    outside: "203.0.113.1",
    inside: "10.72.2.1",
    far: "10.72.2.9",
    listen: "0.0.0.0",
    length: 24,
};

pub(crate) const V6: Family = Family {
    client: "2001:db8:1::9",
    outside: "2001:db8:1::1",
    inside: "fd72:2::1",
    far: "fd72:2::9",
    listen: "fd72:2::9",
    length: 64,
};

/// The machine's files; only `/etc/hosts` has the broker's name.
const OWN: [&str; 2] =
    ["--broker-url=https://broker.corp.example", "--external-pcoip-ip=203.0.113.1"];

/// A role responds immediately or hangs.
const ASK: Duration = Duration::from_secs(5);
/// Longer than anything takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// The machine and its networks.
pub(crate) struct Site {
    pub(crate) machine: Machine,
    outer: Namespace,
    inner: Namespace,
}

/// A broker and the agent that it sends its users to.
pub(crate) struct Desktop {
    broker: Process,
    agent: Process,
}

impl Site {
    /// A machine with an engine, if the requirements of the tests are met.
    pub(crate) fn fresh() -> Option<Self> {
        let tools = ["dockerd", "unshare", "ip", "useradd", "ps", "pgrep", "curl"].map(Need::Tool);
        met(&[&[Need::Root, Need::Namespace][..], &tools].concat()).then(|| {
            let host = |name| Namespace::make(name).expect("a namespace can be made");
            let (outer, inner) = (host("outer"), host("inner"));
            let mut machine = Machine::start();
            let families = [V4, V6];
            let outside = families.each_ref().map(|it| it.pair(it.outside, it.client));
            let inside = families.each_ref().map(|it| it.pair(it.inside, it.far));
            machine.link(&outer, "outer", &outside);
            machine.link(&inner, "inner", &inside);
            machine.start_engine();
            let site = Self { machine, outer, inner };
            site.call_broker(V4.far);
            site
        })
    }

    /// Sets the broker's address in the machine's `/etc/hosts`.
    pub(crate) fn call_broker(&self, address: &str) {
        let name = "broker.corp.example";
        self.shell(&format!("sed -i /{name}/d /etc/hosts; echo {address} {name} >> /etc/hosts"));
    }

    /// Changes an address of the host of broker and agents, for example `add 10.72.2.8/24`.
    pub(crate) fn change_inner_address(&self, change: &str) {
        self.inner.ip(&format!("address {change} dev inner")).expect("it can be changed");
    }

    /// Starts a broker and its agent.
    pub(crate) fn desktop(&self, family: &Family) -> Desktop {
        let on = |ip: &str, port| SocketAddr::new(ip.parse().expect("it is one"), port).to_string();
        let start = |kind: &str, words: &[&str]| {
            let mut command = self.inner.command(binaries::path("pcoip-sim"));
            command.arg(kind).args(words);
            let mut started = Process::start(command);
            started.wait_for(|event| event["event"] == "ready");
            started
        };
        let agent = start(
            "agent",
            &["--listen", &on(family.far, 60443), "--pcoip-listen", &on(family.far, 4172)],
        );
        let agent_is = ["--agent-host", family.far, "--agent-ip", family.far];
        let broker =
            start("broker", &[&["--listen", &on(family.listen, 443)][..], &agent_is].concat());
        Desktop { broker, agent }
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        installer::run(&self.machine, &binaries::path("pcoip-cmsg-setup"), words)
    }

    /// Runs a command of the installer that has to succeed, and returns its document.
    pub(crate) fn done(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{complaint}\n{:#}", document(&output));
        document(&output)
    }

    /// Installs with these flags besides.
    pub(crate) fn install(&self, more: &[&str]) -> Value {
        self.done(&[&installer::with(&INSTALL, &OWN)[..], more].concat())
    }

    /// The result of a client's session, which must succeed.
    pub(crate) fn session(&self, family: &Family) -> Value {
        let mut events = self.client(family, &[]).end();
        let result = events.pop().expect("a client ends with its result");
        assert_eq!(result["error"], Value::Null, "{events:#?}\n{}", self.logs());
        assert_eq!(result["target"]["ip"], family.outside);
        assert_eq!(result["target"]["port"], 4172);
        for way in ["to_agent", "to_client"] {
            assert!(result["udp"][way]["datagrams"].as_u64() >= Some(200), "{result}");
        }
        result
    }

    /// Starts a client with these flags besides.
    pub(crate) fn client(&self, family: &Family, more: &[&str]) -> Process {
        let address: std::net::IpAddr = family.outside.parse().expect("it is one");
        let url = format!("https://{}", SocketAddr::new(address, 443));
        let mut client = self.outer.command(binaries::path("pcoip-sim"));
        client.args(["client", "--connect", &url, "--passcode", "123456"]);
        client.args(["--user", "u", "--password", "p", "--domain", "example.com"]);
        client.args(more);
        Process::start(client)
    }

    /// What a role reports about a session.
    pub(crate) fn seen(&self, role: Role, id: &Value) -> Connection {
        let all = self.connections(role);
        let of_it = all.iter().find(|it| *id == *it.id);
        of_it.unwrap_or_else(|| panic!("{role:?} knows no session {id}: {all:?}")).clone()
    }

    /// The sessions of a role.
    pub(crate) fn connections(&self, role: Role) -> Vec<Connection> {
        let run = self.paths().run();
        let told = socket::get::<Connections>(&run, role, "/connections", ASK);
        told.expect("a role tells its sessions").connections
    }

    /// How a role is, when it is ready.
    pub(crate) fn ready(&self, role: Role) -> Status {
        let begun = Instant::now();
        loop {
            let told = self.status(role);
            match told {
                Ok(status) if status.ready => return status,
                _ => assert!(begun.elapsed() < PATIENCE, "{role:?}: {told:?}\n{}", self.logs()),
            }
            std::thread::yield_now();
        }
    }

    /// The status of a role, if it responds.
    pub(crate) fn status(&self, role: Role) -> std::io::Result<Status> {
        socket::get(&self.paths().run(), role, "/status", ASK)
    }

    /// Where everything lies, as seen from here.
    pub(crate) fn paths(&self) -> Paths {
        Paths::under(self.machine.path("/"))
    }

    /// Runs a script on the machine, which has to succeed, and returns what it printed.
    pub(crate) fn shell(&self, script: &str) -> String {
        self.machine.tell("bash", &["-ec", script])
    }

    /// The tasks of the engine: their names, and desired and current states.
    pub(crate) fn tasks(&self) -> Vec<String> {
        let columns = "{{.ID}} {{.Name}} {{.DesiredState}} {{.Error}}";
        let ps = format!("docker stack ps --no-trunc --format '{columns}' pcoipcm");
        let mut tasks: Vec<_> = self.shell(&ps).lines().map(str::to_owned).collect();
        tasks.sort_unstable();
        tasks
    }

    /// The processes of the roles, as the machine knows them.
    pub(crate) fn processes(&self) -> Vec<String> {
        let all = self.shell("pgrep -f '^/pcoip-cmsgd (connection|security)' || true");
        all.lines().map(str::to_owned).collect()
    }

    /// Disconnects or reconnects broker and agents.
    pub(crate) fn set_inner_link(&self, state: &str) {
        self.inner.ip(&format!("link set dev inner {state}")).expect("a link can be set");
    }

    fn logs(&self) -> String {
        self.shell("tail -n 15 /var/log/Teradici/*/*.log || true; docker stack ps pcoipcm || true")
    }
}

impl Desktop {
    /// Stops both, and returns the events of broker and agent.
    pub(crate) fn stop(self) -> [Vec<Value>; 2] {
        [self.broker.stop(), self.agent.stop()]
    }
}

impl Family {
    fn pair(&self, own: &str, other: &str) -> [String; 2] {
        [own, other].map(|address| format!("{address}/{}", self.length))
    }
}
