//! A broker's response reaches the client with the documented changes and no others.

use cmsg_proto::{
    SessionTag,
    broker::{ClientTarget, Response, ResponseKind},
};

use crate::{
    broker_request::pcm,
    tree::{Seen, passed_on, reread},
};

/// Reads bytes as a broker's answer.
pub fn run(data: &[u8]) {
    let Ok(response) = Response::parse(data) else { return };
    assert!(response.version().to_string().len() <= 16 && response.kind().name().len() <= 64);
    let source = std::str::from_utf8(data).expect("it was read");
    let source = passed_on(source.strip_prefix('\u{feff}').unwrap_or(source));
    let source = source.as_str();
    let given = reread(source).expect("it was read");

    let sent = response.to_client(&pcm());
    assert!(sent.len() <= source.len() + MOST_ADDED, "{} bytes were added", sent.len());
    if let Some(read) = reread(&sent) {
        let mut told = Seen::of(read.root());
        if *response.kind() == ResponseKind::Hello {
            let hello = &mut told.children()[0];
            let brokers = hello.children().iter().position(|child| child.name() == "brokers-info");
            let place = brokers.map_or(0, |place| place + 1);
            assert_eq!(hello.children().remove(place).name(), "pcm-info");
        } else if !source.contains("pcoip-client") {
            assert_eq!(sent.replace("pcoip-client", "pcoip-broker"), source);
        }
        assert_eq!(told, Seen::of(given.root()).named("pcoip-client"));
        let again = Response::parse(sent.as_bytes()).expect("the client's root is taken as well");
        assert_eq!(again.kind(), response.kind());
    }
    if let ResponseKind::AllocateResource(Some(target)) = response.kind() {
        assert!(target.host().is_some_and(|host| !host.is_empty()));
        granted(&response, &given);
    }
}

const MOST_ADDED: usize = 512;

/// The response has the Connection Manager's target instead of the broker's.
fn granted(response: &Response<'_>, given: &cmsg_proto::xml::Document<'_>) {
    let ours = ClientTarget {
        ip_address: [203, 0, 113, 7].into(),
        hostname: Some("desktop <1>".to_owned()),
        sni: None,
        port: 4172,
        session_id: 1,
        connect_tag: SessionTag::parse("SCS1<&>").expect("it is printable"),
    };
    let sent = response.to_client_at(&ours);
    let Some(read) = reread(&sent) else { return };
    let target = read.root().children()[0].child("target").expect("it was replaced");
    for (name, text) in [
        ("ip-address", "203.0.113.7"),
        ("hostname", "desktop <1>"),
        ("port", "4172"),
        ("session-id", "1"),
        ("connect-tag", "SCS1<&>"),
    ] {
        assert_eq!(target.child_text(name), Some(text));
    }
    let [mut told, mut asked] = [Seen::of(read.root()), Seen::of(given.root())];
    for tree in [&mut told, &mut asked] {
        let message = &mut tree.children()[0];
        let place = message.children().iter().position(|child| child.name() == "target");
        message.children().remove(place.expect("it is there"));
    }
    assert_eq!(told, asked.named("pcoip-client"));
}
