//! Sessions survive a restart of the Connection Manager, and their file is useless without a
//! cookie.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use cmsg_config::socket::{self, Connection, Connections, Role};
use cmsg_proto::{
    Time,
    broker::session::{Journal, Session, Sessions, Stage},
};
use http::StatusCode;
use tokio::{
    runtime::{Handle, Runtime},
    time::timeout,
};

use crate::journal::JournalFile;

use super::{
    super::{JOURNAL as FILE, seal::CookieSeal},
    ALLOCATE, BYE, LOGON, agent, document_of, hello, logged, request,
    world::{ID, WAIT, World},
};

const NEW: &str = "connection-manager.sessions.new";
const DAMAGED: &str = "connection-manager.sessions.damaged";

fn load(folder: &Path) -> Journal {
    JournalFile::new(folder, FILE).restore()
}

const CONF: &str = "SecurityGatewayEnabled = false";
const LIST: &str = "<get-resource-list />";
const LISTED: &str = "<get-resource-list-resp />";

fn broker(body: &str) -> (StatusCode, String) {
    if !body.contains("<get-resource-list") {
        return super::broker(body);
    }
    (StatusCode::OK, format!("<pcoip-broker version=\"2.1\">{LISTED}</pcoip-broker>"))
}

fn file(world: &World) -> PathBuf {
    world.run().join(FILE)
}

/// The persisted stage of the session with this cookie.
fn written(world: &World, cookie: &str) -> Option<Stage> {
    let journal = Journal::parse(&fs::read(file(world)).ok()?).ok()?.journal;
    let mut sessions = Sessions::new(10, Duration::from_secs(900), CookieSeal);
    sessions.restore(journal, Time::default());
    sessions.find(&cookie.parse().unwrap(), Time::default()).map(Session::stage)
}

async fn until_written(world: &World, cookie: &str, stage: Option<Stage>) {
    let waiting = async {
        while written(world, cookie) != stage {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT, waiting).await.unwrap();
}

async fn restart(world: &mut World) {
    world.stop().await;
    world.start_on(&Handle::current()).await;
}

async fn connections(world: &World) -> Vec<Connection> {
    document_of::<Connections>(world, "/connections").await.connections
}

fn put(folder: &Path, bytes: &[u8]) {
    File::create(folder.join(FILE)).unwrap().write_all(bytes).unwrap();
}

/// Checks that the client can continue, and that the agent receives the password.
async fn goes_on(world: &World, cookie: &str) {
    let (_, content) = world.post(Some(cookie), &request(LIST)).await;
    assert_eq!(content, request(LISTED));
    let (_, content) = world.post(Some(cookie), &request(ALLOCATE)).await;
    assert!(content.contains("<connect-tag>SCS1tag</connect-tag>"), "{content}");
    let asked = world.agent.lock().unwrap().pop().unwrap().2;
    for part in ["<username>u<", "<password>p&amp;w<", "<domain>d<", "<client-name>laptop<"] {
        assert!(asked.contains(part), "{asked}");
    }
    let heard = world.broker.lock().unwrap();
    let (_, headers, _) = heard.iter().find(|(_, _, body)| body.contains(ALLOCATE)).unwrap();
    assert_eq!(headers["cookie"], "JSESSIONID=brokers");
}

#[tokio::test]
async fn a_killed_connection_manager_keeps_its_sessions() {
    let mortal = Runtime::new().unwrap();
    let mut world = World::with(CONF, broker, agent).await;
    world.stop().await;
    world.start_on(mortal.handle()).await;
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &request(LOGON)).await;
    until_written(&world, &cookie, Some(Stage::Authenticated)).await;

    tokio::task::spawn_blocking(|| mortal.shutdown_timeout(WAIT)).await.unwrap();
    world.start_on(&Handle::current()).await;

    goes_on(&world, &cookie).await;
}

#[tokio::test]
async fn a_shutdown_persists_all_sessions() {
    let mut world = World::with(CONF, broker, agent).await;
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &request(LOGON)).await;

    restart(&mut world).await;

    goes_on(&world, &cookie).await;
}

#[tokio::test]
async fn a_restored_session_is_reported_and_can_end() {
    let mut world = World::with(CONF, broker, agent).await;
    let cookie = hello(&world).await;
    restart(&mut world).await;

    world.post(Some(&cookie), &request(LIST)).await;
    let record = &connections(&world).await[0];
    assert_eq!((record.id.as_str(), record.state.as_str()), (ID, "greeted"));
    assert_eq!((record.client.as_deref(), &*record.exchanges[0].name), (Some("127.0.0.1"), "list"));
    world.post(Some(&cookie), &request(BYE)).await;
    assert_eq!(connections(&world).await[0].state, "ended");

    restart(&mut world).await;
    let (_, content) = world.post(Some(&cookie), &request(LIST)).await;
    assert!(content.contains("Unknown/expired JSESSIONID"), "{content}");
}

#[tokio::test]
async fn the_file_is_useless_without_a_cookie() {
    let world = World::with(CONF, broker, agent).await;
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &request(LOGON)).await;
    until_written(&world, &cookie, Some(Stage::Authenticated)).await;

    let bytes = fs::read(file(&world)).unwrap();
    let raw = u128::from_str_radix(&cookie, 16).unwrap().to_be_bytes();
    let secrets =
        [cookie.as_bytes(), &raw, b"p&w", b"p&amp;w", b"brokers", b"laptop", ID.as_bytes()];
    for secret in secrets {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{secret:?}");
    }
    assert_eq!(fs::metadata(file(&world)).unwrap().permissions().mode() & 0o777, 0o600);

    world.post(Some(&cookie), &request(BYE)).await;
    until_written(&world, &cookie, None).await;
}

#[tokio::test]
async fn an_unreadable_file_is_renamed_with_a_warning() {
    let whole = Journal::default().render();
    let foreign = [b"pcoip-cm-sessions 3\n".as_slice(), &whole[20..]].concat();
    let table = [
        (&whole[1..], "the sessions are damaged: the first line is missing"),
        (&foreign, "the sessions have format version 3, not 2"),
        (b"", "the sessions are damaged"),
    ];
    for (bytes, expected) in table {
        let (log, _guard) = logged();
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), bytes);

        let journal = load(folder.path());

        assert_eq!(journal, Journal::default());
        assert_eq!(fs::read(folder.path().join(DAMAGED)).unwrap(), bytes);
        assert!(!folder.path().join(FILE).exists());
        let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        assert!(log.contains(" WARN ") && log.contains(expected), "{log}");
    }
}

#[tokio::test]
async fn a_connection_manager_starts_with_any_kind_of_file_in_place_of_its_sessions() {
    let mut world = World::with(CONF, broker, agent).await;
    let cookie = hello(&world).await;
    world.stop().await;
    let mut damaged = fs::read(file(&world)).unwrap();
    damaged[0] ^= 1;
    put(world.run(), &damaged);
    world.start_on(&Handle::current()).await;

    let (_, content) = world.post(Some(&cookie), &request(LIST)).await;

    assert!(content.contains("Unknown/expired JSESSIONID"), "{content}");
    assert_eq!(fs::read(world.run().join(DAMAGED)).unwrap(), damaged);
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &request(LOGON)).await;
    until_written(&world, &cookie, Some(Stage::Authenticated)).await;
}

#[tokio::test]
async fn a_damaged_record_does_not_affect_other_sessions() {
    let mut world = World::with(CONF, broker, agent).await;
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &request(LOGON)).await;
    world.stop().await;
    let mut damaged = fs::read(file(&world)).unwrap();
    let start = damaged.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    damaged.splice(start..start, *b"damage\n");
    put(world.run(), &damaged);
    world.start_on(&Handle::current()).await;

    goes_on(&world, &cookie).await;

    assert_eq!(fs::read(world.run().join(DAMAGED)).unwrap(), damaged);
}

#[tokio::test]
async fn hellos_are_only_persisted_when_stopping_or_draining() {
    let mut world = World::with(CONF, broker, agent).await;
    let user = hello(&world).await;
    world.post(Some(&user), &request(LOGON)).await;
    until_written(&world, &user, Some(Stage::Authenticated)).await;
    let before = fs::read(file(&world)).unwrap();

    let mut cookies = Vec::new();
    for _ in 0..5 {
        cookies.push(hello(&world).await);
    }
    let (_, answer) = world.post(Some(&cookies[0]), &request(BYE)).await;
    assert_eq!(answer, request("<bye-resp />"));
    // Earlier changes would have been written before this one.
    world.post(Some(&user), &request(BYE)).await;
    until_written(&world, &user, None).await;
    let after = fs::read(file(&world)).unwrap();
    let appended = after.strip_prefix(before.as_slice()).expect("the file was not replaced");
    assert_eq!(appended.iter().filter(|byte| **byte == b'\n').count(), 1, "the end of the user's");
    assert_eq!(written(&world, &cookies[1]), None);

    let run = world.run().to_owned();
    let drain = move || socket::tell(&run, Role::Cm, "/drain", WAIT);
    tokio::task::spawn_blocking(drain).await.unwrap().unwrap();
    until_written(&world, &cookies[1], Some(Stage::Greeted)).await;

    restart(&mut world).await;
    world.post(Some(&cookies[1]), &request(LIST)).await;
    assert_eq!(connections(&world).await[0].state, "greeted");
    assert_eq!(written(&world, &cookies[0]), None, "it said goodbye");
}

#[tokio::test]
async fn a_failure_to_persist_is_logged_once_and_does_not_stop_the_role() {
    let (log, _guard) = logged();
    let mut world = World::with(CONF, broker, agent).await;
    let in_the_way = async {
        // The file of the first write may exist for a moment.
        while fs::create_dir(world.run().join(NEW)).is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT, in_the_way).await.unwrap();
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &request(LOGON)).await;

    goes_on(&world, &cookie).await;
    world.stop().await;

    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("Failed to persist the sessions").count(), 1, "{log}");
}
