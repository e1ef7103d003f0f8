//! Checks that responses have what a real client needs.

use std::net::IpAddr;

use super::Target;
use super::error::Fault;
use crate::http::message::{Framing, Response};
use crate::tag::Tag;
use crate::tls;
use crate::unknown::{self, SIMULATED_BROKER};
use crate::xml::Element;

/// What a dialog asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialog {
    /// The field for the passcode.
    pub(super) field: String,
    /// The button to press.
    pub(super) button: String,
}

/// Checks status and headers, and returns the new cookie.
pub(super) fn check_headers(response: &Response) -> Result<Option<String>, Fault> {
    if response.status != 200 {
        return Err(Fault::Status(response.status));
    }
    if !matches!(response.headers.framing(), Ok(Framing::Chunked)) {
        return Err(Fault::NotChunked);
    }
    if !response.headers.value("content-type").is_some_and(|value| value.contains("xml")) {
        return Err(Fault::ContentType);
    }
    let mut cookie = None;
    for (spelling, value) in response.headers.named("set-cookie") {
        if spelling != "Set-Cookie" {
            return Err(Fault::CookieSpelling(spelling.to_owned()));
        }
        if cookie.replace(session_cookie(value)?).is_some() {
            return Err(Fault::NoCookie);
        }
    }
    Ok(cookie)
}

/// Returns the message of a response, if it is the expected one.
pub(super) fn message<'a, 'b>(root: &'b Element<'a>, name: &str) -> Result<&'b Element<'a>, Fault> {
    let versioned = root.name == "pcoip-client" && root.attribute("version") == Some("2.1");
    let [message] = root.children.as_slice() else {
        return Err(Fault::Root(root.name.to_owned()));
    };
    if !versioned {
        return Err(Fault::Root(root.name.to_owned()));
    }
    if message.name == "error-resp" {
        return Err(Fault::Refused(result_of(message).to_owned()));
    }
    if message.name == name { Ok(message) } else { Err(Fault::Message(message.name.to_owned())) }
}

/// Checks the response to a hello, and returns whether the broker is the simulated one.
pub(super) fn read_hello(message: &Element<'_>) -> Result<bool, Fault> {
    let next = message.after("brokers-info").filter(|element| element.name == "pcm-info");
    let pcm_info = next.ok_or(Fault::NoPcmInfo)?;
    for field in ["product-name", "product-version", "platform", "ip-address", "hostname"] {
        pcm_info.text_at(&[field]).filter(|text| !text.is_empty()).ok_or(Fault::Field(field))?;
    }
    let follower = message.after("pcm-info").map(|element| element.name);
    if message.child("caps").is_some() && follower != Some("caps") {
        return Err(Fault::Caps);
    }
    let product = message.text_at(&["brokers-info", "broker-info", "product-name"]);
    let simulated = product == Some(SIMULATED_BROKER);
    if simulated && !unknown::is_kept(message, &["brokers-info"]) {
        return Err(Fault::Unknown("brokers-info".to_owned()));
    }
    Ok(simulated)
}

/// Checks that the simulated broker's unknown parts are preserved.
pub(super) fn check_kept(message: &Element<'_>) -> Result<(), Fault> {
    if message.name == "bye-resp" || unknown::is_kept(message, &[]) {
        return Ok(());
    }
    Err(Fault::Unknown(message.name.to_owned()))
}

/// Parses the result of an authentication step, and the next dialog if there is one.
pub(super) fn read_authentication(message: &Element<'_>) -> Result<Option<Dialog>, Fault> {
    match result_of(message) {
        "AUTH_SUCCESSFUL_AND_COMPLETE" => return Ok(None),
        "AUTH_SUCCESSFUL_AND_INCOMPLETE" => {}
        other => return Err(Fault::Result(other.to_owned())),
    }
    let parameters = message.at(&["next-authentication", "dialog-parameters"]);
    let parameters = parameters.ok_or(Fault::Field("dialog-parameters"))?;
    let field = parameters.text_at(&["fields", "field", "id"]).ok_or(Fault::Field("field"))?;
    let buttons = parameters.child("buttons").ok_or(Fault::Field("buttons"))?;
    let is_default = |button: &&Element<'_>| button.attribute("is-default") == Some("true");
    let button = buttons.children.iter().find(is_default).or(buttons.children.first());
    let button = button.and_then(|button| button.text_at(&["id"])).ok_or(Fault::Field("button"))?;
    Ok(Some(Dialog { field: field.to_owned(), button: button.to_owned() }))
}

/// Returns the id of the first resource.
pub(super) fn read_resources(message: &Element<'_>) -> Result<String, Fault> {
    expect_result(message, "LIST_SUCCESSFUL")?;
    let id = message.text_at(&["resource", "resource-id"]).filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or(Fault::Field("resource-id"))
}

/// Reads where the session is.
pub(super) fn read_target(message: &Element<'_>) -> Result<Target, Fault> {
    expect_result(message, "ALLOC_SUCCESSFUL")?;
    let target = message.child("target").ok_or(Fault::Field("target"))?;
    let field = |name| target.text_at(&[name]).ok_or(Fault::Field(name));
    let ip: IpAddr = field("ip-address")?.parse().map_err(|_| Fault::Field("ip-address"))?;
    let port: u16 = field("port")?.parse().map_err(|_| Fault::Field("port"))?;
    let session_id: u64 = field("session-id")?.parse().map_err(|_| Fault::Field("session-id"))?;
    let (sni, hostname) = (field("sni")?, field("hostname")?);
    if tls::server_name(sni).is_none() {
        return Err(Fault::Field("sni"));
    }
    if hostname.is_empty() {
        return Err(Fault::Field("hostname"));
    }
    let tag = Tag::parse(field("connect-tag")?).map_err(|_| Fault::Field("connect-tag"))?;
    Ok(Target { ip, port, sni: sni.to_owned(), session_id: session_id.to_string(), tag })
}

fn session_cookie(line: &str) -> Result<String, Fault> {
    let mut parts = line.split(';').map(str::trim);
    let value = parts.next().and_then(|pair| pair.strip_prefix("JSESSIONID="));
    let value = value.ok_or(Fault::NoCookie)?;
    if value.len() != 32 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Fault::CookieValue);
    }
    for attribute in ["Secure", "HttpOnly"] {
        if !parts.clone().any(|part| part.eq_ignore_ascii_case(attribute)) {
            return Err(Fault::CookieAttribute(attribute));
        }
    }
    Ok(value.to_owned())
}

fn result_of<'a>(message: &'a Element<'_>) -> &'a str {
    message.text_at(&["result", "result-id"]).unwrap_or_default()
}

fn expect_result(message: &Element<'_>, expected: &str) -> Result<(), Fault> {
    let result = result_of(message);
    if result == expected { Ok(()) } else { Err(Fault::Result(result.to_owned())) }
}

#[cfg(test)]
mod tests;
