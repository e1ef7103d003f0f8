//! The client's PCoIP session: a control connection that shows the tag, and a data channel.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::channel::Channel;
use super::error::{Error, Fault};
use super::{Record, SessionOptions, Target, source};
use crate::control::Control;
use crate::layout::{Flow, Message, Terms};
use crate::tls::{self, Connectors};
use crate::traffic::{Direction, Traffic};

/// A session that is open.
pub(super) struct Session<'a> {
    pub(super) way: Way<'a>,
    pub(super) control: Control<TlsStream<TcpStream>>,
    /// Whether the control connection is in use.
    pub(super) has_control: bool,
    pub(super) channel: Channel,
    pub(super) record: &'a mut Record,
}

/// What is needed to open a session, and to resume it.
pub(super) struct Way<'a> {
    pub(super) options: &'a SessionOptions,
    pub(super) connectors: &'a Connectors,
    pub(super) traffic: &'a Arc<Traffic>,
    pub(super) target: Target,
}

impl<'a> Session<'a> {
    /// Opens a session, and checks that the peer responds.
    pub(super) async fn open(way: Way<'a>, record: &'a mut Record) -> Result<Self, Error> {
        let (control, flow) = way.open(way.target.ip).await?;
        let traffic = Arc::clone(way.traffic);
        let channel = Channel::open(way.at(way.target.ip), way.options, flow, traffic).await?;
        let mut session = Self { way, control, has_control: true, channel, record };
        for _ in 0..PINGS {
            session.control.send(&Message::Ping).await?;
            session.expect(&Message::Pong).await?;
        }
        Ok(session)
    }

    /// Exchanges that many datagrams with the agent.
    pub(super) async fn exchange(&mut self, count: u32) -> Result<(), Error> {
        self.channel.exchange(count, self.record).await
    }

    /// Ends the session. Responses to pings may still be in transit.
    pub(super) async fn bye(&mut self) -> Result<(), Error> {
        if !self.has_control {
            return Ok(());
        }
        self.control.send(&Message::Bye).await?;
        loop {
            match self.control.receive().await?.ok_or(Error::ControlEnded)? {
                Message::Pong => {}
                Message::ByeOk => break,
                _ => return Err(Error::ControlOrder),
            }
        }
        self.control.close().await;
        Ok(())
    }

    async fn expect(&mut self, expected: &Message) -> Result<(), Error> {
        let message = self.control.receive().await?.ok_or(Error::ControlEnded)?;
        if message == *expected { Ok(()) } else { Err(Error::ControlOrder) }
    }
}

impl Way<'_> {
    /// Opens a control connection to a gateway, sends the tag, and negotiates a flow.
    pub(super) async fn open(
        &self,
        gateway: IpAddr,
    ) -> Result<(Control<TlsStream<TcpStream>>, Flow), Error> {
        let stream = self.connect(self.at(gateway)).await?;
        let layout = self.options.layout;
        let traffic = Arc::clone(self.traffic);
        let mut control = Control::new(stream, layout, Direction::ToAgent, traffic);
        let terms = Terms::fresh(layout.spis_in_invite());
        control.send(&Message::Invite(self.target.tag.clone(), terms.clone())).await?;
        match control.receive().await?.ok_or(Error::ControlEnded)? {
            Message::InviteOk(answer) => {
                let flow = layout.flow(&terms, &answer).ok_or(Error::ControlOrder)?;
                Ok((control, flow))
            }
            Message::NotAcceptable => Err(Error::NotAccepted),
            _ => Err(Error::ControlOrder),
        }
    }

    async fn connect(&self, address: SocketAddr) -> Result<TlsStream<TcpStream>, Error> {
        let failed = |source| Error::Connect { address: address.to_string(), source };
        let stream = source::connect(self.options.source, address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let name = tls::server_name(&self.target.sni).ok_or(Fault::Field("sni"))?;
        let failed = |source| Error::Handshake { address: address.to_string(), source };
        self.connectors.target.connect(name, stream).await.map_err(failed)
    }

    /// The address of a gateway for TCP and UDP.
    pub(super) fn at(&self, gateway: IpAddr) -> SocketAddr {
        SocketAddr::new(gateway, self.target.port)
    }
}

const PINGS: usize = 3;

#[cfg(test)]
mod tests;
