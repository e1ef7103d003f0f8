//! The client's requests to the broker or Connection Manager, over one HTTPS connection.

use std::net::{IpAddr, Ipv4Addr};

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::answers::{self, Dialog};
use super::error::{Error, Fault};
use super::{Event, Options, Target, messages, source};
use crate::events::Events;
use crate::http::HttpError;
use crate::http::body::{read_body, read_head};
use crate::http::message::{Headers, Request, Response};
use crate::tls::{self, Connectors};
use crate::xml;

/// The broker's side as the client sees it.
pub(super) struct Broker<'a> {
    options: &'a Options,
    events: &'a Events<Event>,
    connector: &'a TlsConnector,
    session_log_id: String,
    stream: Option<BufReader<TlsStream<TcpStream>>>,
    own_address: IpAddr,
    /// Whether its certificate was shown.
    is_known: bool,
    cookie: Option<String>,
    /// Whether its responses have the simulated broker's unknown parts.
    is_simulated: bool,
}

/// What is needed to continue on another connection.
#[derive(Debug)]
pub(super) struct Resumption {
    cookie: String,
    is_simulated: bool,
}

impl<'a> Broker<'a> {
    pub(super) fn new(
        options: &'a Options,
        events: &'a Events<Event>,
        connectors: &'a Connectors,
        session_log_id: &str,
    ) -> Self {
        Self {
            options,
            events,
            connector: &connectors.broker,
            session_log_id: session_log_id.to_owned(),
            stream: None,
            own_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            is_known: false,
            cookie: None,
            is_simulated: false,
        }
    }

    /// Continues an earlier conversation on another connection.
    pub(super) fn resume(&mut self, earlier: Resumption) {
        self.is_simulated = earlier.is_simulated;
        self.cookie = Some(earlier.cookie);
    }

    /// What [`Self::resume`] takes, once a session is open.
    pub(super) fn resumption(&self) -> Option<Resumption> {
        let cookie = self.cookie.clone()?;
        Some(Resumption { cookie, is_simulated: self.is_simulated })
    }

    pub(super) async fn hello(&mut self) -> Result<(), Error> {
        let hello = messages::hello(&self.options.connect.host);
        let simulated = self.exchange(hello, "hello-resp", answers::read_hello).await?;
        self.is_simulated = simulated;
        if self.cookie.is_none() {
            return Err(Fault::NoCookie.into());
        }
        Ok(())
    }

    /// Sends name and password, and returns the dialog to fill in, if there is one.
    pub(super) async fn authenticate(&mut self) -> Result<Option<Dialog>, Error> {
        let password = messages::password(&self.options.credentials);
        self.exchange(password, "authenticate-resp", answers::read_authentication).await
    }

    /// Fills in a dialog.
    pub(super) async fn second_factor(&mut self, dialog: &Dialog) -> Result<(), Error> {
        let passcode = self.options.passcode.as_ref().ok_or(Error::NoPasscode)?;
        let filled = messages::dialog(dialog, passcode);
        let next = self.exchange(filled, "authenticate-resp", answers::read_authentication).await?;
        match next {
            None => Ok(()),
            Some(_) => Err(Fault::Result("AUTH_SUCCESSFUL_AND_INCOMPLETE".to_owned()).into()),
        }
    }

    /// Returns the first of the resources.
    pub(super) async fn list(&mut self) -> Result<String, Error> {
        let name = "get-resource-list-resp";
        self.exchange(messages::resources(), name, answers::read_resources).await
    }

    /// Asks for a resource, and returns where its session is.
    pub(super) async fn allocate(&mut self, resource: &str) -> Result<Target, Error> {
        let message = messages::allocate(resource, self.own_address);
        self.exchange(message, "allocate-resource-resp", answers::read_target).await
    }

    pub(super) async fn bye(&mut self) -> Result<(), Error> {
        self.exchange(messages::bye(), "bye-resp", |_| Ok(())).await
    }

    /// Sends a message, and reads the answer that it must get.
    async fn exchange<T>(
        &mut self,
        message: String,
        name: &str,
        read: impl FnOnce(&xml::Element<'_>) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let request = self.request(message).render();
        let response = self.send(&request).await?;
        if let Some(cookie) = answers::check_headers(&response)? {
            self.cookie = Some(cookie);
        }
        let root = xml::parse(&response.body).map_err(Fault::from)?;
        let message = answers::message(&root, name)?;
        let answer = read(message)?;
        if self.is_simulated {
            answers::check_kept(message)?;
        }
        Ok(answer)
    }

    fn request(&self, body: String) -> Request {
        let mut headers = Headers::default()
            .with("Host", self.options.connect.to_string())
            .with("User-Agent", "Mozilla/4.0 (compatible; MSIE 6.0)")
            .with("Accept", "text/*, application/octet-stream")
            .with("Content-Type", "text/xml; charset=UTF-8")
            .with("Connection", "Keep-Alive")
            .with("Cache-Control", "no-cache")
            .with("CLIENT-LOG-ID", &self.session_log_id);
        if let Some(cookie) = &self.cookie {
            headers = headers.with("Cookie", format!("JSESSIONID={cookie}"));
        }
        let (method, path) = ("POST".to_owned(), "/pcoip-broker/xml".to_owned());
        Request { method, path, headers, body }
    }

    /// Sends a request, and again if the connection was closed in the meantime.
    async fn send(&mut self, request: &str) -> Result<Response, Error> {
        if let Some(mut stream) = self.stream.take() {
            match converse(&mut stream, request).await {
                Err(HttpError::Io(_) | HttpError::Truncated) => {}
                other => return self.keep(stream, other?),
            }
        }
        let mut stream = self.connect().await?;
        let response = converse(&mut stream, request).await?;
        self.keep(stream, response)
    }

    fn keep(
        &mut self,
        stream: BufReader<TlsStream<TcpStream>>,
        response: Response,
    ) -> Result<Response, Error> {
        if !response.headers.closes() {
            self.stream = Some(stream);
        }
        Ok(response)
    }

    async fn connect(&mut self) -> Result<BufReader<TlsStream<TcpStream>>, Error> {
        let endpoint = &self.options.connect;
        let failed = |source| Error::Connect { address: endpoint.to_string(), source };
        let address = (endpoint.host.as_str(), endpoint.port);
        let from = self.options.session.source;
        let stream = source::connect(from, address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        self.own_address = stream.local_addr().map_err(failed)?.ip();
        let name = tls::server_name(&endpoint.host).ok_or(Fault::Field("host"))?;
        let failed = |source| Error::Handshake { address: endpoint.to_string(), source };
        let stream = self.connector.connect(name, stream).await.map_err(failed)?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        if let (false, Some(certificate)) = (self.is_known, certificates.first()) {
            self.is_known = true;
            self.events.emit(Event::Certificate { sha256: tls::fingerprint(certificate) });
        }
        Ok(BufReader::new(stream))
    }
}

async fn converse(
    stream: &mut BufReader<TlsStream<TcpStream>>,
    request: &str,
) -> Result<Response, HttpError> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let head = read_head(stream).await?.ok_or(HttpError::Truncated)?;
    let status = head.start[1].parse().map_err(|_| HttpError::Head(head.start[1].clone()))?;
    let body = read_body(stream, &head.headers).await?;
    Ok(Response { status, headers: head.headers, body })
}
