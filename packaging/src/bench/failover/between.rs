//! What gateways send to each other.

use std::{
    io::{Read as _, Write as _},
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use cmsg_config::socket::{self, Role};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    network::{OUTSIDE, SHARED, Side},
    site::{GATEWAYS, Site},
};

/// How much, and in which time.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Between {
    pub(super) seconds: f64,
    /// From one gateway to one peer: the most of all such pairs.
    pub(super) bytes: u64,
}

/// Sessions in a snapshot.
const SESSIONS: usize = 5000;

/// Seconds of coming and going.
const CHURN: u32 = 30;

/// How long clients may connect again to a session that their bye has ended, and how many seconds
/// pass until as many sessions go as come.
pub(super) const RESUME: u32 = 10;

/// One session a second logs on and ends.
pub(super) fn churn(site: &Site) -> anyhow::Result<Between> {
    let started = Instant::now();
    let (mut clients, mut before) = (Vec::new(), None);
    for second in 1..=2 * RESUME + CHURN {
        if second == 2 * RESUME {
            before = Some((Instant::now(), sent_by_all(site)?));
        }
        let mut client = site.client();
        client.args(["--hold", "1"]).stdout(Stdio::null());
        clients.push(client.spawn().context("starting a client")?);
        let next = started + Duration::from_secs(second.into());
        sleep(next.saturating_duration_since(Instant::now()));
    }
    let (began, before) = before.context("no sessions")?;
    let seconds = began.elapsed().as_secs_f64();
    let after = sent_by_all(site)?;
    for mut client in clients {
        if !client.wait().context("waiting for a client")?.success() {
            bail!("a client failed");
        }
    }
    let bytes = before.iter().zip(&after).map(|(before, after)| after - before).max();
    Ok(Between { seconds, bytes: bytes.unwrap_or_default() })
}

/// Bytes that every gateway has sent to each peer so far.
fn sent_by_all(site: &Site) -> anyhow::Result<Vec<u64>> {
    let mut all = Vec::new();
    for gateway in GATEWAYS {
        all.extend(sent(site, gateway)?);
    }
    Ok(all)
}

/// The last gateway starts again without a journal.
pub(super) fn resync(site: &mut Site, [knows, starts]: [u8; 2]) -> anyhow::Result<Between> {
    let key = site.signing_key()?;
    for number in 0..SESSIONS {
        grant(site, knows, &token(&key, number)?)?;
    }
    let standing = |site: &Site, host| {
        let failover = site.status(host, Role::Sg).and_then(|status| status.failover);
        failover.map_or(0, |failover| failover.standing_by)
    };
    site.kill(starts)?;
    site.forget(starts)?;
    let before = sent(site, knows)?.iter().sum::<u64>();
    site.serve(starts)?;
    let started = Instant::now();
    while standing(site, starts) < SESSIONS {
        if started.elapsed() > Duration::from_secs(30) {
            bail!("the gateway knows {} sessions", standing(site, starts));
        }
        sleep(Duration::from_millis(10));
    }
    let seconds = started.elapsed().as_secs_f64();
    let bytes = sent(site, knows)?.iter().sum::<u64>() - before;
    Ok(Between { seconds, bytes })
}

/// Bytes sent to each peer so far.
fn sent(site: &Site, host: u8) -> anyhow::Result<Vec<u64>> {
    let status = site.status(host, Role::Sg).and_then(|status| status.failover);
    let failover = status.context("the gateway does not report its peers")?;
    Ok(failover.peers.iter().map(|peer| peer.sent).collect())
}

fn token(key: &EncodingKey, number: usize) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let tag = format!("SCS1tag-of-session-{number}");
    let digest: String = Sha256::digest(&tag).iter().map(|byte| format!("{byte:02x}")).collect();
    let claims = json!({
        "aud": [Side::Wan.address(SHARED), Side::Wan.address(GATEWAYS[2])],
        "iat": now,
        "exp": now + 30 * 24 * 3600,
        "jti": format!("{number:032x}"),
        "agent": format!("{}:4172", Side::Lan.address(OUTSIDE)),
        "hostname": "desktop.example.com",
        "tag": format!("{}:{digest}", tag.len()),
        "connection": format!("0b1c2d3e-0000-4000-8000-{number:012x}"),
        "session-key": format!("{number:032x}"),
    });
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("pcoip-sg-grant+jwt".to_owned());
    encode(&header, &claims, key).context("signing a grant")
}

fn grant(site: &Site, host: u8, token: &str) -> anyhow::Result<()> {
    let mut stream = socket::connect(&site.run(host), Role::Sg).context("connecting")?;
    let length = token.len();
    write!(
        stream,
        "POST /pcoip-sg/grant HTTP/1.1\r\nHost: sg\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{token}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("sending a grant")?;
    if !answer.starts_with("HTTP/1.1 200 ") {
        bail!("the gateway refused a grant: {answer}");
    }
    Ok(())
}
