//! One client, which logs on again and again.

use std::{
    net::SocketAddr,
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    load::Mode,
    messages::Step,
    wire::{Reader, message},
};

pub(super) struct Client {
    mode: Mode,
    to: SocketAddr,
    connector: TlsConnector,
    connection: Option<(TlsStream<TcpStream>, Reader)>,
    /// Makes the log ids of the client's sessions unique.
    number: u64,
}

/// How long a log-on took, and its `allocate-resource`.
#[derive(Clone, Copy)]
pub(super) struct Took {
    pub(super) whole: Duration,
    pub(super) allocate: Duration,
}

impl Client {
    pub(super) fn new(mode: Mode, to: SocketAddr, connector: TlsConnector, number: u64) -> Self {
        Self { mode, to, connector, connection: None, number: number << 32 }
    }

    pub(super) async fn log_on(&mut self) -> anyhow::Result<Took> {
        self.number += 1;
        let logged_on = self.steps(Step::Bye).await;
        if logged_on.is_err() || !self.mode.keeps_connection() {
            self.connection = None;
        }
        logged_on
    }

    /// Logs on, and keeps the session and the connection after this step.
    pub(super) async fn log_on_until(&mut self, last: Step) -> anyhow::Result<()> {
        self.steps(last).await.map(drop)
    }

    pub(super) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Whether the server has neither closed the connection nor sent anything unexpected.
    pub(super) fn is_connected(&self) -> bool {
        let Some((stream, _)) = &self.connection else { return false };
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(stream.get_ref().0.as_raw_fd(), &mut [0], flags) == Err(Errno::EAGAIN)
    }

    async fn steps(&mut self, last: Step) -> anyhow::Result<Took> {
        let started = Instant::now();
        let (mut cookie, mut allocate) = (None, Duration::ZERO);
        for step in Step::ALL {
            if step == Step::Allocate && !self.mode.allocates() {
                continue;
            }
            if self.mode.connects_for_each_request() {
                self.connection = None;
            }
            let asked = Instant::now();
            let answer = self.ask(step, cookie.as_deref()).await;
            let set = answer.with_context(|| format!("sending {step:?}"))?;
            if step == Step::Allocate {
                allocate = asked.elapsed();
            }
            cookie = cookie.or(set);
            if step == last {
                break;
            }
        }
        Ok(Took { whole: started.elapsed(), allocate })
    }

    /// Sends a request, and returns the cookie in the answer.
    async fn ask(&mut self, step: Step, cookie: Option<&str>) -> anyhow::Result<Option<String>> {
        let mut fields = format!(
            "Host: localhost\r\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0)\r\n\
             Connection: Keep-Alive\r\nCLIENT-LOG-ID: 0b1c2d3e-0000-4000-{:04x}-{:012x}\r\n",
            self.number >> 48,
            self.number & 0xffff_ffff_ffff,
        );
        if let Some(cookie) = cookie {
            fields.push_str(&format!("Cookie: JSESSIONID={cookie}\r\n"));
        }
        let request = message("POST /pcoip-broker/xml HTTP/1.1", &fields, &step.request());
        if self.connection.is_none() {
            let stream = TcpStream::connect(self.to).await.context("connecting")?;
            stream.set_nodelay(true)?;
            let stream = self.connector.connect("localhost".try_into()?, stream).await;
            self.connection = Some((stream.context("TLS handshake")?, Reader::default()));
        }
        let (stream, reader) = self.connection.as_mut().context("there is no connection")?;
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let answer = reader.next(stream).await?.context("the connection ended")?;
        if !answer.head.starts_with("HTTP/1.1 200 ") || !answer.body.contains(step.expected()) {
            bail!("unexpected answer: {} {}", answer.head.trim(), answer.body);
        }
        let set = answer.head.split_once("JSESSIONID=").and_then(|(_, rest)| rest.get(..32));
        Ok(set.map(str::to_owned))
    }
}
