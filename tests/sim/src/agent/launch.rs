//! Launching: parses requests of a Connection Manager, and responds.

use std::time::Instant;

use serde::Serialize;
use thiserror::Error;

use super::{Event, Shared};
use crate::events::milliseconds_since;
use crate::http::message::{Request, Response};
use crate::xml::{self, Element, XmlError};

/// The values of a launch request, except the password, and its result.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Launch {
    /// How long the agent took.
    pub ms: f64,
    /// The result-id of the answer.
    pub result: &'static str,
    /// The number of the session that was launched.
    pub session_id: Option<String>,
    /// The broker's address of the agent.
    pub ip_address: String,
    /// The broker's name of the agent.
    pub hostname: String,
    pub username: String,
    /// Where the user is known.
    pub domain: String,
    /// The client's own MAC address.
    pub client_mac: String,
    /// The client's own address.
    pub client_ip: String,
    /// The client's device name.
    pub client_name: String,
    /// Where licenses are served, if anywhere.
    pub license_path: String,
    /// The UUID by which every log knows the session.
    pub session_log_id: String,
    /// The client's time zone.
    pub time_zone_windows: String,
}

/// How a request differs from those of a Connection Manager.
#[derive(Debug, Error, PartialEq)]
enum Violation {
    #[error("body cannot be read: {0}")]
    Xml(#[from] XmlError),
    #[error("root is `{0}`, not `pcoip-agent` version `1.0` with `launch-session` in it")]
    Root(String),
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` is empty")]
    Empty(&'static str),
    #[error("`session-type` is not `UNSPECIFIED`")]
    SessionType,
    #[error("`logon` is not with `windows-password`")]
    Method,
}

/// Responds to a request, and reports it.
pub(super) fn answer(shared: &Shared, request: &Request) -> Response {
    let started = Instant::now();
    if request.path != PATH {
        return Response::xml(404, String::new());
    }
    if request.method != "POST" {
        return Response::xml(405, String::new());
    }
    let read = xml::parse(&request.body).map_err(Violation::from);
    let (launch, password) = match read.and_then(|root| Launch::read(&root)) {
        Ok(read) => read,
        Err(violation) => {
            shared.violation(violation.to_string());
            return Response::xml(500, String::new());
        }
    };
    let expected = shared.options.expect.as_ref();
    if expected.is_some_and(|expected| !expected.are(&launch.username, &password, &launch.domain)) {
        let launch = Launch { result: FAILED, ms: milliseconds_since(started), ..launch };
        shared.events.emit(Event::Launch(Box::new(launch)));
        return refusal();
    }
    let (session, tag) = shared.sessions().launch();
    let session_id = session.decimal();
    let response = success(shared, &session_id, tag.as_str());
    let (ms, session_id) = (milliseconds_since(started), Some(session_id));
    let launch = Launch { result: SUCCESSFUL, ms, session_id, ..launch };
    shared.events.emit(Event::Launch(Box::new(launch)));
    response
}

impl Launch {
    /// Parses a request into its reportable values and the password.
    fn read(root: &Element<'_>) -> Result<(Self, String), Violation> {
        let versioned = root.name == "pcoip-agent" && root.attribute("version") == Some("1.0");
        let [message] = root.children.as_slice() else {
            return Err(Violation::Root(root.name.to_owned()));
        };
        if !versioned || message.name != "launch-session" {
            return Err(Violation::Root(root.name.to_owned()));
        }
        if present(message, "session-type")? != "UNSPECIFIED" {
            return Err(Violation::SessionType);
        }
        let logon = message.child("logon").ok_or(Violation::Missing("logon"))?;
        if logon.attribute("method") != Some("windows-password") {
            return Err(Violation::Method);
        }
        let launch = Self {
            ip_address: filled(message, "ip-address")?,
            hostname: filled(message, "hostname")?,
            username: filled(logon, "username")?,
            domain: present(logon, "domain")?,
            client_mac: filled(message, "client-mac")?,
            client_ip: filled(message, "client-ip")?,
            client_name: filled(message, "client-name")?,
            license_path: present(message, "license-path")?,
            session_log_id: filled(message, "session-log-id")?,
            time_zone_windows: present(message, "time-zone-windows")?,
            ..Self::default()
        };
        Ok((launch, present(logon, "password")?))
    }
}

fn present(parent: &Element<'_>, name: &'static str) -> Result<String, Violation> {
    parent.text_at(&[name]).map(str::to_owned).ok_or(Violation::Missing(name))
}

fn filled(parent: &Element<'_>, name: &'static str) -> Result<String, Violation> {
    let text = present(parent, name)?;
    if text.trim().is_empty() { Err(Violation::Empty(name)) } else { Ok(text) }
}

fn success(shared: &Shared, session_id: &str, tag: &str) -> Response {
    let (ip, port) = (shared.pcoip.ip(), shared.pcoip.port());
    respond(&format!(
        "<result-id>{SUCCESSFUL}</result-id><session-info><ip-address>{ip}</ip-address>\
         <sni>simulated-agent</sni><port>{port}</port><session-tag>{tag}</session-tag>\
         <session-id>{session_id}</session-id></session-info>"
    ))
}

fn refusal() -> Response {
    respond(&format!(
        "<result-id>{FAILED}</result-id><fail-reason>Failed to start the session due to user \
         authentication failing.</fail-reason>"
    ))
}

fn respond(inner: &str) -> Response {
    let body = format!(
        "<pcoip-agent version=\"1.0\"><launch-session-resp>{inner}</launch-session-resp>\
         </pcoip-agent>"
    );
    Response::xml(200, body)
}

const PATH: &str = "/pcoip-agent/xml";
const SUCCESSFUL: &str = "SUCCESSFUL";
const FAILED: &str = "FAILED_USER_AUTH";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "<pcoip-agent version=\"1.0\"><launch-session>\
        <session-type>UNSPECIFIED</session-type><ip-address>192.0.2.1</ip-address>\
        <hostname>ws</hostname><logon method=\"windows-password\"><username>u</username>\
        <password>p</password><domain>d</domain></logon><client-mac>02:00:00:00:00:01</client-mac>\
        <client-ip>192.0.2.2</client-ip><client-name>c</client-name><license-path />\
        <session-log-id>i</session-log-id><time-zone-windows>UTC</time-zone-windows>\
        </launch-session></pcoip-agent>";

    #[test]
    fn every_mapped_field_is_asked_for() {
        let table = [
            ("<hostname>ws</hostname>", "", Violation::Missing("hostname")),
            (">ws<", "><", Violation::Empty("hostname")),
            ("<license-path />", "", Violation::Missing("license-path")),
            ("<password>p</password>", "", Violation::Missing("password")),
            ("UNSPECIFIED", "OTHER", Violation::SessionType),
            ("windows-password", "other", Violation::Method),
            ("\"1.0\"", "\"2.1\"", Violation::Root("pcoip-agent".to_owned())),
        ];

        for (part, replacement, expected) in table {
            let source = GOOD.replace(part, replacement);
            assert_eq!(Launch::read(&xml::parse(&source).unwrap()), Err(expected), "{source}");
        }
    }

    #[test]
    fn a_launch_is_read_without_its_password() {
        let (launch, password) = Launch::read(&xml::parse(GOOD).unwrap()).unwrap();

        assert_eq!(password, "p");
        assert_eq!(launch.client_mac, "02:00:00:00:00:01");
        assert!(!serde_json::to_string(&launch).unwrap().contains("password"));
    }
}
