//! Announces sessions to a gateway like a Connection Manager: with signed tokens, on its unix
//! socket.

use std::{net::SocketAddrV4, path::Path};

use anyhow::{Context as _, bail};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use super::super::{
    network::GATEWAY_OUTSIDE,
    wire::{PORT, agent_ip},
};

/// A connection to a gateway's unix socket, for many announcements.
pub(super) struct Announcer {
    stream: BufReader<UnixStream>,
    relay: u8,
}

/// The tag of a session.
pub(super) fn tag(relay: u8, session: u32) -> String {
    format!("SCS1tag-of-the-benchmark-{relay:03}-{session:06}")
}

impl Announcer {
    pub(super) async fn connect(socket: &Path, relay: u8) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).await;
        let stream = stream.with_context(|| format!("connecting to `{}`", socket.display()))?;
        Ok(Self { stream: BufReader::new(stream), relay })
    }

    pub(super) async fn announce(&mut self, key: &EncodingKey, session: u32) -> anyhow::Result<()> {
        let announcement = Announcement {
            agent: SocketAddrV4::new(agent_ip(session), PORT),
            tag: tag(self.relay, session),
            id: format!("0b1c2d3e-0000-4000-8000-{session:012x}"),
        };
        let token = announcement.token(key, &format!("{}-{session}", self.relay))?;
        let body = announcement.xml();
        let request = format!(
            "POST /pcoip-sg/xml HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let written = self.stream.get_mut().write_all(request.as_bytes()).await;
        written.context("announcing a session")?;
        let (status, answer) = self.answer().await.context("reading the gateway's answer")?;
        if status != 200 {
            bail!("the gateway refused a session: {status} {answer}");
        }
        Ok(())
    }

    async fn answer(&mut self) -> anyhow::Result<(u16, String)> {
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            match line.trim_end() {
                "" => break,
                line if status.is_none() => {
                    status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
                }
                line => {
                    let (name, value) = line.split_once(':').unwrap_or_default();
                    if name.eq_ignore_ascii_case("content-length") {
                        length = value.trim().parse().context("`Content-Length`")?;
                    }
                }
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((status.context("there is no status")?, String::from_utf8_lossy(&body).into_owned()))
    }
}

struct Announcement {
    agent: SocketAddrV4,
    tag: String,
    id: String,
}

impl Announcement {
    fn xml(&self) -> String {
        let Self { agent, tag, id } = self;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-sg version=\"1.0\"><add-connection>\
             <ip-address>{}</ip-address><tcp-port>{}</tcp-port><ctag>{tag}</ctag>\
             <connection-id>{id}</connection-id></add-connection></pcoip-sg>",
            agent.ip(),
            agent.port()
        )
    }

    fn token(&self, key: &EncodingKey, id: &str) -> anyhow::Result<String> {
        let at = get_current_timestamp();
        let claims = json!({
            "aud": GATEWAY_OUTSIDE,
            "iat": at,
            "exp": at + 60,
            "jti": id,
            "agent": self.agent.to_string(),
            "tag": format!("{:x}", HexDigest(Sha256::digest(self.tag.as_bytes()).as_slice())),
            "connection": self.id,
        });
        encode(&Header::new(Algorithm::ES256), &claims, key).context("signing an announcement")
    }
}

struct HexDigest<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexDigest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
