//! Sessions survive a restart of their gateway.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    sync::{Arc, atomic::Ordering},
};

use cmsg_proto::gateway::Journal;
use tokio::runtime::{Handle, Runtime};

use super::{
    super::{JOURNAL as FILE, state::GatewayState},
    *,
};
use crate::journal::JournalFile;

const NEW: &str = "security-gateway.journal.new";
const DAMAGED: &str = "security-gateway.journal.damaged";

fn load(folder: &std::path::Path) -> Journal {
    JournalFile::new(folder, FILE).restore()
}

impl World {
    /// Starts another gateway on the same ports.
    async fn start_on(&mut self, handle: &Handle) -> Arc<GatewayState> {
        let (pcoip, udp_source) = (self.address("pcoip", "tcp"), self.address("udp-source", "udp"));
        let keys = format!("ListenAddress = {pcoip}\nUdpSourceAddress = {udp_source}");
        let role = handle.spawn(bind(config(&self.folder, &keys))).await.unwrap().unwrap();
        let gateway = Arc::clone(&role.gateway);
        self.stop = CancellationToken::new();
        self.served = Some(handle.spawn(role.serve(self.stop.clone())));
        gateway
    }

    async fn shut_down(&mut self) {
        self.stop.cancel();
        soon(self.served.take().unwrap()).await.unwrap().unwrap();
    }

    fn journal(&self) -> String {
        written(&self.folder)
    }

    /// Connects with the tag, and exchanges a message in each direction.
    async fn control(&self, number: u8, spi: [u8; 4]) -> TlsStream<TcpStream> {
        let (mut control, first) = (self.connect().await, hello(number, spi));
        control.write_all(&first).await.unwrap();
        assert_eq!(read(&mut control, first.len()).await, upper(&first));
        control
    }
}

fn written(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join(FILE)).unwrap_or_default()
}

/// Waits until the journal contains this text.
async fn until_written(folder: &TempDir, what: &str) {
    soon(async {
        while !written(folder).contains(what) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn id(number: u8) -> String {
    announcement(number, "127.0.0.1:1".parse().unwrap()).connection_id.to_string()
}

/// Ends the runtime as a kill would, without a clean shutdown.
async fn kill(mortal: Runtime) {
    tokio::task::spawn_blocking(|| mortal.shutdown_timeout(PATIENCE)).await.unwrap();
}

#[tokio::test]
async fn an_announcement_is_on_disk_before_it_is_answered() {
    let world = World::serving(LOOPBACK).await;
    for number in 1..=3 {
        world.announce(number, "127.0.0.1:1".parse().unwrap()).await;

        assert!(world.journal().contains(&id(number)));
    }
}

#[tokio::test]
async fn a_session_whose_agent_is_no_longer_allowed_is_not_restored() {
    let mut world = World::serving(LOOPBACK).await;
    world.announce(1, "127.0.0.1:1".parse().unwrap()).await;
    world.announce(2, "127.0.0.2:1".parse().unwrap()).await;
    world.shut_down().await;
    let (log, _guard) = logged();

    let keys = format!("{LOOPBACK}AllowedAgents = 127.0.0.2");
    let role = bind(config(&world.folder, &keys)).await.unwrap();

    let agents: Vec<_> = role.gateway.connections().into_iter().filter_map(|c| c.agent).collect();
    assert_eq!(agents, ["127.0.0.2:1"]);
    let log = fs::read_to_string(log.path()).unwrap();
    for part in ["WARN", "127.0.0.1 is a loopback address", "`--allowed-agents`", &id(1)] {
        assert!(log.contains(part), "{part} in {log}");
    }
}

#[tokio::test]
async fn a_killed_gateways_clients_resume_with_tcp_and_udp() {
    let mut world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    world.shut_down().await;
    let mortal = Runtime::new().unwrap();
    world.start_on(mortal.handle()).await;
    world.announce(1, agent.address).await;
    world.announce(2, agent.address).await;
    let mut control = world.control(1, *b"spi1").await;
    let socket = client_socket().await;
    assert_eq!(world.exchange(&socket, b"spi1before").await, b"SPI1BEFORE");
    until_written(&world.folder, "\"in-use\"").await;

    kill(mortal).await;
    assert!(is_closed(&mut control).await);
    let gateway = world.start_on(&Handle::current()).await;

    let states: Vec<_> = world.connections().await.into_iter().map(|c| (c.id, c.state)).collect();
    assert_eq!(states, [(id(1), "waiting".to_owned()), (id(2), "announced".to_owned())]);
    socket.send_to(b"spi1too early", world.address("pcoip", "udp")).await.unwrap();
    soon(async {
        while gateway.counters.drops.unknown.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let mut control = world.control(1, *b"spi1").await;
    assert_eq!(world.exchange(&socket, b"spi1after").await, b"SPI1AFTER");
    control.write_all(b"and more").await.unwrap();
    assert_eq!(read(&mut control, 8).await, b"AND MORE");
    let traffic = world.connections().await[0].traffic.unwrap();
    let sent = traffic.udp_to_agent;
    assert_eq!(sent.bytes, sent.datagrams * 9, "what came too early has another size");
    world.control(2, *b"spi2").await;
    world.stop().await;
}

#[tokio::test]
async fn a_shutdown_keeps_the_sessions_of_a_gateway() {
    let mut world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;
    let mut control = world.control(1, *b"spi1").await;
    world.announce(2, agent.address).await;

    world.shut_down().await;

    assert!(is_closed(&mut control).await);
    let journal = world.journal();
    assert!(journal.contains("\"in-use\"") && journal.contains("\"announced\""), "{journal}");
    world.start_on(&Handle::current()).await;
    world.control(1, *b"spi1").await;
    world.control(2, *b"spi2").await;
    world.stop().await;
}

#[tokio::test]
async fn a_replay_after_a_restart_changes_nothing() {
    let mut world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    let (used, unused) = (announcement(1, agent.address), announcement(2, agent.address));
    let replays =
        [(&used, 1), (&unused, 2)].map(|(a, random)| (world.token(a, random), a.render()));
    for (token, body) in &replays {
        assert_eq!(world.post(token, body).await.0, 200);
        assert_eq!(world.post(token, body).await.0, 401, "used before");
    }
    world.control(1, *b"spi1").await;
    world.shut_down().await;
    let gateway = world.start_on(&Handle::current()).await;
    let before = gateway.journal();

    for (token, body) in &replays {
        assert_eq!(world.post(token, body).await.0, 200);
    }

    assert_eq!(gateway.journal(), before);
    world.stop().await;
}

#[tokio::test]
async fn the_journal_is_private_and_without_secrets() {
    let world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;
    let _control = world.control(1, *b"spi1").await;

    until_written(&world.folder, "\"in-use\"").await;

    let journal = world.journal();
    assert!(!journal.contains(tag(1).expose()) && !journal.contains("spi1"), "{journal}");
    let mode = fs::metadata(world.folder.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    world.stop().await;
}

#[tokio::test]
async fn rapid_changes_are_written_together() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Arc::new(GatewayState::new(
        &config(&folder, LOOPBACK),
        "127.0.0.1:1".parse().unwrap(),
        &[],
    ));
    let announce = |number| {
        let announced = announcement(number, "127.0.0.1:4172".parse().unwrap());
        let external = EXTERNAL.parse().unwrap();
        let claims = Claims::of(&announced, external, [number; 16], clock::wall());
        gateway.announce(&claims, &announced, None).unwrap();
    };
    let modified = || {
        let file = fs::metadata(folder.path().join(FILE)).unwrap();
        Duration::new(file.mtime().try_into().unwrap(), file.mtime_nsec().try_into().unwrap())
    };
    let kept = Arc::clone(&gateway);
    let file = AppendedFile::new(JournalFile::new(folder.path(), FILE));
    let keeper = Keeper::start(Arc::clone(&gateway.journal), file, move || kept.journal()).unwrap();
    until_written(&folder, "pcoip-sg-sessions").await;
    let first = modified();

    announce(1);
    announce(2);

    until_written(&folder, &id(1)).await;
    assert!(written(&folder).contains(&id(2)));
    // File times have the resolution of the system's timer ticks.
    assert!(modified() - first > Duration::from_millis(80), "{first:?} {:?}", modified());
    announce(3);
    soon(keeper.finish()).await.unwrap();
    assert!(written(&folder).contains(&id(3)), "at the shutdown");
}

/// Journals that are renamed, and why: their first bytes, and the number of zeros behind them.
const UNREADABLE: [(&[u8], usize, &str); 6] = [
    (b"{\"version\":1,\"sessions\":[]", 0, "the sessions are damaged: EOF while parsing"),
    (b"", 0, "the sessions are damaged: the first line is missing"),
    (b"", 1000, "the sessions are damaged: the first line is missing"),
    (b"{\"version\":3}", 0, "the sessions have format version 3, not 2"),
    (b"pcoip-sg-sessions 3\n", 0, "the sessions have format version 3, not 2"),
    (b"", Journal::MAX_BYTES + 1, "the sessions have more than 268435456 bytes"),
];

#[test]
fn an_unreadable_journal_is_renamed_with_a_warning() {
    for (bytes, zeros, why) in UNREADABLE {
        let (log, _guard) = logged();
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::create(folder.path().join(FILE)).unwrap();
        file.write_all(bytes).unwrap();
        let length = (bytes.len() + zeros) as u64;
        file.set_len(length).unwrap();

        assert_eq!(load(folder.path()), Journal::default());

        let renamed = folder.path().join(DAMAGED);
        assert_eq!(fs::metadata(&renamed).unwrap().len(), length);
        assert!(zeros > 0 || fs::read(&renamed).unwrap() == bytes);
        assert!(!folder.path().join(FILE).exists());
        let log = fs::read_to_string(log.path()).unwrap();
        assert!(log.contains(" WARN ") && log.contains(why), "{log}");
    }
}

#[tokio::test]
async fn the_readable_sessions_of_a_damaged_file_are_restored_and_the_file_is_kept() {
    let mut world = World::serving(LOOPBACK).await;
    for number in 1..=3 {
        world.announce(number, "127.0.0.1:1".parse().unwrap()).await;
    }
    world.shut_down().await;
    let damaged = world.journal().replace(&id(2), &id(4));
    write(&world.folder, FILE, &damaged);
    let (log, _guard) = logged();

    world.start_on(&Handle::current()).await;

    let ids: Vec<_> = world.connections().await.into_iter().map(|session| session.id).collect();
    assert_eq!(ids, [id(1), id(3)]);
    assert_eq!(fs::read_to_string(world.folder.path().join(DAMAGED)).unwrap(), damaged);
    until_written(&world.folder, &id(3)).await;
    world.stop().await;
    let log = fs::read_to_string(log.path()).unwrap();
    assert!(log.contains(" WARN ") && log.contains("sessions=2"), "{log}");
}

#[tokio::test]
async fn an_interrupted_write_at_the_end_is_cut_off() {
    let mut world = World::serving(LOOPBACK).await;
    world.announce(1, "127.0.0.1:1".parse().unwrap()).await;
    world.shut_down().await;
    let damaged = world.folder.path().join(DAMAGED);
    let torn = world.journal() + "00f3 12345678 {\"session\"";
    write(&world.folder, FILE, &torn);
    let (log, _guard) = logged();

    world.start_on(&Handle::current()).await;

    assert_eq!(world.connections().await[0].id, id(1));
    world.announce(2, "127.0.0.1:1".parse().unwrap()).await;
    world.stop().await;
    assert!(!damaged.exists());
    let log = fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("incomplete") && !log.contains(" WARN "), "{log}");
}

#[tokio::test]
async fn a_gateway_starts_with_any_kind_of_file_in_place_of_its_journal() {
    let mut world = World::serving(LOOPBACK).await;
    let path = world.folder.path().join(FILE);
    let aside = world.folder.path().join(DAMAGED);
    let anything: [fn(&std::path::Path); 4] = [
        |path| fs::create_dir(path).unwrap(),
        |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        |path| drop(File::create(path).unwrap()),
    ];
    for (number, place) in (1..).zip(anything) {
        world.shut_down().await;
        fs::remove_file(&path).unwrap();
        place(&path);

        world.start_on(&Handle::current()).await;

        assert!(aside.symlink_metadata().is_ok());
        fs::remove_file(&aside).or_else(|_| fs::remove_dir(&aside)).unwrap();
        world.announce(number, "127.0.0.1:4172".parse().unwrap()).await;
        until_written(&world.folder, &id(number)).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_failure_to_write_the_journal_is_logged_once() {
    let (log, _guard) = logged();
    let mut world = World::serving(LOOPBACK).await;
    world.shut_down().await;
    fs::create_dir(world.folder.path().join(NEW)).unwrap();
    world.start_on(&Handle::current()).await;
    let agent = Agent::start(&world.folder).await;

    world.announce(1, agent.address).await;
    world.control(1, *b"spi1").await;

    world.stop().await;
    let log = fs::read_to_string(log.path()).unwrap();
    assert_eq!(log.matches("Failed to persist the sessions").count(), 1, "{log}");
}
