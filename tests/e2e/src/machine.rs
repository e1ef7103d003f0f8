//! A simulated machine, for installations with the documented paths: its own processes, its own
//! network and its own `/etc`, `/opt`, `/root`, `/run` and `/var`, with the programs of the real
//! machine. Everything is removed with it.

use std::{
    ffi::OsStr,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::hosts::namespace::Namespace;

/// A busy machine starts an engine ten times slower than an idle one.
const START: Duration = Duration::from_secs(60);

/// Where the engine listens.
const SOCKET: &str = "run/docker.sock";

/// The machine's first process: mounts its own directories below `$1`, and then reaps orphaned
/// processes until its input is closed, which ends the machine.
const HOLD: &str = r#"set -e
own=$1
ip link set dev lo up
for folder in etc opt root var/log var/lib; do
  mkdir -p "$own/upper/$folder" "$own/scratch/$folder"
  mount -t overlay overlay \
    -o "lowerdir=/$folder,upperdir=$own/upper/$folder,workdir=$own/scratch/$folder" "/$folder"
done
mkdir -p "$own/docker" "$own/run" "$own/containerd"
mkdir -p /var/lib/docker
mount --bind "$own/docker" /var/lib/docker
mount --bind "$own/run" /run
echo ready
read -r _ || true
"#;

#[derive(Debug)]
pub struct Machine {
    holder: Child,
    /// Pid of the first process outside the machine.
    first: u32,
    own: TempDir,
    /// What was started to stay.
    started: Vec<Child>,
}

impl Machine {
    /// Creates a machine; requires root.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn start() -> Self {
        let own = tempfile::tempdir().expect("a temporary folder can be made");
        let mut holder = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["--propagation", "private", "bash", "-c", HOLD, "bash"])
            .arg(own.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`unshare` starts");
        let mut ready = [0; 6];
        let said = holder.stdout.as_mut().expect("its output is a pipe");
        said.read_exact(&mut ready).expect("the machine's folders can be mounted");
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let first = fs::read_to_string(children).expect("the holder runs");
        let first = first.trim().parse().expect("it has one child");
        Self { holder, first, own, started: Vec::new() }
    }

    /// A command on the machine.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--mount", "--net", "--pid", "--"]);
        command.arg(program).stdin(Stdio::null());
        command
    }

    /// Runs a command that has to succeed, and returns what it printed.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn tell(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().expect("`nsenter` starts");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {}\n{complaint}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Directory of the machine's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.own.path()
    }

    /// Path of a file of the machine for this process.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref().strip_prefix("/").unwrap_or(path.as_ref());
        Path::new("/proc").join(self.first.to_string()).join("root").join(path)
    }

    /// Starts its Docker engine and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[expect(
        clippy::disallowed_methods,
        reason = "an engine that starts tells nobody when it is up"
    )]
    pub fn start_engine(&mut self) {
        let log = fs::File::create(self.own.path().join("dockerd.log")).expect("a log can be made");
        let engine = self
            .command("dockerd")
            // Containers use the machine's network, and the kernel may lack firewall tables.
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--ip-masq=false"])
            .stdout(log.try_clone().expect("a log can be shared"))
            .stderr(log)
            .spawn()
            .expect("`dockerd` starts");
        self.started.push(engine);
        let begun = Instant::now();
        while !self.engine_answers() {
            assert!(begun.elapsed() < START, "the engine does not start:\n{}", self.engine_log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Connects it with another one, each with its address, e.g. `192.0.2.1/24`.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn connect(&self, other: &Self, addresses: [&str; 2]) {
        let peer = other.first.to_string();
        // From outside, where both machines have a pid.
        let words = ["link", "add", "eth0", "netns", &self.first.to_string(), "type", "veth"];
        let mut added = Command::new("ip");
        added.args(words).args(["peer", "name", "eth0", "netns", &peer]);
        assert!(added.status().expect("`ip` starts").success());
        for (machine, address) in [self, other].into_iter().zip(addresses) {
            machine.tell("ip", &["address", "add", address, "dev", "eth0"]);
            machine.tell("ip", &["link", "set", "eth0", "up"]);
        }
    }

    /// Connects it to a host in a namespace, with a link of this name at both ends. Each pair of
    /// addresses, for example `192.0.2.1/24`, is its own and the host's.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn link(&self, host: &Namespace, name: &str, addresses: &[[String; 2]]) {
        let first = self.first;
        let add = format!("link add name {name} type veth peer name {name} netns {first}");
        host.ip(&add).expect("a link can be made");
        let mut words =
            vec![[format!("link set dev {name} up"), format!("link set dev {name} up")]];
        words.extend(addresses.iter().map(|pair| pair.each_ref().map(|it| assign(it, name))));
        for [own, theirs] in words {
            self.tell("ip", &own.split(' ').collect::<Vec<_>>());
            host.ip(&theirs).expect("its end can be set up");
        }
    }

    /// Runs a function in its network, for example to bind a port.
    ///
    /// # Panics
    ///
    /// If the system refuses, or what is done panics.
    pub fn in_network<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.first));
        let network = network.expect("it has a network");
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(network, CloneFlags::CLONE_NEWNET).expect("root may enter it");
                act()
            });
            inside.join().expect("what is done there succeeds")
        })
    }

    /// Kills its Docker engine like a crash. Containers remain for the next engine.
    ///
    /// # Panics
    ///
    /// If none runs.
    pub fn kill_engine(&mut self) {
        let mut kill = self.command("bash");
        // The kernel kills the engine's child process shortly afterwards.
        kill.args([
            "-c",
            "engine=$(cat /run/docker.pid); own=$(pgrep -P $engine); kill -9 $engine; \
                   while ps -p $engine,${own//[[:space:]]/,}; do sleep 0.02; done",
        ]);
        let killed = kill.output().expect("`bash` starts");
        assert!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
    }

    /// All that the engine logged.
    #[must_use]
    pub fn engine_log(&self) -> String {
        fs::read_to_string(self.own.path().join("dockerd.log")).unwrap_or_default()
    }

    /// Debian's docker command, 20.10.
    #[must_use]
    pub fn docker(&self) -> Command {
        self.command("/usr/bin/docker")
    }

    /// The command lines of its processes, except the first process.
    ///
    /// # Panics
    ///
    /// If it does not say.
    #[must_use]
    pub fn processes(&self) -> Vec<String> {
        let listed = self.command("ps").args(["-e", "-o", "pid=,args="]).output();
        let listed = String::from_utf8_lossy(&listed.expect("`ps` starts").stdout).into_owned();
        let lines = listed.lines().filter_map(|line| line.trim().split_once(' '));
        lines
            .filter(|(pid, words)| *pid != "1" && !words.starts_with("ps -e "))
            .map(|(_, words)| words.to_owned())
            .collect()
    }

    fn engine_answers(&self) -> bool {
        let socket = self.path(SOCKET);
        socket.exists()
            && self.docker().arg("version").output().is_ok_and(|out| out.status.success())
    }
}

/// The arguments of `ip` that assign an address. An IPv6 address is usable immediately.
fn assign(address: &str, link: &str) -> String {
    let at_once = if address.contains(':') { " nodad" } else { "" };
    format!("address add {address} dev {link}{at_once}")
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Killing the first process kills all others of the machine.
        let _ = self.holder.kill();
        for child in self.started.iter_mut().chain([&mut self.holder]) {
            let _ = child.wait();
        }
    }
}
