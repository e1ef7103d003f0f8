//! A broker and hundreds of agents that answer at once.

use std::{
    cell::Cell,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
};

use anyhow::Context as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::spawn_local,
};
use tokio_rustls::TlsAcceptor;

use super::{
    identity::Certificates,
    messages,
    wire::{Reader, message},
};

/// The ports of the broker and of all agents.
pub(super) struct Fakes {
    pub(super) broker: u16,
    pub(super) agents: u16,
    pub(super) certificate: String,
}

/// Number of agents, each with an address of its own.
const AGENTS: u32 = 512;

impl Fakes {
    /// Starts them on the local task set.
    pub(super) async fn start(certificates: &Certificates) -> anyhow::Result<Self> {
        let next = Rc::new(Cell::new(0_u32));
        let broker = move |_, request: &str| {
            next.set((next.get() + 1) % AGENTS);
            let [_, _, high, low] = next.get().to_be_bytes();
            messages::broker(request, Ipv4Addr::new(127, 9, high, low))
        };
        let launched = Rc::new(Cell::new(0));
        let agent = move |own, _: &str| {
            launched.set(launched.get() + 1);
            Some(messages::agent(own, launched.get()))
        };
        Ok(Self {
            broker: serve(certificates.acceptor()?, Ipv4Addr::LOCALHOST, Rc::new(broker)).await?,
            agents: serve(certificates.acceptor()?, Ipv4Addr::UNSPECIFIED, Rc::new(agent)).await?,
            certificate: certificates.sha256(),
        })
    }
}

/// Answers requests on a free port, which is returned.
async fn serve<F>(acceptor: TlsAcceptor, address: Ipv4Addr, answer: Rc<F>) -> anyhow::Result<u16>
where
    F: Fn(SocketAddr, &str) -> Option<String> + 'static,
{
    let listener = TcpListener::bind((address, 0)).await.context("binding a port")?;
    let port = listener.local_addr()?.port();
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), Rc::clone(&answer));
            // A server that closes a connection is not an error here.
            spawn_local(async move { converse(stream, acceptor, &*answer).await.ok() });
        }
    });
    Ok(port)
}

async fn converse(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    answer: &impl Fn(SocketAddr, &str) -> Option<String>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let own = stream.local_addr()?;
    let mut stream = acceptor.accept(stream).await?;
    let mut reader = Reader::default();
    while let Some(request) = reader.next(&mut stream).await? {
        let response = match answer(own, &request.body) {
            Some(body) => message("HTTP/1.1 200 OK", COOKIE, &body),
            // Health checks.
            None => message("HTTP/1.1 404 Not Found", "", ""),
        };
        stream.write_all(response.as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

const COOKIE: &str = "Set-Cookie: JSESSIONID=0123456789abcdef0123456789abcdef; Path=/; Secure\r\n";
