//! The unix socket of a role: `cm.sock` and `sg.sock` in the run folder, HTTP and JSON.
//! `GET /live`, `GET /status`, `GET /connections`; the gateway's also takes announcements. The
//! supervisor's is `supervise.sock` beside them: `POST /start/cm`, `POST /stop/sg`.
//!
//! A socket's path may have 107 bytes at most, which is little for a folder under another root, so
//! both ends reach it through `/proc/self/fd/N` of its open folder.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::SocketAddr,
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use broker::{BrokerStatus, RefusedCertificate};
pub use counted::{
    DroppedDatagrams, GatewayStanding, LastRefusal, RefusedClients, TurnedAway, Unserved,
};

pub use ended::{EndReason, SESSIONS_ENDED, SessionEnded, SessionsEnded, report_ended};

mod broker;
mod counted;
mod ended;

/// One of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The Connection Manager.
    Cm,
    /// The Security Gateway.
    Sg,
}

impl Role {
    /// The name of its socket in the run folder.
    #[must_use]
    pub fn socket(self) -> &'static str {
        match self {
            Self::Cm => "cm.sock",
            Self::Sg => "sg.sock",
        }
    }

    /// The daemon's subcommand.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Cm => "connection-manager",
            Self::Sg => "security-gateway",
        }
    }
}

/// The variable that names a role's deployment to it. Whoever waits for a service that was just
/// changed would else take the answer of the one that is about to end for the new one's.
pub const DEPLOYMENT: &str = "PCOIP_CMSG_DEPLOYMENT";

/// The name of this process's deployment, if it has one.
#[must_use]
pub fn deployment() -> Option<String> {
    std::env::var(DEPLOYMENT).ok()
}

/// The reason of a role that has only just started and has not looked yet for what it needs.
pub const NOT_LOOKED: &str = "not checked yet";
/// Why a role that drains takes no sessions.
pub const DRAINING: &str = "draining: no new sessions are accepted";
/// Why a Connection Manager is not ready, in the documented words.
pub const NO_BROKER: &str = "Cannot communicate with broker";

/// Why a Connection Manager is not ready that finds no gateway, in the guide's words.
pub const NO_GATEWAY: &str = "Security Gateway is enabled but does not respond";

/// `GET /status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which service.
    pub role: Role,
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Whether it can do its work; what `/health` says.
    pub ready: bool,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// What it listens on.
    pub listens: Vec<Listen>,
    /// Sessions at present.
    pub sessions: usize,
    /// How many of them are in use; a daemon that does not count them says nothing.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// When it last read its certificates and keys, in milliseconds since 1970: at its start, or when
    /// it was told to reload them. A daemon that does not say has read them at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_read: Option<u64>,
    /// What its stack file calls this state of it, in Docker Swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// What the gateway turned away since it started; the Connection Manager tells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned_away: Option<TurnedAway>,
    /// What the Connection Manager did not serve since it started; the gateway tells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unserved: Option<Unserved>,
    /// The connection broker as the Connection Manager sees it; the gateway reports none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerStatus>,
}

/// How many sessions are in use and how many are not: together all of a role's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Sessions that a user would lose if the role stopped.
    pub in_use: usize,
    /// Sessions that nobody uses, kept so that their clients can resume them.
    pub resumable: usize,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// The listener's key: `broker`, `http`, `pcoip` or `udp-source`.
    pub key: String,
    /// `tcp` or `udp`.
    pub transport: String,
    /// The bound address.
    pub address: SocketAddr,
}

/// `GET /connections`: of the Connection Manager the sessions being set up or set up lately, of the
/// gateway the ones that go through it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// One a session.
    pub connections: Vec<Connection>,
}

/// One session. Counters are the gateway's, times the Connection Manager's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Connection {
    /// The session log id, the same at every component.
    pub id: String,
    /// What it is doing.
    pub state: String,
    /// The client's address.
    pub client: Option<String>,
    /// The agent's address.
    pub agent: Option<String>,
    /// How long each exchange with others took, in milliseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// What went through the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

/// One finished exchange of the Connection Manager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// `hello`, `authenticate`, …, `launch-session`, `announce`.
    pub name: String,
    /// Its duration in milliseconds.
    pub ms: f64,
}

/// What went through the gateway for one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Datagrams to the agent.
    pub udp_to_agent: Amount,
    /// Datagrams to the client.
    pub udp_to_client: Amount,
    /// Control bytes to the agent.
    pub tcp_to_agent: u64,
    /// Control bytes to the client.
    pub tcp_to_client: u64,
}

/// A number of datagrams and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amount {
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes in them, UDP payload.
    pub bytes: u64,
}

/// More than any answer has, in bytes.
const LONGEST: usize = 64 * 1024 * 1024;

/// The supervisor's socket in the run folder.
pub const SUPERVISOR: &str = "supervise.sock";

/// Binds a role's socket; one left by a process that is gone is replaced.
///
/// # Errors
///
/// `AddrInUse` where a living process answers on it, else what the system says.
pub fn bind(run: &Path, role: Role) -> io::Result<UnixListener> {
    bind_named(run, role.socket())
}

/// Binds the supervisor's socket; as for a role's.
///
/// # Errors
///
/// As for a role's.
pub fn bind_supervisor(run: &Path) -> io::Result<UnixListener> {
    bind_named(run, SUPERVISOR)
}

fn bind_named(run: &Path, name: &str) -> io::Result<UnixListener> {
    let folder = File::open(run)?;
    let path = through(&folder, name);
    match UnixStream::connect(&path) {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => std::fs::remove_file(&path)?,
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to a role's socket.
///
/// # Errors
///
/// What the system says; `NotFound` or `ConnectionRefused` where the role does not run.
pub fn connect(run: &Path, role: Role) -> io::Result<UnixStream> {
    connect_named(run, role.socket())
}

fn connect_named(run: &Path, name: &str) -> io::Result<UnixStream> {
    let folder = File::open(run)?;
    UnixStream::connect(through(&folder, name))
}

/// Asks a role for a document: `get::<Status>(run, Role::Cm, "/status", wait)`.
///
/// # Errors
///
/// What the system says, and `InvalidData` where the answer is not what was asked for.
pub fn get<T: DeserializeOwned>(
    run: &Path,
    role: Role,
    path: &str,
    wait: Duration,
) -> io::Result<T> {
    read_answer(&exchange(connect(run, role)?, &format!("GET {path}"), &[], wait)?)
}

/// Tells a role to do something: `tell(run, Role::Cm, "/reload", wait)`.
///
/// # Errors
///
/// What the system says, and `Other` with what the role says where it does not do it.
pub fn tell(run: &Path, role: Role, path: &str, wait: Duration) -> io::Result<()> {
    let answer = exchange(connect(run, role)?, &format!("POST {path}"), &[], wait)?;
    match split(&answer)? {
        (b"204", _) => Ok(()),
        (_, why) => Err(io::Error::other(String::from_utf8_lossy(why).into_owned())),
    }
}

/// What the supervisor is told to do with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// To run it, now and whenever it ends.
    Start,
    /// To end it, and to leave it so.
    Stop,
}

/// Orders the supervisor; returns when a stopped role has ended.
///
/// # Errors
///
/// What the system says, and `InvalidData` where the supervisor does not agree.
pub fn order(run: &Path, role: Role, order: Order, wait: Duration) -> io::Result<()> {
    let word = match order {
        Order::Start => "start",
        Order::Stop => "stop",
    };
    let name = match role {
        Role::Cm => "cm",
        Role::Sg => "sg",
    };
    let stream = connect_named(run, SUPERVISOR)?;
    body(&exchange(stream, &format!("POST /{word}/{name}"), &[], wait)?).map(drop)
}

/// Sends a request with a JSON document, which may be empty, and reads the whole answer.
fn exchange(
    mut stream: UnixStream,
    request: &str,
    body: &[u8],
    wait: Duration,
) -> io::Result<Vec<u8>> {
    let begun = Instant::now();
    stream.set_write_timeout(Some(wait))?;
    let content = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
    };
    let head = format!("{request} HTTP/1.0\r\nHost: local\r\n{content}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while answer.len() < LONGEST {
        // Of the whole answer: a byte now and then is none.
        let left = wait.checked_sub(begun.elapsed()).filter(|left| !left.is_zero());
        stream.set_read_timeout(Some(left.ok_or(io::ErrorKind::TimedOut)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Reads the document out of an answer with its head.
///
/// # Errors
///
/// `InvalidData` where the answer is not what was asked for.
pub fn read_answer<T: DeserializeOwned>(answer: &[u8]) -> io::Result<T> {
    serde_json::from_slice(body(answer)?).map_err(|error| invalid(&error.to_string()))
}

/// What follows the head of an answer that agrees.
fn body(answer: &[u8]) -> io::Result<&[u8]> {
    let (status, body) = split(answer)?;
    if status != b"200" {
        return Err(invalid(&format!("the answer is {}", String::from_utf8_lossy(status))));
    }
    Ok(body)
}

/// Status and body of an answer.
fn split(answer: &[u8]) -> io::Result<(&[u8], &[u8])> {
    let head_end = answer.windows(4).position(|w| w == b"\r\n\r\n");
    let head_end = head_end.ok_or_else(|| invalid("the answer is not HTTP"))?;
    let (head, body) = answer.split_at(head_end + 4);
    Ok((head.split(|b| *b == b' ').nth(1).unwrap_or_default(), body))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Short, however deep the folder lies.
fn through(folder: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

#[cfg(test)]
mod tests;
