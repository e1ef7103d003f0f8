//! Keeps a session open: pings and datagrams continue, and a lost control connection is replaced.

use std::iter;
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::error::Error;
use super::session::Session;
use super::{ControlUse, Event};
use crate::control::ControlError;
use crate::events::{Events, milliseconds_since};
use crate::layout::Message;

/// What happens while a session is held.
enum Happening {
    TimeToPing,
    TimeToSend,
    Datagram(Result<u32, Error>),
    Control(Result<Option<Message>, ControlError>),
    Over,
}

/// Time of the last message and the last datagram.
struct Heard {
    datagram: Instant,
    pong: Instant,
}

impl Session<'_> {
    /// Keeps the session for the configured time. Datagrams must flow at the end.
    pub(super) async fn hold(&mut self, events: &Events<Event>) -> Result<(), Error> {
        let over = Instant::now() + self.way.options.hold;
        if self.way.options.control == ControlUse::Close {
            self.control.close().await;
            self.has_control = false;
        }
        let (mut pings, mut sends) = (every(PING), every(SEND));
        let mut heard = Heard { datagram: Instant::now(), pong: Instant::now() };
        loop {
            let happening = tokio::select! {
                () = sleep_until(over.into()) => Happening::Over,
                _ = pings.tick(), if self.has_control => Happening::TimeToPing,
                _ = sends.tick() => Happening::TimeToSend,
                received = self.channel.receive() => Happening::Datagram(received),
                message = self.control.receive(), if self.has_control => {
                    Happening::Control(message)
                }
            };
            let lost = match happening {
                Happening::Over => break,
                Happening::TimeToPing => !self.ping(heard.pong).await,
                Happening::TimeToSend => {
                    self.channel.send_next().await;
                    false
                }
                Happening::Datagram(index) => {
                    index?;
                    self.end_silence(&mut heard);
                    false
                }
                Happening::Control(Ok(Some(Message::Pong))) => {
                    heard.pong = Instant::now();
                    false
                }
                Happening::Control(Ok(Some(_))) => return Err(Error::ControlOrder),
                Happening::Control(Err(ControlError::Malformed(error))) => {
                    return Err(ControlError::from(error).into());
                }
                Happening::Control(Ok(None) | Err(_)) => true,
            };
            if lost {
                self.lose_control(events).await?;
                heard.pong = Instant::now();
            }
        }
        let flowing = self.exchange(LAST_DATAGRAMS).await;
        self.end_silence(&mut heard);
        flowing
    }

    /// The control connection was lost.
    async fn lose_control(&mut self, events: &Events<Event>) -> Result<(), Error> {
        match self.way.options.control {
            ControlUse::Reconnect => self.resume(events).await,
            ControlUse::Continue | ControlUse::Close => {
                self.has_control = false;
                Ok(())
            }
            ControlUse::End => Err(Error::ControlEnded),
        }
    }

    /// Sends a ping, and returns whether the peer seems alive.
    async fn ping(&mut self, last_pong: Instant) -> bool {
        let sent = timeout(PATIENCE, self.control.send(&Message::Ping)).await;
        matches!(sent, Ok(Ok(()))) && last_pong.elapsed() < PATIENCE
    }

    fn end_silence(&mut self, heard: &mut Heard) {
        let silence = milliseconds_since(heard.datagram);
        self.record.silence_ms = self.record.silence_ms.max(silence);
        heard.datagram = Instant::now();
    }

    /// Sends the tag on new control connections until one is accepted, to the former gateway and
    /// all others in turn.
    async fn resume(&mut self, events: &Events<Event>) -> Result<(), Error> {
        let lost = Instant::now();
        let former = self.way.target.ip;
        let others = self.way.options.alternates.iter().copied().filter(|other| *other != former);
        let mut turns = iter::once(former).chain(others).cycle();
        let (gateway, (control, flow)) = loop {
            let gateway = turns.next().unwrap_or(former);
            let error = match timeout(PATIENCE, self.way.open(gateway)).await {
                Ok(Ok(opened)) => break (gateway, opened),
                Ok(Err(error)) => error,
                Err(_) => Error::Timeout,
            };
            if lost.elapsed() >= RESUME {
                return Err(Error::NotResumed(Box::new(error)));
            }
            sleep(AGAIN).await;
        };
        if gateway != former {
            self.channel.move_to(self.way.at(gateway)).await?;
            self.way.target.ip = gateway;
        }
        self.control = control;
        self.channel.switch(flow);
        self.record.resumed += 1;
        events.emit(Event::Resumed { ms: milliseconds_since(lost) });
        Ok(())
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

const PING: Duration = Duration::from_millis(100);
const SEND: Duration = Duration::from_millis(20);
/// How long the peer may be silent on the control connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to try to open another control connection, and how often.
const RESUME: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(100);
/// How many datagrams must be answered at the end.
const LAST_DATAGRAMS: u32 = 20;
