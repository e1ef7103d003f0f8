//! A machine with an engine and a registry.

use std::{
    net::TcpStream,
    process::Child,
    time::{Duration, Instant},
};

use cmsg_config::socket::Role;
use cmsg_engine::{Engine, archive::ImageArchive, reference};
use e2e::{binaries, installer, machine::Machine, needs::met};

use crate::{NEEDS, REGISTRY};

pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) machine: Machine,
    registry: Option<Child>,
}

impl Site {
    /// A machine whose registry has both images, if the requirements of the tests are met.
    pub(crate) fn serving() -> Option<Self> {
        if !met(NEEDS) {
            return None;
        }
        let mut site = Self::start();
        site.serve(REGISTRY, "");
        site.push(REGISTRY);
        Some(site)
    }

    pub(crate) fn start() -> Self {
        let machine = installer::machine();
        let engine = Engine::at(machine.path("run/docker.sock")).expect("the engine answers");
        Self { engine, machine, registry: None }
    }

    /// Runs shell commands on the machine.
    pub(crate) fn bash(&self, lines: &str) -> String {
        self.machine.tell("bash", &["-c", lines])
    }

    /// Starts the registry at an address of the machine, with additional configuration. Images from
    /// an earlier start remain.
    pub(crate) fn serve(&mut self, address: &str, more: &str) {
        self.run(&format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: /run/registry}}}}\n\
             http: {{addr: \"{address}\", secret: test}}\n{more}\n"
        ));
        self.wait(address);
    }

    /// Starts it with the certificate `/run/tls.crt` and its key.
    pub(crate) fn serve_tls(&mut self, address: &str) {
        self.run(&format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: /run/registry}}}}\n\
             http: {{addr: \"{address}\", secret: test, \
             tls: {{certificate: /run/tls.crt, key: /run/tls.key}}}}\n"
        ));
        self.wait(address);
    }

    pub(crate) fn stop(&mut self) {
        self.bash("kill -9 $(cat /run/registry.pid)");
        if let Some(mut registry) = self.registry.take() {
            registry.wait().expect("it is our child");
        }
    }

    /// Pushes both images, removes them from the engine, and returns the digest of their layer.
    pub(crate) fn push(&self, registry: &str) -> String {
        let archive = ImageArchive::read(binaries::path("pcoip-cmsg-images.tar"));
        let archive = archive.expect("`cargo xtask test` makes it");
        self.engine.load_images(&archive.source, |_| ()).expect("the images can be loaded");
        for role in [Role::Cm, Role::Sg] {
            let image = archive.image(role).expect("it has both images");
            let name = reference(registry, role, env!("CARGO_PKG_VERSION"));
            self.engine.tag_image(&image.tag, &name).expect("it can have one more name");
            self.machine.tell("/usr/bin/docker", &["push", &name]);
            self.machine.tell("/usr/bin/docker", &["rmi", &name, &image.tag]);
        }
        archive.images[0].layer.clone()
    }

    /// The names of all images.
    pub(crate) fn names(&self) -> Vec<String> {
        let images = self.engine.facts().expect("the engine answers").images;
        images.into_iter().flat_map(|image| image.tags).collect()
    }

    fn run(&mut self, file: &str) {
        assert!(self.registry.is_none());
        let folder = self.machine.path("run/registry.yml");
        let mut written = std::fs::File::create(folder).expect("the machine has a `/run`");
        std::io::Write::write_all(&mut written, file.as_bytes()).expect("it can be written");
        let log = self.machine.path("run/registry.log");
        let log = std::fs::File::create(log).expect("the machine has a `/run`");
        let mut command = self.machine.command("bash");
        let serve = "echo $$ > /run/registry.pid; exec docker-registry serve /run/registry.yml";
        command.args(["-c", serve]).stdout(log.try_clone().expect("a log can be shared"));
        self.registry = Some(command.stderr(log).spawn().expect("`nsenter` starts"));
    }

    fn wait(&self, address: &str) {
        let begun = Instant::now();
        let is_up = || self.machine.in_network(|| TcpStream::connect(address).is_ok());
        while !is_up() {
            let log = std::fs::read_to_string(self.machine.path("run/registry.log"));
            assert!(begun.elapsed() < Duration::from_secs(60), "{log:?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut registry) = self.registry.take() {
            // The registry is stopped with its machine.
            let _ = registry.kill();
            let _ = registry.wait();
        }
    }
}
