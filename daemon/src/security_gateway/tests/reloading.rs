//! A reload applies changed settings, and no session ends.

use cmsg_config::values::LogLevel;

use super::*;

const CONF: &str = "sg.conf";

/// A gateway that reloads this configuration, and the level of its log.
async fn reloading(more: &str) -> (World, logs::Level) {
    let mut world = World::new(more).await;
    let path = write(&world.folder, CONF, &conf(&world.folder, more));
    let (level, file) = (logs::Level::from(LogLevel::Info), ConfFile::load(&path).unwrap());
    let role = world.role.take().unwrap();
    role.follow(Configuration { path, file }, level.clone());
    world.served = Some(tokio::spawn(role.serve(world.stop.clone())));
    (world, level)
}

impl World {
    /// Changes the configuration and requests a reload; returns status and reason.
    async fn reload(&self, more: &str) -> (u16, String) {
        write(&self.folder, CONF, &conf(&self.folder, more));
        let head = "POST /reload HTTP/1.1\r\nHost: sg.sock\r\nConnection: close\r\n\r\n";
        self.ask(head.to_owned()).await
    }

    /// The status of the response to an announcement.
    async fn announced(&self, number: u8, agent: SocketAddr) -> u16 {
        let announced = announcement(number, agent);
        self.post(&self.token(&announced, number), &announced.render()).await.0
    }
}

/// A session with a control connection and a flow.
struct Session {
    control: TlsStream<TcpStream>,
    socket: UdpSocket,
}

impl Session {
    async fn start(world: &World, agent: &Agent) -> Self {
        world.announce(1, agent.address).await;
        let (mut control, first) = (world.connect().await, hello(1, *b"spi1"));
        control.write_all(&first).await.unwrap();
        assert_eq!(read(&mut control, first.len()).await, upper(&first));
        let mut session = Self { control, socket: client_socket().await };
        session.is_relayed(world).await;
        session
    }

    async fn is_relayed(&mut self, world: &World) {
        self.control.write_all(b"and more").await.unwrap();
        assert_eq!(read(&mut self.control, 8).await, b"AND MORE");
        assert_eq!(world.exchange(&self.socket, b"spi1hello").await, b"SPI1HELLO");
    }
}

#[tokio::test]
async fn a_session_is_relayed_while_each_setting_changes() {
    let (world, _) = reloading(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    let mut session = Session::start(&world, &agent).await;
    let table = [
        "MaxConnections = 1",
        "MaxConnections = 6000",
        "LogLevel = DEBUG",
        "AllowedAgents = 192.0.2.0/24",
        "AnnouncedSeconds = 1",
        "ResumeSeconds = 1",
        "UdpIdleSeconds = 1",
        "TlsHandshakeSeconds = 1",
        "HttpHeadSeconds = 1",
        "TagSeconds = 1",
    ];

    for change in table {
        assert_eq!(world.reload(&format!("{LOOPBACK}{change}")).await, (204, String::new()));
        session.is_relayed(&world).await;
    }
    assert_eq!(world.connections().await.len(), 1);
    let traffic = world.connections().await[0].traffic.unwrap();
    assert!(traffic.udp_to_agent.datagrams > 10, "the counters go on: {traffic:?}");
    world.stop().await;
}

#[tokio::test]
async fn more_or_fewer_sessions_are_accepted_after_a_reload() {
    let (world, _) = reloading(&format!("{LOOPBACK}MaxConnections = 1")).await;
    let agent = Agent::start(&world.folder).await;
    let mut session = Session::start(&world, &agent).await;
    assert_eq!(world.announced(2, agent.address).await, 503);

    world.reload(&format!("{LOOPBACK}MaxConnections = 2")).await;
    assert_eq!(world.announced(3, agent.address).await, 200);
    assert_eq!(world.announced(4, agent.address).await, 503);
    world.reload(&format!("{LOOPBACK}MaxConnections = 1")).await;
    assert_eq!(world.announced(5, agent.address).await, 503);

    assert_eq!(world.connections().await.len(), 2);
    assert!(!world.status().await.ready);
    session.is_relayed(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn new_announcements_are_judged_by_the_changed_networks() {
    let (world, _) = reloading(&format!("{LOOPBACK}AllowedAgents = 192.0.2.0/24")).await;
    let agent = Agent::start(&world.folder).await;
    assert_eq!(world.announced(1, agent.address).await, 403);

    world.reload(&format!("{LOOPBACK}AllowedAgents = 127.0.0.0/8")).await;
    let mut session = Session::start(&world, &agent).await;
    world.reload(&format!("{LOOPBACK}AllowedAgents = 192.0.2.0/24")).await;

    assert_eq!(world.announced(2, agent.address).await, 403);
    session.is_relayed(&world).await;
    // Its client may connect again, too.
    drop(session);
    world.until(|connection| connection.state == "waiting").await;
    let mut control = world.connect().await;
    control.write_all(&hello(1, *b"spi1")).await.unwrap();
    world.until(|connection| connection.state == "connected").await;
    world.stop().await;
}

#[tokio::test]
async fn changed_timeouts_apply_at_once() {
    let (world, _) = reloading(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    let session = Session::start(&world, &agent).await;
    world.announce(2, agent.address).await;

    world.reload(&format!("{LOOPBACK}AnnouncedSeconds = 1")).await;
    world.until(|connection| connection.state == "connected").await;
    drop(session);
    world.until(|connection| connection.state == "waiting").await;
    world.reload(&format!("{LOOPBACK}ResumeSeconds = 1\nUdpIdleSeconds = 1\nTagSeconds = 1")).await;

    soon(async {
        while !world.connections().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(is_closed(&mut world.connect().await).await, "no tag within a second");
    world.stop().await;
}

#[tokio::test]
async fn the_log_level_and_the_keys_that_need_a_restart_are_reported() {
    let (log, _guard) = logged();
    let (world, level) = reloading(LOOPBACK).await;
    let before = world.listens.clone();

    let keys = "ListenAddress = 127.0.0.2:0\nUdpSourceAddress = 127.0.0.1:0\nAgentCertCheck = true\n\
         LogLevel = TRACE\nMaxConnections = 5000";
    assert_eq!(world.reload(keys).await.0, 204);

    let text = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(level.get(), LogLevel::Trace);
    assert!(text.contains("Changed settings are in effect keys=\"LogLevel\""), "{text}");
    let postponed =
        "Changed settings take effect at the next start keys=\"ListenAddress, AgentCertCheck\"";
    assert!(text.contains(postponed), "{text}");
    assert_eq!(world.status().await.listens, before);
    world.stop().await;
}

#[tokio::test]
async fn an_invalid_file_changes_nothing() {
    let (log, _guard) = logged();
    let (world, level) = reloading(&format!("{LOOPBACK}MaxConnections = 1")).await;
    let agent = Agent::start(&world.folder).await;
    let mut session = Session::start(&world, &agent).await;
    let path = world.folder.path().join(CONF);

    let keys = "MaxConnections = 2\nLogLevel = TRACE\nTagSeconds = 0\nAllowedAgents = everywhere";
    let (status, why) = world.reload(&format!("{LOOPBACK}{keys}")).await;
    let expected = format!(
        "in configuration `{}`: line 12: `AllowedAgents`: `everywhere` is not a network \
         `IP/BITS` or an IP address; line 11: `TagSeconds`: `0` is not a number of seconds from 1 to 86400",
        path.display()
    );
    assert_eq!((status, why.as_str()), (409, expected.as_str()));
    std::fs::remove_file(&path).unwrap();
    let gone = world.ask("POST /reload HTTP/1.0\r\n\r\n".to_owned()).await;
    assert_eq!(gone.0, 409, "{gone:?}");

    let text = std::fs::read_to_string(log.path()).unwrap();
    let failed = "Nothing was reloaded; the previous settings, certificates and keys stay in use";
    assert!(text.contains(failed) && text.contains("line 12: `AllowedAgents`"), "{text}");
    assert_eq!(level.get(), LogLevel::Info);
    assert_eq!(world.announced(2, agent.address).await, 503, "still one session");
    session.is_relayed(&world).await;

    // An invalid certificate keeps the settings, too.
    std::fs::remove_file(world.folder.path().join("tls.crt")).unwrap();
    let (status, _) = world.reload(&format!("{LOOPBACK}MaxConnections = 2")).await;
    assert_eq!((status, world.announced(3, agent.address).await), (409, 503));
    world.stop().await;
}
