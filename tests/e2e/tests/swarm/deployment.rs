//! A machine whose engine is controlled through `cmsg-engine`.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cmsg_config::{
    Paths,
    socket::{self, Role, Status},
};
use cmsg_engine::{
    Engine, Running,
    archive::ImageArchive,
    stack::{Service, Stack},
};
use e2e::{binaries, machine::Machine};

/// An installation in the engine of a machine.
pub(crate) struct Deployment {
    pub(crate) engine: Engine,
    pub(crate) archive: ImageArchive,
    pub(crate) paths: Paths,
    pub(crate) machine: Machine,
}

impl Deployment {
    /// A machine with the files of an installation and an engine.
    pub(crate) fn prepare() -> Self {
        let mut machine = Machine::start();
        machine.start_engine();
        let root = machine.folder().join("site");
        let setup = binaries::path("pcoip-cmsg-setup").display().to_string();
        let words = "install --runtime=host --quiet --accept-policies --self-signed \
                     --ignore-disk-req --broker-url=https://127.0.0.1:1 \
                     --external-pcoip-ip=127.0.0.1 --root";
        let mut words: Vec<_> = words.split_whitespace().collect();
        let at = root.display().to_string();
        words.push(&at);
        machine.tell(&setup, &words);
        let paths = Paths::under(root);
        // Its roles are replaced by those of the stack, with the same files.
        let pid = std::fs::read_to_string(paths.run().join("supervise.pid")).expect("it runs");
        machine.tell(
            "bash",
            &["-c", &format!("kill {0}; while kill -0 {0}; do sleep 0.02; done", pid.trim())],
        );
        machine.tell("chown", &["-R", "977:977", &at]);
        let engine = Engine::at(machine.path("run/docker.sock")).expect("the engine answers");
        let archive = ImageArchive::read(binaries::path("pcoip-cmsg-images.tar"));
        Self { engine, archive: archive.expect("`cargo xtask test` makes it"), paths, machine }
    }

    /// The stack file with the image names of the engine.
    pub(crate) fn write_stack(&self) -> PathBuf {
        let stack = Stack {
            paths: self.paths.clone(),
            account: (977, 977),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            authorities: self.paths.certs().join("cmsg.crt"),
        };
        let image = |role: Role| {
            let image = self.archive.image(role).expect("it has both images");
            let id = self.engine.image_id(&image.tag).expect("the engine answers");
            let image = id.expect("it was loaded");
            Service { role, image, deployment: "first".to_owned(), memory: 1762 }
        };
        let text = stack.render(&[Role::Cm, Role::Sg].map(image)).expect("it can be written");
        let mut file = tempfile::NamedTempFile::new_in(self.machine.folder()).expect("a file");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("it can be written");
        file.keep().expect("it stays").1
    }

    /// Waits until a role responds on its socket.
    pub(crate) fn live(&self, role: Role) -> Status {
        let begun = Instant::now();
        loop {
            let run = self.paths.run();
            match socket::get::<Status>(&run, role, "/status", Duration::from_secs(5)) {
                Ok(status) => return status,
                Err(why) => assert!(
                    begun.elapsed() < Duration::from_secs(120),
                    "{why}: {:?} {:?}",
                    self.engine.last_failure("pcoipcm_cm", None, 5),
                    self.engine.log_tail("pcoipcm_cm", 5)
                ),
            }
            std::thread::yield_now();
        }
    }

    /// The user and the capabilities of a role's process.
    pub(crate) fn rights(&self, role: Role) -> [String; 3] {
        let lines = format!(
            "grep -hE '^(Uid|CapEff|CapBnd):' /proc/$(pgrep -f '^/pcoip-cmsgd {}')/status",
            role.command()
        );
        let told = self.machine.tell("bash", &["-c", &lines]);
        let words: Vec<_> = told.lines().map(|line| line.split_whitespace().nth(1)).collect();
        [0, 1, 2].map(|index| words[index].expect("a line has a value").to_owned())
    }

    /// Loads the images, creates the swarm and deploys both services.
    pub(crate) fn deployed() -> Self {
        let site = Self::prepare();
        site.engine.load_images(&site.archive.source, |_| ()).expect("the images can be loaded");
        site.engine.make_swarm("10.101.128.0/17").expect("a swarm can be made");
        site.engine
            .deploy(Path::new("/usr/bin/docker"), &[site.write_stack()])
            .expect("it deploys");
        site
    }

    /// The only running container of a service; a role may respond before the engine has noticed.
    pub(crate) fn running(&self, service: &str) -> Running {
        let running = || self.engine.running(service).expect("the engine answers");
        self.until("one container runs", |_| running().len() == 1);
        running().remove(0)
    }

    /// What the engine calls it.
    pub(crate) fn container(&self, service: &str) -> String {
        self.running(service).container
    }

    /// Waits until a condition holds for the engine.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&Engine) -> bool) {
        let begun = Instant::now();
        while !holds(&self.engine) {
            let troubles = || self.engine.last_failure("pcoipcm_cm", None, 5);
            assert!(begun.elapsed() < Duration::from_secs(120), "{what}: {:?}", troubles());
            std::thread::yield_now();
        }
    }
}
