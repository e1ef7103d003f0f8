//! Handles one request of a client: checks its session, asks the broker, and builds the response.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use cmsg_proto::{
    SessionId, SessionKey,
    broker::{
        Authenticate, Authentication, BrokerCookies, ClientCookie, Hello, Invalid, Refusal,
        Request, RequestKind, Response, ResponseKind, redact,
        session::{Opening, Session},
    },
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    broker::Envelope,
    cookies, outage,
    random::random,
    request_log::{BROKER, CLIENT, RequestLog, as_error, document, record},
    shared::Shared,
    upstream::Reply,
};
use crate::{
    clock,
    https::{
        Client,
        bodies::{Account, Buffer, Kept},
    },
};

/// A client's HTTP request.
pub(super) struct Asked {
    pub(super) body: Buffer,
    /// The account that the memory of responses counts for.
    pub(super) account: Account,
    /// The session cookie in the request.
    pub(super) cookie: Option<ClientCookie>,
    /// The session log id in the request.
    pub(super) log_id: Option<SessionId>,
    /// Set before the request is aborted because this host cannot handle it at the moment.
    pub(super) shed: AtomicBool,
}

/// The response to a client.
pub(super) struct Answer {
    /// Name of the message.
    pub(super) name: String,
    pub(super) document: String,
    /// The cookie of a new session.
    pub(super) cookie: Option<ClientCookie>,
    /// The memory of the document, until it is sent.
    pub(super) kept: Option<Kept>,
    /// The result of a logon step, if the broker has decided.
    pub(super) authentication: Option<Authentication>,
    /// How long to wait before the response is sent.
    pub(super) delay: Duration,
}

impl Answer {
    pub(super) fn new(name: &str, document: String) -> Self {
        Self {
            name: name.to_owned(),
            document,
            cookie: None,
            kept: None,
            authentication: None,
            delay: Duration::ZERO,
        }
    }
}

pub(super) struct Exchange<'a> {
    pub(super) shared: &'a Shared,
    pub(super) client: Client,
    pub(super) request: Request<'a>,
    pub(super) log: RequestLog,
    pub(super) account: &'a Account,
    pub(super) shed: &'a AtomicBool,
}

/// Answers a request.
///
/// # Errors
///
/// If it is not a document of the broker protocol.
pub(super) async fn answer(
    shared: &Shared,
    client: Client,
    asked: &Asked,
) -> Result<Answer, Invalid> {
    let started = Instant::now();
    let request = Request::parse(&asked.body)?;
    let shown = asked.cookie.as_ref().and_then(|cookie| shared.session(cookie));
    let log = RequestLog {
        session: shown.as_ref().map(|s| s.id.clone()).or_else(|| asked.log_id.clone()),
        number: shown.as_ref().map(|s| s.number),
        connection: client.connection,
        client: client.peer,
    };
    let (account, shed) = (&asked.account, &asked.shed);
    let mut exchange = Exchange { shared, client, request, log, account, shed };
    let answered = match (exchange.request.kind(), &shown) {
        (RequestKind::Hello(hello), previous) => {
            let hello = hello.clone();
            if let Some(previous) = previous {
                shared.end(previous);
            }
            exchange.greet(hello, asked.log_id.clone()).await
        }
        (_, Some(session)) => exchange.go_on(session).await,
        (_, None) => {
            exchange.log_request();
            Err(Refusal::UnknownSession)
        }
    };
    let answer = answered.unwrap_or_else(|refusal| {
        shared.unserved.count(refusal);
        exchange.log_refusal(refusal);
        Answer::new("error-resp", refusal.document(exchange.request.version()))
    });
    exchange.log_answer(&answer, started.elapsed());
    Ok(answer)
}

impl Exchange<'_> {
    /// Handles a `hello`, which opens a session.
    async fn greet(&mut self, hello: Hello, log_id: Option<SessionId>) -> Result<Answer, Refusal> {
        let id = self.session_log_id(log_id);
        self.log = RequestLog { session: Some(id.clone()), number: None, ..self.log };
        self.log_request();
        if self.shared.drain.is_on() {
            return Err(Refusal::Draining);
        }
        let version = self.request.version();
        record!(info, self.log, CLIENT, "Setting PBP version negotiated with client to {version}");
        let started = Instant::now();
        let reply = self.ask(&id, None).await?;
        let took = started.elapsed();
        let response = self.understand(&reply)?;
        let document = response.to_client(&self.shared.pcm_info(self.client.local));
        let name = response.kind().name();
        if *response.kind() != ResponseKind::Hello {
            return Ok(Answer::new(name, document));
        }
        let version = response.version().clone();
        record!(info, self.log, CLIENT, "Setting PBP version negotiated with client to {version}");
        let (mut cookies, set) = (BrokerCookies::default(), cookies::set_by(&reply));
        let stored = set.values.iter().map(|cookie| cookies.store(cookie, set.answered));
        let not_kept: Vec<_> = stored.filter_map(Result::err).collect();
        cookies::log(&self.log, &not_kept);
        let opening = Opening {
            number: self.shared.next_number(),
            cookie: ClientCookie::from_random(random().map_err(|_| Refusal::InvalidSession)?),
            id,
            key: SessionKey::from_random(random().map_err(|_| Refusal::InvalidSession)?),
            client: self.client.peer,
            hello,
            at: clock::now(),
        };
        self.log.number = Some(opening.number);
        let cookie = Some(opening.cookie.clone());
        self.open(&Session::open(opening, version, cookies), took)?;
        let answer = Answer::new(name, document);
        Ok(Answer { cookie, kept: Some(reply.body.into_kept()), ..answer })
    }

    fn session_log_id(&self, sent: Option<SessionId>) -> SessionId {
        if let Some(id) = sent {
            record!(info, self.log, CLIENT, "Session-Log-Id found: {id}");
            return id;
        }
        let id = Uuid::new_v4().to_string().parse().expect("a UUID has the shape of a UUID");
        record!(warn, self.log, CLIENT, "Session-Log-Id not found, using {id}");
        id
    }

    fn open(&self, session: &Session, took: Duration) -> Result<(), Refusal> {
        self.shared.open(session).map_err(|_| Refusal::TooManySessions)?;
        if !session.hello.probe {
            let client = self.client.peer;
            record!(
                info,
                self.log,
                CLIENT,
                "========> Detected a new session from client at {client}"
            );
        }
        self.note("hello", took);
        Ok(())
    }

    /// Handles a request in a session.
    async fn go_on(&self, session: &Session) -> Result<Answer, Refusal> {
        self.log_request();
        session.permits(self.request.kind())?;
        self.shared.note_passed_on(session);
        let answered = match self.request.kind() {
            RequestKind::Authenticate(step) => self.authenticate(session, step).await,
            _ => self.pass_on(session).await,
        };
        match (self.request.kind(), &answered) {
            (RequestKind::Bye, _) => self.shared.end(session),
            (_, Err(Refusal::BrokerTimedOut | Refusal::BrokerFailed)) => {
                self.shared.change(&session.cookie, Session::fail);
            }
            _ => {}
        }
        answered
    }

    pub(super) async fn pass_on(&self, session: &Session) -> Result<Answer, Refusal> {
        let started = Instant::now();
        let reply = self.ask(&session.id, Some(session.broker_cookies())).await;
        self.note(exchange_name(self.request.kind()), started.elapsed());
        let reply = reply?;
        let response = self.understand(&reply)?;
        let set = cookies::set_by(&reply);
        self.warn_of_long_logon();
        let mut not_kept = Vec::new();
        self.shared.change(&session.cookie, |session| {
            not_kept = session.answered(self.request.kind(), response.kind(), &set);
        });
        cookies::log(&self.log, &not_kept);
        match (self.request.kind(), response.kind()) {
            (
                RequestKind::AllocateResource(allocation),
                ResponseKind::AllocateResource(Some(target)),
            ) => {
                // Other requests need no room for it.
                let allocated = Box::pin(self.allocate(session, allocation, target)).await;
                let document = self.with_target(session, &response, allocated)?;
                Ok(Answer::new(response.kind().name(), document))
            }
            _ => {
                let document = response.to_client(&self.shared.pcm_info(self.client.local));
                let authentication = match response.kind() {
                    ResponseKind::Authenticate(result) => Some(*result),
                    _ => None,
                };
                let answer = Answer::new(response.kind().name(), document);
                Ok(Answer { kept: Some(reply.body.into_kept()), authentication, ..answer })
            }
        }
    }

    fn warn_of_long_logon(&self) {
        if let RequestKind::Authenticate(Authenticate { logon: Some(logon), .. }) =
            self.request.kind()
            && !logon.fits()
        {
            record!(
                warn,
                self.log,
                CLIENT,
                "The credentials are too long for an agent and were discarded"
            );
        }
    }

    /// Records the duration of a request to another service.
    pub(super) fn note(&self, name: &str, took: Duration) {
        if let Some(number) = self.log.number {
            self.shared.records().note(number, name, took);
        }
    }

    async fn ask(
        &self,
        session: &SessionId,
        cookies: Option<&BrokerCookies>,
    ) -> Result<Reply, Refusal> {
        let passage = self.shared.outage.enter()?;
        let pcm = self.shared.pcm_info(self.client.local);
        let document = Zeroizing::new(self.request.to_broker(&pcm));
        let name = self.request.kind().name();
        let sent = || redact::bytes(document.as_bytes());
        document!(self.log, BROKER, sent, "Sending request to PCoIP broker ({name})");
        let (client, account) = (self.client.peer, self.account);
        let limit = Response::limit(self.request.kind());
        let envelope = Envelope { session, cookies, client, account, limit };
        let asked = self.shared.broker.ask(document, &envelope).await;
        passage.end(&asked);
        asked.map_err(|failure| {
            let error = as_error(&failure);
            record!(warn, self.log, BROKER, error, "The broker does not answer");
            outage::refusal(&failure)
        })
    }

    fn understand<'r>(&self, reply: &'r Reply) -> Result<Response<'r>, Refusal> {
        let response = Response::parse(&reply.body).map_err(|invalid| {
            let (status, error) = (reply.status.as_u16(), as_error(&invalid));
            record!(warn, self.log, BROKER, status, error, "The broker's response is invalid");
            Refusal::BrokerFailed
        })?;
        let name = response.kind().name();
        let got = || response.redacted();
        document!(self.log, BROKER, got, "Received response from PCoIP broker ({name})");
        if let Some(result) = response.refusal() {
            let client = self.log.client;
            record!(
                info,
                self.log,
                BROKER,
                %client,
                result,
                "The broker refused the request ({})",
                self.request.kind().name()
            );
        }
        if !response.kind().answers(self.request.kind()) {
            record!(warn, self.log, BROKER, "The broker's response does not match the request");
            return Err(Refusal::BrokerFailed);
        }
        Ok(response)
    }

    fn log_request(&self) {
        let name = self.request.kind().name();
        let got = || self.request.redacted();
        document!(self.log, CLIENT, got, "Received request from client ({name})");
    }

    fn log_answer(&self, answer: &Answer, took: Duration) {
        let (request, name) = (self.request.kind().name(), &answer.name);
        let sent = || redact::bytes(answer.document.as_bytes());
        document!(self.log, CLIENT, sent, "Sending response to client ({name})");
        let ms = took.as_millis();
        let nothing = String::new;
        document!(
            self.log,
            CLIENT,
            nothing,
            "Processing request ({request}) / response ({name}) took: {ms}ms"
        );
    }

    /// Logs a refusal. Failures of the broker, an agent or a gateway have their own warning.
    fn log_refusal(&self, refusal: Refusal) {
        let (request, number) = (self.request.kind().name(), refusal.number());
        let reason = refusal.detail();
        match refusal {
            Refusal::BrokerTimedOut | Refusal::BrokerFailed | Refusal::GatewayFailed => {
                self.log_error(number, reason);
            }
            Refusal::UnknownSession
            | Refusal::InvalidSession
            | Refusal::TooManySessions
            | Refusal::Draining => {
                record!(
                    warn,
                    self.log,
                    CLIENT,
                    reason,
                    "Answering the request ({request}) with error {number}"
                );
            }
        }
    }

    /// Logs the error that the client shows to the user.
    pub(super) fn log_error(&self, number: u16, reason: &str) {
        let (client, request) = (self.log.client, self.request.kind().name());
        record!(
            info,
            self.log,
            CLIENT,
            %client,
            reason,
            "Answering the request ({request}) with error {number}"
        );
    }
}

/// Name of the exchange in `GET /connections`.
fn exchange_name(request: &RequestKind) -> &'static str {
    match request {
        RequestKind::Hello(_) => "hello",
        RequestKind::Authenticate(step) if step.method == "dialog" => "second-factor",
        RequestKind::Authenticate(_) => "authenticate",
        RequestKind::GetResourceList => "list",
        RequestKind::AllocateResource(_) => "allocate",
        RequestKind::Bye => "bye",
        RequestKind::Other(_) => "other",
    }
}
