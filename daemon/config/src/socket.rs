//! The unix socket of a role: `cm.sock` and `sg.sock` in the run directory, HTTP and JSON. `GET
//! /live`, `GET /status` and `GET /connections`; the gateway's socket also accepts announcements.
//! The supervisor's socket is `supervise.sock` in the same directory: `POST /start/cm`, `POST
//! /stop/sg`. `docs/protocol/unix-sockets.md` describes all of them.
//!
//! The path of a unix socket has at most 107 bytes, which a directory below another root can
//! exceed. Both ends therefore use `/proc/self/fd/N` of the open directory.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::SocketAddr,
    os::unix::net::UnixListener,
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use connecting::{connect, connect_at};

use connecting::{connect_named, is_crowded, through};

pub use bans::{BANS, Ban, Bans, LIFT_BANS, Lift, Lifted, LogonCounts, bans, lift};
pub use broker::{BrokerStatus, RefusedCertificate};
pub use counted::{
    DroppedDatagrams, GatewayStanding, LastRefusal, RefusedClients, TurnedAway, Unserved,
};

pub use supervised::{Supervised, SupervisedRole, supervised};

pub use ended::{EndReason, SESSIONS_ENDED, SessionEnded, SessionsEnded, report_ended};

pub use failover::{FailoverStatus, PeerStatus, Served, TakenOver};

mod bans;
mod broker;
mod connecting;
mod counted;
mod ended;
mod failover;
mod supervised;

/// One of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The Connection Manager, `cm` in JSON.
    Cm,
    /// The Security Gateway, `sg` in JSON.
    Sg,
}

impl Role {
    /// File name of the socket in the run directory.
    #[must_use]
    pub fn socket(self) -> &'static str {
        match self {
            Self::Cm => "cm.sock",
            Self::Sg => "sg.sock",
        }
    }

    /// The daemon's subcommand that starts this role.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Cm => "connection-manager",
            Self::Sg => "security-gateway",
        }
    }
}

/// Environment variable with the name of a role's deployment. Without it, a command that waits for
/// an updated service could accept the status of the old one, which is about to stop.
pub const DEPLOYMENT: &str = "PCOIP_CMSG_DEPLOYMENT";

/// The deployment of this process; `None` outside Docker Swarm.
#[must_use]
pub fn deployment() -> Option<String> {
    std::env::var(DEPLOYMENT).ok()
}

/// `reason` of a role that has just started and has not checked its peers yet.
pub const NOT_LOOKED: &str = "not checked yet";
/// `reason` of a draining role.
pub const DRAINING: &str = "draining: no new sessions are accepted";
/// `reason` of a Connection Manager that cannot use the broker, as documented by the vendor.
pub const NO_BROKER: &str = "Cannot communicate with broker";

/// `reason` of a Connection Manager without a ready gateway, as documented by the vendor.
pub const NO_GATEWAY: &str = "Security Gateway is enabled but does not respond";

/// The response to `GET /status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The role that responds.
    pub role: Role,
    /// Version of the daemon.
    pub version: String,
    /// Process id, in the namespace of the role.
    pub pid: u32,
    /// Whether the role accepts sessions; the same as `/health`.
    pub ready: bool,
    /// Why the role is not ready; `None` if it is.
    pub reason: Option<String>,
    /// The bound addresses, one for each listener.
    pub listens: Vec<Listen>,
    /// Current number of sessions, in use or not.
    pub sessions: usize,
    /// How many sessions are in use. `None` from daemons that do not count them.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// When the role last read its certificates and keys, in milliseconds since the Unix epoch: at
    /// its start or its last reload. `None` from daemons that only read them at their start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_read: Option<u64>,
    /// When it started, in milliseconds since 1970; a daemon of an earlier version does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Name of the deployment, in Docker Swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Dropped datagrams and refused clients since the start; gateway only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned_away: Option<TurnedAway>,
    /// Refused connections and requests since the start; Connection Manager only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unserved: Option<Unserved>,
    /// State of the connection broker; Connection Manager only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerStatus>,
    /// Failed log-ons; Connection Manager only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logons: Option<LogonCounts>,
    /// Sessions that gateways take over from each other; gateway with `Peer` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<FailoverStatus>,
}

/// Sessions in use and sessions that can be resumed. Their sum is [`Status::sessions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Sessions that users would lose if the role stopped.
    pub in_use: usize,
    /// Sessions without a user, kept so that their clients can resume them.
    pub resumable: usize,
}

/// A bound address of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// Name of the listener: `broker`, `http`, `pcoip` or `udp-source`.
    pub key: String,
    /// `tcp` or `udp`.
    pub transport: String,
    /// The address, with the port that the system assigned if the configuration has port 0.
    pub address: SocketAddr,
}

/// The response to `GET /connections`. From the Connection Manager: sessions being set up and
/// recent ones. From the gateway: sessions that it relays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// One entry for each session.
    pub connections: Vec<Connection>,
}

/// A session. Only the gateway reports traffic, only the Connection Manager exchanges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Connection {
    /// The session log id, which client, broker and agent log too.
    pub id: String,
    /// The stage of the session, for example `authenticated` or `connected`.
    pub state: String,
    /// Address of the client.
    pub client: Option<String>,
    /// Address of the agent.
    pub agent: Option<String>,
    /// Completed requests to other services, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// Relayed traffic so far; `None` from the Connection Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// Which gateway serves the session; gateway with `Peer` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
}

/// A completed request of the Connection Manager to another service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Name of the request: `hello`, `authenticate`, …, `launch-session`, `announce`.
    pub name: String,
    /// Duration in milliseconds, with fractions.
    pub ms: f64,
}

/// Traffic of one session through the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Datagrams from client to agent.
    pub udp_to_agent: Amount,
    /// Datagrams from agent to client.
    pub udp_to_client: Amount,
    /// Control bytes from client to agent, without TLS overhead.
    pub tcp_to_agent: u64,
    /// Control bytes from agent to client, without TLS overhead.
    pub tcp_to_client: u64,
}

/// A number of datagrams and their total size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amount {
    /// Number of datagrams.
    pub datagrams: u64,
    /// Total UDP payload in bytes.
    pub bytes: u64,
}

/// Upper bound of a response in bytes; real ones are much smaller. A gateway with very many sessions
/// lists all of them in `GET /connections`, and a Connection Manager its bans in `GET /bans`.
const LONGEST: usize = 1024 * 1024;
const LONGEST_LIST: usize = 64 * LONGEST;

/// File name of the supervisor's socket in the run directory.
pub const SUPERVISOR: &str = "supervise.sock";

/// Binds the socket of a role, and replaces the socket of a process that no longer exists.
///
/// # Errors
///
/// `AddrInUse` if a running process accepts connections on it; otherwise the error of the system
/// call.
pub fn bind(run: &Path, role: Role) -> io::Result<UnixListener> {
    bind_named(run, role.socket())
}

/// Binds the supervisor's socket.
///
/// # Errors
///
/// As for [`bind`].
pub fn bind_supervisor(run: &Path) -> io::Result<UnixListener> {
    bind_named(run, SUPERVISOR)
}

fn bind_named(run: &Path, name: &str) -> io::Result<UnixListener> {
    let folder = File::open(run)?;
    let path = through(&folder, name);
    match connect_at(&path, Duration::ZERO) {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if is_crowded(&error) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => std::fs::remove_file(&path)?,
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Requests a document from a role: `get::<Status>(run, Role::Cm, "/status", wait)`.
///
/// # Errors
///
/// The error of the system call, `TimedOut`, or `InvalidData` if the response is not the requested
/// document.
pub fn get<T: DeserializeOwned>(
    run: &Path,
    role: Role,
    path: &str,
    wait: Duration,
) -> io::Result<T> {
    read_answer(&exchange((run, role.socket()), &format!("GET {path}"), &[], wait)?)
}

/// Sends a command to a role: `tell(run, Role::Cm, "/reload", wait)`.
///
/// # Errors
///
/// The error of the system call, or `Other` with the role's message if it refuses.
pub fn tell(run: &Path, role: Role, path: &str, wait: Duration) -> io::Result<()> {
    let answer = exchange((run, role.socket()), &format!("POST {path}"), &[], wait)?;
    match split(&answer)? {
        (b"204", _) => Ok(()),
        (_, why) => Err(io::Error::other(String::from_utf8_lossy(why).into_owned())),
    }
}

/// A command to the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Start the role, and restart it whenever it exits.
    Start,
    /// Stop the role, and do not restart it.
    Stop,
}

/// Sends a command to the supervisor. Returns from [`Order::Stop`] when the role has exited.
///
/// # Errors
///
/// The error of the system call, or `InvalidData` if the supervisor refuses.
pub fn order(run: &Path, role: Role, order: Order, wait: Duration) -> io::Result<()> {
    let word = match order {
        Order::Start => "start",
        Order::Stop => "stop",
    };
    let name = match role {
        Role::Cm => "cm",
        Role::Sg => "sg",
    };
    body(&exchange((run, SUPERVISOR), &format!("POST /{word}/{name}"), &[], wait)?).map(drop)
}

/// Connects to a socket of the run directory, sends a request with a JSON body, which may be empty,
/// and reads the whole response.
fn exchange(
    (run, name): (&Path, &str),
    request: &str,
    body: &[u8],
    wait: Duration,
) -> io::Result<Vec<u8>> {
    let begun = Instant::now();
    // The deadline is for all of it, so slow single bytes do not extend it.
    let left = || wait.checked_sub(begun.elapsed()).filter(|left| !left.is_zero());
    let mut stream = connect_named(run, name, wait)?;
    stream.set_write_timeout(Some(left().ok_or(io::ErrorKind::TimedOut)?))?;
    let content = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
    };
    let head = format!("{request} HTTP/1.0\r\nHost: local\r\n{content}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let is_list = ["GET /connections", "GET /bans"].contains(&request);
    let longest = if is_list { LONGEST_LIST } else { LONGEST };
    loop {
        stream.set_read_timeout(Some(left().ok_or(io::ErrorKind::TimedOut)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if answer.len() + count > longest => {
                return Err(invalid(&format!("the answer is larger than {longest} bytes")));
            }
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Parses the JSON body of an HTTP response.
///
/// # Errors
///
/// `InvalidData` if the status is not 200, or the body is not a `T`.
pub fn read_answer<T: DeserializeOwned>(answer: &[u8]) -> io::Result<T> {
    serde_json::from_slice(body(answer)?).map_err(|error| invalid(&error.to_string()))
}

/// The body of a response with status 200.
fn body(answer: &[u8]) -> io::Result<&[u8]> {
    let (status, body) = split(answer)?;
    if status != b"200" {
        return Err(invalid(&format!("the answer is {}", String::from_utf8_lossy(status))));
    }
    Ok(body)
}

/// Splits a response into status and body.
fn split(answer: &[u8]) -> io::Result<(&[u8], &[u8])> {
    let head_end = answer.windows(4).position(|w| w == b"\r\n\r\n");
    let head_end = head_end.ok_or_else(|| invalid("the answer is not HTTP"))?;
    let (head, body) = answer.split_at(head_end + 4);
    Ok((head.split(|b| *b == b' ').nth(1).unwrap_or_default(), body))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests;
