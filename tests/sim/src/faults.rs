//! Faults that a test makes a simulator play: each is played once, at the next matching request.
//! All requests are recorded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::http::message::{Request, Response};

/// A fault that a peer must handle.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Sends these bytes instead of a response, and closes the connection.
    Bytes(Vec<u8>),
    /// Sends this document with status 200.
    Document(String),
    /// Replaces a part of its own answer.
    Change(String, String),
    /// Gives its own answer with another status.
    Status(u16),
    /// Sends nothing until the peer closes the connection.
    Silence,
    /// Closes the connection without a response.
    HangUp,
    /// Closes the connection in the middle of the body.
    Cut,
    /// Sends a body of this many bytes.
    Flood(u64),
    /// Responds normally, and closes the connection without announcing it.
    Close,
}

/// The session cookie that brokers set.
const COOKIE: &str = "JSESSIONID";

/// The pending faults and the recorded requests.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    plan: Mutex<Vec<(String, Fault)>>,
    heard: Mutex<Vec<String>>,
    cookies: Mutex<Vec<String>>,
    held: watch::Sender<usize>,
}

impl Fault {
    /// Says this message with status 200, under the broker's root.
    #[must_use]
    pub fn broker_says(message: &str) -> Self {
        Self::Document(format!("<pcoip-broker version=\"2.1\">{message}</pcoip-broker>"))
    }

    /// Says this launch's outcome with status 200, under the agent's root.
    #[must_use]
    pub fn agent_says(outcome: &str) -> Self {
        Self::Document(format!(
            "<pcoip-agent version=\"1.0\"><launch-session-resp>{outcome}</launch-session-resp>\
             </pcoip-agent>"
        ))
    }
}

impl Faults {
    /// Plays the fault at the next request with that message.
    pub fn next(&self, message: &str, fault: Fault) {
        lock(&self.0.plan).push((message.to_owned(), fault));
    }

    /// The bodies of all requests with that message, in their order.
    #[must_use]
    pub fn heard(&self, message: &str) -> Vec<String> {
        let heard = lock(&self.0.heard);
        heard.iter().filter(|body| has(body, message)).cloned().collect()
    }

    /// The session cookies of all requests, in their order.
    #[must_use]
    pub fn cookies(&self) -> Vec<String> {
        lock(&self.0.cookies).clone()
    }

    /// Waits until exactly this many requests are blocked by [`Fault::Silence`].
    pub async fn held(&self, count: usize) {
        let mut held = self.0.held.subscribe();
        // The sender lives as long as `self`.
        let _ = held.wait_for(|now| *now == count).await;
    }

    /// Records a request, and returns the fault for it.
    pub(crate) fn take(&self, request: &Request) -> Option<Fault> {
        if request.body.is_empty() {
            return None;
        }
        lock(&self.0.heard).push(request.body.clone());
        let cookies = request.headers.cookies(COOKIE);
        lock(&self.0.cookies).extend(cookies.into_iter().map(str::to_owned));
        let mut plan = lock(&self.0.plan);
        let at = plan.iter().position(|(message, _)| has(&request.body, message))?;
        Some(plan.remove(at).1)
    }

    /// Plays a fault, and returns whether the connection continues.
    pub(crate) async fn play<S>(&self, fault: Fault, stream: &mut S, own: Response) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (bytes, goes_on) = match fault {
            Fault::Bytes(bytes) => (bytes, false),
            Fault::Document(body) => (Response::xml(200, body).render().into(), true),
            Fault::Change(part, with) => {
                let body = own.body.replace(&part, &with);
                (Response { body, ..own }.render().into(), true)
            }
            Fault::Status(status) => (Response { status, ..own }.render().into(), true),
            Fault::Silence => {
                self.hold(stream).await;
                return false;
            }
            Fault::HangUp => return false,
            Fault::Cut => {
                let mut text = own.render();
                text.truncate(text.len() - own.body.len() / 2);
                (text.into(), false)
            }
            Fault::Flood(bytes) => {
                flood(stream, bytes).await;
                return false;
            }
            Fault::Close => (own.render().into(), false),
        };
        let sent = stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok();
        sent && goes_on
    }

    async fn hold<S: AsyncRead + Unpin>(&self, stream: &mut S) {
        let _held = Held::new(&self.0.held);
        let mut bytes = [0; 256];
        while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {}
    }
}

/// A blocked request; dropping it decrements the count.
struct Held<'a>(&'a watch::Sender<usize>);

impl<'a> Held<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Sends until everything is sent or the peer closes the connection.
async fn flood<S: AsyncWrite + Unpin>(stream: &mut S, bytes: u64) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {bytes}\r\n\r\n"
    );
    let part = [b' '; 16 * 1024];
    let mut left = bytes;
    let mut sent = stream.write_all(head.as_bytes()).await;
    while left > 0 && sent.is_ok() {
        let now = left.min(part.len() as u64);
        sent = stream.write_all(&part[..usize::try_from(now).unwrap_or(part.len())]).await;
        left -= now;
    }
}

fn has(body: &str, message: &str) -> bool {
    let follows = |rest: &str| rest.starts_with([' ', '>', '/', '\t']);
    body.split('<').any(|tag| tag.strip_prefix(message).is_some_and(follows))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
