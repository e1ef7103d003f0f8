//! A client's request reaches the broker with the documented changes and no others.

use cmsg_proto::broker::{PcmInfo, Request, RequestKind};

use crate::tree::{Seen, passed_on, reread};

/// Parses bytes as a client's request.
pub fn run(data: &[u8]) {
    let Ok(request) = Request::parse(data) else { return };
    assert!(request.version().to_string().len() <= 16 && request.kind().name().len() <= 64);
    let source = std::str::from_utf8(data).expect("it was read");
    let source = passed_on(source.strip_prefix('\u{feff}').unwrap_or(source));
    let source = source.as_str();
    let sent = request.to_broker(&pcm());
    assert!(sent.len() <= source.len() + MOST_ADDED, "{} bytes were added", sent.len());

    if matches!(request.kind(), RequestKind::Hello(_)) {
        introduced(source, &sent);
    } else if !source.contains("pcoip-broker") {
        assert_eq!(sent.matches("pcoip-broker").count(), roots(source));
        assert_eq!(sent.replace("pcoip-broker", "pcoip-client"), source);
    }
    same_kind(&request, &sent);
}

/// The `pcm-info` of the Connection Manager.
#[must_use]
pub(crate) fn pcm() -> PcmInfo {
    PcmInfo {
        product_version: "0.0.0".to_owned(),
        ip_address: "192.0.2.9".to_owned(),
        hostname: "cm.example".to_owned(),
    }
}

const MOST_ADDED: usize = 512;

/// Number of occurrences of the root's name in its own tags.
fn roots(source: &str) -> usize {
    let document = reread(source).expect("it was read");
    if document.root().content().is_some() { 2 } else { 1 }
}

/// The tree is the client's with `pcm-info` and the capability, each once.
fn introduced(source: &str, sent: &str) {
    let given = reread(source).expect("it was read");
    let Some(sent) = reread(sent) else { return };
    let mut told = Seen::of(sent.root()).named("pcoip-client");
    let mut asked = Seen::of(given.root());
    let hello = &mut told.children()[0];
    let place = hello.children().iter().position(|child| child.name() == "client-info");
    let place = place.map_or(0, |place| place + 1);
    assert_eq!(hello.children().remove(place).name(), "pcm-info");

    let hello = sent.root().children()[0].clone();
    let ours = "CAP_ALTERNATE_CREDENTIALS";
    let caps = hello.child("caps").expect("we tell our capability");
    assert!(caps.children().iter().any(|cap| cap.text() == ours));

    let theirs = given.root().children()[0].child("caps");
    let hello = &mut told.children()[0];
    let at = hello.children().iter().position(|child| child.name() == "caps");
    let at = at.expect("it is there");
    if theirs.is_none() {
        hello.children().remove(at);
    } else if !theirs.is_some_and(|caps| caps.children().iter().any(|cap| cap.text() == ours)) {
        hello.children()[at].children().pop();
    }
    assert_eq!(told, asked);
    asked.children().clear();
}

/// With the client's root it is the same request.
fn same_kind(request: &Request<'_>, sent: &str) {
    let Some(document) = reread(sent) else { return };
    let mut edits = cmsg_proto::xml::Edits::default();
    edits.rename(document.root(), "pcoip-client");
    let back = edits.apply(&document);
    let again = Request::parse(back.as_bytes()).expect("it is a request under its own root");
    assert_eq!(again.kind().name(), request.kind().name());
    assert_eq!(again.version(), request.version());
    assert_eq!(format!("{:?}", again.kind()), format!("{:?}", request.kind()));
}
