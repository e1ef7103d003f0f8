//! The agent's end of one control connection.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::sessions::SessionId;
use super::{Event, Requires, Shared};
use crate::control::{Control, ControlError};
use crate::events::with_causes;
use crate::layout::{Message, Terms};
use crate::traffic::Direction;

/// Serves the connection until either side closes it, and returns the reason.
pub(super) async fn hold(shared: Arc<Shared>, stream: TlsStream<TcpStream>, peer: SocketAddr) {
    let sni = stream.get_ref().1.server_name().map(str::to_owned);
    shared.events.emit(Event::Connected { peer, sni });
    let traffic = Arc::clone(&shared.traffic);
    let control = Control::new(stream, shared.options.layout, Direction::ToClient, traffic);
    let mut conversation = Conversation { shared: &shared, control, peer, session: None };
    let reason = match conversation.run().await {
        Ok(reason) => reason.to_owned(),
        Err(error) => {
            if let ControlError::Malformed(error) = error {
                shared.violation(error.to_string());
            }
            with_causes(&error)
        }
    };
    conversation.control.close().await;
    if let Some(session) = conversation.session {
        let mut sessions = shared.sessions();
        sessions.disconnect(session);
        if shared.options.requires == Requires::Unbroken {
            sessions.end(session);
        }
    }
    let session_id = conversation.session.map(SessionId::decimal);
    shared.events.emit(Event::Closed { peer, session_id, reason });
}

struct Conversation<'a> {
    shared: &'a Shared,
    control: Control<TlsStream<TcpStream>>,
    peer: SocketAddr,
    session: Option<SessionId>,
}

impl Conversation<'_> {
    async fn run(&mut self) -> Result<&'static str, ControlError> {
        while let Some(message) = self.control.receive().await? {
            match (message, self.session) {
                (Message::Invite(tag, terms), None) => {
                    let Some(session) = self.shared.sessions().by_tag(&tag) else {
                        self.control.send(&Message::NotAcceptable).await?;
                        return Ok(self.violation("a session tag that was never handed out"));
                    };
                    if self.shared.sessions().has_ended(session) {
                        self.control.send(&Message::NotAcceptable).await?;
                        return Ok("the session has ended");
                    }
                    self.accept(session, &terms).await?;
                }
                (Message::Ping, Some(_)) => self.control.send(&Message::Pong).await?,
                (Message::Bye, _) => {
                    self.control.send(&Message::ByeOk).await?;
                    return Ok("bye");
                }
                _ => return Ok(self.violation("a control message at the wrong time")),
            }
        }
        Ok("end of stream")
    }

    async fn accept(&mut self, session: SessionId, invite: &Terms) -> Result<(), ControlError> {
        let layout = self.control.layout();
        let answer = Terms::fresh(layout.spis_in_answer());
        if let Some(flow) = layout.flow(invite, &answer) {
            self.shared.sessions().open(session, flow);
        }
        self.session = Some(session);
        self.shared.sessions().connect(session);
        let session_id = session.decimal();
        self.shared.events.emit(Event::TagOk { peer: self.peer, session_id });
        self.control.send(&Message::InviteOk(answer)).await
    }

    fn violation(&self, what: &'static str) -> &'static str {
        self.shared.violation(what);
        what
    }
}
