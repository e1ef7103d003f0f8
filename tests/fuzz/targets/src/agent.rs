//! A launch request has the given values, and a response is only accepted if it is usable.

use cmsg_proto::{
    SessionTag,
    agent::{LaunchSession, Launched},
    broker::Logon,
    xml::{Document, MAX_BYTES},
};
use secrecy::ExposeSecret;

use crate::{input::Input, tree::representable};

/// Parses bytes as an agent's response, and as the values of a request.
pub fn run(data: &[u8]) {
    if let Ok(Launched::Session(info)) = Launched::parse(data) {
        assert!(info.port != 0);
        let tag = info.session_tag.expose();
        assert!((1..=SessionTag::MAX_BYTES).contains(&tag.len()));
        assert!(!format!("{info:?}").contains(tag) || tag.len() < 12);
    }
    ask(&mut Input::new(data));
}

fn ask(input: &mut Input<'_>) {
    let logon = Logon {
        username: input.text(),
        password: Some(input.text().into()),
        domain: Some(input.text()),
    };
    let [hostname, mac, client, name, license, zone] = [(); 6].map(|()| input.text());
    let id = "0b1c2d3e-0000-4000-8000-00000000000a".parse().expect("it is one");
    let asked = LaunchSession {
        ip_address: Some(input.ip()),
        hostname: Some(&hostname),
        logon: Some(&logon),
        client_mac: Some(&mac),
        client_ip: Some(&client),
        client_name: Some(&name),
        license_path: &license,
        session_log_id: &id,
        time_zone_windows: Some(&zone),
    };
    let sent = asked.render();
    let document = Document::parse(sent.as_bytes(), MAX_BYTES).expect("we write documents");
    let message = &document.root().children()[0];
    let on = message.child("logon").expect("there is always one");
    let password = logon.password.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    for (element, name, text) in [
        (on, "username", logon.username.as_str()),
        (on, "password", password),
        (on, "domain", logon.domain.as_deref().unwrap_or_default()),
        (message, "hostname", &hostname),
        (message, "client-mac", &mac),
        (message, "client-ip", &client),
        (message, "client-name", &name),
        (message, "license-path", &license),
        (message, "time-zone-windows", &zone),
    ] {
        let told = element.child(name).expect("every element is there").whole_text();
        assert_eq!(told, representable(text), "{name}");
    }
    assert_eq!(document.root().children().len(), 1);
    assert_eq!(message.children().len(), 10);
}
