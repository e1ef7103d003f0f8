//! The broker's sessions: the order of messages and the responses. No I/O.

use std::collections::HashMap;

use secrecy::ExposeSecret as _;

use super::answers::{self, Answer};
use super::rules::{self, Violation};
use super::{Event, Facts, Options};
use crate::http::message::{Request, Response};
use crate::unknown::SIMULATED_CLIENT;
use crate::xml::{self, Element};

/// The name of the session cookie.
pub(super) const COOKIE: &str = "JSESSIONID";

/// Every session by its cookie.
#[derive(Debug)]
pub(super) struct Sessions {
    options: Options,
    by_cookie: HashMap<String, Session>,
    greeted: u64,
}

#[derive(Debug)]
struct Session {
    number: u64,
    stage: Stage,
    /// Whether its messages have the simulated client's unknown parts.
    simulated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeted,
    PasswordAccepted,
    Authenticated,
}

impl Sessions {
    /// Starts without any session.
    pub(super) fn new(options: Options) -> Self {
        Self { options, by_cookie: HashMap::new(), greeted: 0 }
    }

    /// Responds to a request, and returns what to report. `cookie` is for a new session.
    pub(super) fn answer(&mut self, request: &Request, cookie: &str) -> (Response, Vec<Event>) {
        if request.path != PATH {
            return (Response::xml(404, String::new()), Vec::new());
        }
        if request.method != "POST" {
            return (Response::xml(405, String::new()), Vec::new());
        }
        let mut facts = Facts::of(request);
        match self.exchange(request, cookie, &mut facts) {
            Ok(answer) => {
                facts.result = answer.result;
                let mut response = Response::xml(200, answer.body);
                if facts.kind.as_deref() == Some("hello") {
                    let cookie = format!("{COOKIE}={cookie}{COOKIE_ATTRIBUTES}");
                    response.headers = response.headers.with("Set-Cookie", cookie);
                }
                (response, vec![Event::Request(facts)])
            }
            Err(violation) => {
                let violation = Event::Violation { what: violation.to_string() };
                (Response::xml(500, String::new()), vec![Event::Request(facts), violation])
            }
        }
    }

    fn exchange(
        &mut self,
        request: &Request,
        cookie: &str,
        facts: &mut Facts,
    ) -> Result<Answer, Violation> {
        let root = xml::parse(&request.body)?;
        let message = rules::message(&root)?;
        facts.kind = Some(message.name.to_owned());
        rules::check_headers(&request.headers)?;
        if message.name == "hello" {
            return self.hello(message, cookie, facts);
        }
        let cookie = rules::cookie(&request.headers)?;
        let Some(session) = self.by_cookie.get_mut(cookie) else {
            return Ok(answers::error("ERR_INVALID_SESSION"));
        };
        facts.session = Some(session.number);
        if session.simulated {
            rules::check_kept(message)?;
        }
        if message.name == "bye" {
            self.by_cookie.remove(cookie);
            return Ok(answers::bye());
        }
        Ok(session.answer(message, &self.options))
    }

    fn hello(
        &mut self,
        hello: &Element<'_>,
        cookie: &str,
        facts: &mut Facts,
    ) -> Result<Answer, Violation> {
        rules::check_hello(hello)?;
        let simulated = hello.text_at(&["client-info", "product-name"]) == Some(SIMULATED_CLIENT);
        if simulated {
            rules::check_kept(hello)?;
        }
        if self.by_cookie.len() >= MAX_SESSIONS {
            return Ok(answers::error("ERR_GENERIC"));
        }
        self.greeted += 1;
        facts.session = Some(self.greeted);
        let session = Session { number: self.greeted, stage: Stage::Greeted, simulated };
        self.by_cookie.insert(cookie.to_owned(), session);
        Ok(answers::hello(&self.options.credentials.domain))
    }
}

impl Session {
    fn answer(&mut self, message: &Element<'_>, options: &Options) -> Answer {
        match (self.stage, message.name, message.attribute("method")) {
            (Stage::Greeted, "authenticate", Some("password")) => self.password(message, options),
            (Stage::PasswordAccepted, "authenticate", Some("dialog")) => {
                self.dialog(message, options)
            }
            (Stage::Authenticated, "get-resource-list", _) => {
                answers::resources(options.resources.get())
            }
            (Stage::Authenticated, "allocate-resource", _) => self.allocate(message, options),
            _ => answers::error("ERR_GENERIC"),
        }
    }

    fn password(&mut self, message: &Element<'_>, options: &Options) -> Answer {
        let field = |name| message.text_at(&[name]).unwrap_or_default();
        if !options.credentials.are(field("username"), field("password"), field("domain")) {
            return answers::authenticated("password", "AUTH_FAILED_UNKNOWN_USERNAME_OR_PASSWORD");
        }
        self.stage = Stage::PasswordAccepted;
        answers::second_factor()
    }

    fn dialog(&mut self, message: &Element<'_>, options: &Options) -> Answer {
        let field = message.at(&["fields", "field"]);
        let text = |name| field.and_then(|field| field.text_at(&[name]));
        let right = text("id") == Some("PASSCODE")
            && text("text") == Some(options.passcode.expose_secret())
            && message.text_at(&["button-id"]) == Some("LOGIN");
        if !right {
            return answers::authenticated("dialog", "AUTH_FAILED_DIALOG_INVALID_USER_ENTRY");
        }
        self.stage = Stage::Authenticated;
        answers::authenticated("dialog", "AUTH_SUCCESSFUL_AND_COMPLETE")
    }

    fn allocate(&self, message: &Element<'_>, options: &Options) -> Answer {
        let id = message.text_at(&["resource-id"]).and_then(|id| id.parse::<u16>().ok());
        let is_known = id.is_some_and(|id| (1..=options.resources.get()).contains(&id));
        let agents = &options.target.ips;
        let next = usize::try_from(self.number).unwrap_or_default().checked_rem(agents.len());
        match next.and_then(|next| agents.get(next)).filter(|_| is_known) {
            Some(ip) => answers::allocated(*ip, &options.target),
            None => answers::not_allocated(),
        }
    }
}

impl Facts {
    fn of(request: &Request) -> Self {
        let header = |name| request.headers.value(name).map(str::to_owned);
        let cookies = request.headers.cookies(COOKIE);
        Self {
            x_forwarded_for: header("x-forwarded-for"),
            client_log_id: header("client-log-id"),
            content_type: header("content-type"),
            cookie: cookies.first().map(|cookie| ends_of(cookie)),
            ..Self::default()
        }
    }
}

/// The ends of a cookie, enough to distinguish it from others.
fn ends_of(cookie: &str) -> String {
    let head: String = cookie.chars().take(4).collect();
    let tail: Vec<char> = cookie.chars().rev().take(4).collect();
    format!("{head}****{}", tail.into_iter().rev().collect::<String>())
}

const PATH: &str = "/pcoip-broker/xml";
const MAX_SESSIONS: usize = 65_536;
const COOKIE_ATTRIBUTES: &str =
    "; path=/; expires=Thu, 31 Dec 2099 23:59:59 GMT; secure; HttpOnly; SameSite=Strict";

#[cfg(test)]
mod tests;
