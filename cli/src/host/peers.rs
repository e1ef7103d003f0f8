//! Asks all peers at once whether they answer, and those that speak HTTP what time it is.

use std::{
    fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant, SystemTime},
};

use cmsg_config::{
    cause,
    values::{ForGateway, HostPort},
};

use super::{broker, networks};
use crate::{
    installation::Runtime,
    wanted::{Registry, Wanted, values::Speaks},
};

/// For all peers together.
const WAIT: Duration = Duration::from_secs(5);
/// A lost datagram is sent again after this.
const DNS_WAIT: Duration = Duration::from_secs(2);
const DNS_TRIES: u32 = 2;
/// The system's own resolver asks no more.
const MOST_RESOLVERS: usize = 3;
/// The head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// What a peer is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Broker,
    LicenseServer,
    /// A gateway on another host, where it takes announcements.
    Gateway,
    Resolver,
    /// The registry that images come from.
    Registry,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerFact {
    /// What it is to us.
    pub(crate) kind: Kind,
    /// What it is called.
    pub(crate) name: String,
    /// Why it does not answer, or by how many seconds its clock is before ours, where it told.
    pub(crate) answer: Answer,
}

/// What a peer says.
type Answer = Result<Option<i64>, String>;

/// The host's clock as it was read once, and how long ago that was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    now: SystemTime,
    read: Instant,
}

/// Peers that were asked.
pub(super) struct Asked {
    clock: Clock,
    peers: Vec<(Kind, String, Receiver<Answer>)>,
}

impl Clock {
    /// Notes what the clock says at this instant.
    pub(super) fn read_at(now: SystemTime) -> Self {
        Self { now, read: Instant::now() }
    }
}

impl Asked {
    /// Asks the registry, and all peers of the wanted Connection Manager.
    pub(super) fn of(wanted: &Wanted, clock: Clock) -> Self {
        let mut asked = Self { clock, peers: Vec::new() };
        let registry = wanted.docker.registry.as_ref();
        // Who installs from a bundle is to see nobody asked but whom the flags name.
        let is_offline = wanted.docker.bundle.is_some();
        let asks_registry = wanted.place.runtime == Runtime::Swarm && !is_offline;
        let registry = registry.filter(|_| asks_registry);
        if let Some(at) = registry.and_then(Registry::peer) {
            asked.add(Kind::Registry, at.to_string(), &at, Speaks::Tcp);
        }
        let Some(manager) = &wanted.connection_manager else { return asked };
        asked.add(Kind::Broker, manager.broker.to_string(), &manager.broker.0, Speaks::Https);
        for server in &manager.license_servers {
            if let Some((at, speaks)) = server.peer() {
                asked.add(Kind::LicenseServer, server.to_string(), &at, speaks);
            }
        }
        for gateway in &manager.external_gateways {
            for at in ForGateway::controls_of(*gateway, &manager.controls) {
                asked.add(Kind::Gateway, at.to_string(), &at, Speaks::Https);
            }
        }
        if is_offline {
            return asked;
        }
        let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        for server in networks::resolvers(&text).into_iter().take(MOST_RESOLVERS) {
            let answers = in_thread(move |tell| {
                let _ = tell.send(ask_resolver(SocketAddr::new(server, 53)).map(|()| None));
            });
            asked.peers.push((Kind::Resolver, server.to_string(), answers));
        }
        asked
    }

    fn add(&mut self, kind: Kind, name: String, at: &HostPort, speaks: Speaks) {
        let (at, clock) = (at.clone(), self.clock);
        let answers = in_thread(move |tell| ask(&at, speaks, clock, tell));
        self.peers.push((kind, name, answers));
    }

    /// Waits for their answers.
    pub(super) fn answers(self) -> Vec<PeerFact> {
        let clock = self.clock;
        let fact = |(kind, name, answers): (Kind, String, Receiver<Answer>)| {
            let mut answer = Err(format!("no answer within {} seconds", WAIT.as_secs()));
            // The last one tells the most.
            while let Ok(next) = answers.recv_timeout(WAIT.saturating_sub(clock.read.elapsed())) {
                answer = next;
            }
            PeerFact { kind, name, answer }
        };
        self.peers.into_iter().map(fact).collect()
    }
}

/// Resolving a name has no time-out of its own, so whoever is slow is left behind in its thread.
fn in_thread(ask: impl FnOnce(&Sender<Answer>) + Send + 'static) -> Receiver<Answer> {
    let (tell, told) = channel();
    thread::spawn(move || ask(&tell));
    told
}

/// Tells that a peer answers as soon as it does, and then its time.
fn ask(at: &HostPort, speaks: Speaks, ours: Clock, tell: &Sender<Answer>) {
    let answer = match speaks {
        Speaks::Tcp => broker::connect(at).map(|_| None),
        Speaks::Http => broker::connect(at).map(|mut stream| {
            let _ = tell.send(Ok(None));
            skew(at, ours, &mut stream)
        }),
        Speaks::Https => broker::handshake(at).map(|(_, mut stream)| {
            let _ = tell.send(Ok(None));
            skew(at, ours, &mut stream)
        }),
    };
    let _ = tell.send(answer);
}

/// By how many seconds its clock is before ours.
fn skew(at: &HostPort, clock: Clock, stream: &mut (impl Read + Write)) -> Option<i64> {
    let asked = clock.read.elapsed();
    let head = head(at, stream).ok()?;
    // It told the time somewhere between.
    let ours = clock.now + (asked + clock.read.elapsed()) / 2;
    let theirs = date(&head)?;
    let seconds = |skew: Duration| i64::try_from(skew.as_secs()).ok();
    match theirs.duration_since(ours) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => seconds(behind.duration()).map(|seconds| -seconds),
    }
}

fn head(at: &HostPort, stream: &mut (impl Read + Write)) -> io::Result<Vec<u8>> {
    // In one piece: whoever answers a part and closes would have the answer thrown away.
    let request = format!("HEAD / HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while head.len() < MAX_HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => break,
            count => head.extend_from_slice(&part[..count]),
        }
    }
    Ok(head)
}

fn date(head: &[u8]) -> Option<SystemTime> {
    let text = String::from_utf8_lossy(head);
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim().to_owned())
    });
    httpdate::parse_http_date(&value?).ok()
}

/// Asks for the root's servers; any answer will do, a refusal too.
fn ask_resolver(server: SocketAddr) -> Result<(), String> {
    const ID: [u8; 2] = [0x50, 0x43];
    let query = [&ID[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]].concat();
    let told = |error: io::Error| cause::of_io(&error);
    let any: IpAddr =
        if server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).map_err(told)?;
    socket.connect(server).map_err(told)?;
    socket.set_read_timeout(Some(DNS_WAIT)).map_err(told)?;
    let mut answer = [0; 512];
    for _ in 0..DNS_TRIES {
        socket.send(&query).map_err(told)?;
        match socket.recv(&mut answer) {
            Ok(count) if count >= 12 && answer.starts_with(&ID) && answer[2] & 0x80 != 0 => {
                return Ok(());
            }
            Ok(_) => return Err("its answer is not a DNS message".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(cause::of_io(&error)),
        }
    }
    Err("no answer".to_owned())
}

#[cfg(test)]
mod tests;
