//! What a Connection Manager must change in a client's message and what it must preserve, checked
//! on the message alone.

use std::net::IpAddr;

use thiserror::Error;

use crate::http::message::Headers;
use crate::unknown;
use crate::xml::{Element, XmlError};

/// How a request differs from those of a Connection Manager.
#[derive(Debug, Error, PartialEq)]
pub(super) enum Violation {
    #[error("body cannot be read: {0}")]
    Xml(#[from] XmlError),
    #[error("root is `{0}`, not `pcoip-broker` version `2.1` with one message in it")]
    Root(String),
    #[error("content type is not XML")]
    ContentType,
    #[error("`X-Forwarded-For` is missing or there twice")]
    NoForwardedFor,
    #[error("`X-Forwarded-For` has something other than plain addresses: `{0}`")]
    ForwardedFor(String),
    #[error("own cookie is not replayed")]
    NoCookie,
    #[error("own cookie is replayed with others of its name")]
    Cookies,
    #[error("`pcm-info` does not follow `client-info`")]
    NoPcmInfo,
    #[error("`pcm-info` has no good `{0}`")]
    PcmInfo(&'static str),
    #[error("`CAP_ALTERNATE_CREDENTIALS` is not the last of the caps, once")]
    Caps,
    #[error("unknown content of `{0}` did not arrive byte for byte")]
    Unknown(String),
    #[error("`bye` did not arrive byte for byte")]
    Bye,
}

/// Returns the one message in a request's root.
pub(super) fn message<'a, 'b>(root: &'b Element<'a>) -> Result<&'b Element<'a>, Violation> {
    let versioned = root.name == "pcoip-broker" && root.attribute("version") == Some("2.1");
    match root.children.as_slice() {
        [message] if versioned => Ok(message),
        _ => Err(Violation::Root(root.name.to_owned())),
    }
}

/// Judges the headers that every request has.
pub(super) fn check_headers(headers: &Headers) -> Result<(), Violation> {
    if !headers.value("content-type").is_some_and(|value| value.contains("xml")) {
        return Err(Violation::ContentType);
    }
    let mut lines = headers.all("x-forwarded-for");
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(Violation::NoForwardedFor);
    };
    let is_plain = |text: &str| {
        text.trim().parse::<IpAddr>().is_ok_and(|address| address == address.to_canonical())
    };
    if line.split(',').all(is_plain) {
        return Ok(());
    }
    Err(Violation::ForwardedFor(line.to_owned()))
}

/// Returns the session cookie, which all requests but the first must have.
pub(super) fn cookie(headers: &Headers) -> Result<&str, Violation> {
    match headers.cookies(super::sessions::COOKIE).as_slice() {
        [] => Err(Violation::NoCookie),
        [cookie] => Ok(cookie),
        _ => Err(Violation::Cookies),
    }
}

/// Judges what a Connection Manager adds to a hello.
pub(super) fn check_hello(hello: &Element<'_>) -> Result<(), Violation> {
    let pcm_info = hello.after("client-info").filter(|element| element.name == "pcm-info");
    let pcm_info = pcm_info.ok_or(Violation::NoPcmInfo)?;
    for field in ["product-name", "product-version", "platform", "ip-address", "hostname"] {
        let good = match (field, pcm_info.text_at(&[field]).unwrap_or_default()) {
            ("product-name", text) => text == "PCoIP Connection Manager",
            ("ip-address", text) => text.parse::<IpAddr>().is_ok(),
            (_, text) => !text.trim().is_empty(),
        };
        if !good {
            return Err(Violation::PcmInfo(field));
        }
    }
    let caps = hello.child("caps").map(|caps| caps.children.as_slice()).unwrap_or_default();
    let is_ours = |cap: &Element<'_>| cap.text() == "CAP_ALTERNATE_CREDENTIALS";
    if caps.last().is_some_and(is_ours) && caps.iter().filter(|cap| is_ours(cap)).count() == 1 {
        return Ok(());
    }
    Err(Violation::Caps)
}

/// Checks that the simulated client's unknown parts are preserved.
pub(super) fn check_kept(message: &Element<'_>) -> Result<(), Violation> {
    match message.name {
        "bye" if message.source == "<bye />" => Ok(()),
        "bye" => Err(Violation::Bye),
        "hello" if !unknown::is_kept(message, &["client-info"]) => {
            Err(Violation::Unknown("client-info".to_owned()))
        }
        _ if unknown::is_kept(message, &[]) => Ok(()),
        name => Err(Violation::Unknown(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    const PCM_INFO: &str = "<pcm-info><product-name>PCoIP Connection Manager</product-name>\
        <product-version>1</product-version><platform>GNU/Linux x86_64</platform>\
        <ip-address>192.0.2.1</ip-address><hostname>cm</hostname></pcm-info>";
    const CAPS: &str = "<caps><cap>CAP_X</cap><cap>CAP_ALTERNATE_CREDENTIALS</cap></caps>";

    #[test]
    fn a_hello_is_judged_by_what_was_added_to_it() {
        let good = format!("<hello><client-info/>{PCM_INFO}{CAPS}</hello>");
        let table = [
            (good.clone(), Ok(())),
            (good.replace("<client-info/>", ""), Err(Violation::NoPcmInfo)),
            (good.replace("</pcm-info>", "</pcm-info><x/>"), Ok(())),
            (good.replace("<client-info/>", "<client-info/><x/>"), Err(Violation::NoPcmInfo)),
            (good.replace("PCoIP C", "Other C"), Err(Violation::PcmInfo("product-name"))),
            (good.replace("192.0.2.1", "cm"), Err(Violation::PcmInfo("ip-address"))),
            (good.replace(">cm<", "> <"), Err(Violation::PcmInfo("hostname"))),
            (good.replace(CAPS, ""), Err(Violation::Caps)),
            (good.replace("CAP_X", "CAP_ALTERNATE_CREDENTIALS"), Err(Violation::Caps)),
            (good.replace("</caps>", "<cap>CAP_X</cap></caps>"), Err(Violation::Caps)),
        ];

        for (source, expected) in table {
            assert_eq!(check_hello(&xml::parse(&source).unwrap()), expected, "{source}");
        }
    }

    #[test]
    fn every_request_says_for_whom_it_is_forwarded() {
        let typed = Headers::default().with("content-type", "text/xml");
        let name = "x-forwarded-for";
        let table = [
            (typed.clone().with(name, "192.0.2.7"), Ok(())),
            (typed.clone().with(name, "192.0.2.7, 2001:db8::1"), Ok(())),
            (typed.clone(), Err(Violation::NoForwardedFor)),
            (typed.clone().with(name, "::1").with(name, "::1"), Err(Violation::NoForwardedFor)),
            (
                typed.clone().with(name, "::ffff:192.0.2.7"),
                Err(Violation::ForwardedFor("::ffff:192.0.2.7".to_owned())),
            ),
            (
                typed.with(name, "127.0.0.1:80"),
                Err(Violation::ForwardedFor("127.0.0.1:80".to_owned())),
            ),
            (Headers::default().with(name, "::1"), Err(Violation::ContentType)),
        ];

        for (headers, expected) in table {
            assert_eq!(check_headers(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_root_is_the_brokers() {
        let table = [
            ("<pcoip-broker version='2.1'><bye /></pcoip-broker>", Ok("bye")),
            ("<pcoip-client version='2.1'><bye /></pcoip-client>", Err("pcoip-client")),
            ("<pcoip-broker version='2.0'><bye /></pcoip-broker>", Err("pcoip-broker")),
            ("<pcoip-broker version='2.1'/>", Err("pcoip-broker")),
        ];

        for (source, expected) in table {
            let root = xml::parse(source).unwrap();
            let expected = expected.map_err(|name| Violation::Root(name.to_owned()));
            assert_eq!(message(&root).map(|message| message.name), expected, "{source}");
        }
    }
}
