//! Rendered values can be parsed again, and unknown parts are forwarded.

use std::net::{IpAddr, SocketAddr};

use cmsg_proto::{
    SessionId, SessionKey, SessionTag, TagDigest, Time,
    agent::{LaunchSession, Launched},
    broker::{
        Authenticate, Authentication, BrokerCookies, ClientCookie, Logon, PcmInfo, Request,
        RequestKind, Response, ResponseKind, redact,
    },
    control::{AddConnection, Claims, Reply},
    gateway::{Spi, SpiCandidates},
    xml::{Document, MAX_BYTES, escape},
};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

/// Text with characters that must be escaped in XML.
fn text() -> impl Strategy<Value = String> {
    "[ -~\t\n\ré€<>&\"']{0,40}"
}

/// Unknown messages and elements.
fn foreign() -> impl Strategy<Value = String> {
    ("[a-z]{1,8}", "[a-z]{1,8}", text(), text()).prop_map(|(name, attribute, value, content)| {
        let (value, content) = (escape(&value), escape(&content));
        format!("<x:{name}  {attribute} = \"{value}\"\n><!-- {name} -->{content}<y/></x:{name} >")
    })
}

fn id() -> impl Strategy<Value = SessionId> {
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
        .prop_map(|id| id.parse().expect("it has the shape"))
}

fn announcement() -> impl Strategy<Value = AddConnection> {
    let host = any::<IpAddr>().prop_filter("an agent has one address", |ip| {
        let ip = ip.to_canonical();
        !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::from([255; 4])
    });
    let agent = (host, 1_u16..).prop_map(SocketAddr::from);
    let hostname = proptest::option::of("[a-z][a-z0-9_]{0,20}(\\.[a-z]{1,9})?");
    let key = proptest::option::of(any::<[u8; 16]>());
    let all = (agent, hostname, "[!-~]{1,400}", id(), key);
    all.prop_map(|(agent, hostname, tag, connection_id, key)| AddConnection {
        agent,
        hostname: hostname.map(|name| name.parse().expect("it is a name")),
        tag: SessionTag::parse(&tag).expect("it is printable"),
        connection_id,
        session_key: key.map(SessionKey::from_random),
    })
}

fn pcm() -> PcmInfo {
    PcmInfo {
        product_version: "1".to_owned(),
        ip_address: "192.0.2.9".to_owned(),
        hostname: "cm".to_owned(),
    }
}

proptest! {
    #[test]
    fn an_unknown_request_is_forwarded_unchanged(message in foreign()) {
        let given = format!("<pcoip-client version=\"2.1\" >{message}</pcoip-client>\n");

        let sent = Request::parse(given.as_bytes()).unwrap().to_broker(&pcm());

        prop_assert_eq!(sent, given.replace("pcoip-client", "pcoip-broker"));
    }

    #[test]
    fn a_hello_keeps_unknown_elements(before in foreign(), after in foreign()) {
        let hello = |inserted: &str| {
            format!("<hello>{before}<client-info/>{inserted}<caps><cap>A</cap>{after}")
        };
        let given = format!("<pcoip-client version='2.1'>{}</caps></hello></pcoip-client>", hello(""));

        let sent = Request::parse(given.as_bytes()).unwrap().to_broker(&pcm());

        let start = sent.find("<pcm-info>").unwrap();
        let end = sent.find("</pcm-info>").unwrap() + "</pcm-info>".len();
        let expected = hello(&sent[start..end]) + "<cap>CAP_ALTERNATE_CREDENTIALS</cap>";
        prop_assert_eq!(
            &sent,
            &format!("<pcoip-broker version='2.1'>{expected}</caps></hello></pcoip-broker>")
        );
    }

    #[test]
    fn a_response_keeps_unknown_elements(part in foreign()) {
        let given = format!(
            "<pcoip-broker version='2.1'><authenticate-resp><result><result-id>\
             AUTH_SUCCESSFUL_AND_INCOMPLETE</result-id></result>{part}</authenticate-resp>\
             </pcoip-broker>"
        );

        let response = Response::parse(given.as_bytes()).unwrap();

        prop_assert_eq!(response.kind(), &ResponseKind::Authenticate(Authentication::Incomplete));
        prop_assert_eq!(
            response.to_client(&pcm()),
            given.replace("pcoip-broker", "pcoip-client")
        );
    }

    #[test]
    fn a_password_is_kept_as_typed_and_not_logged(
        password in "[A-Z<>&\"' ]{0,20}HUNTER2[A-Z<>&\"' ]{0,20}",
    ) {
        let given = format!(
            "<pcoip-client version='2.1'><authenticate method='password'><username>u</username>\
             <password>{}</password></authenticate></pcoip-client>", escape(&password)
        );

        let request = Request::parse(given.as_bytes()).unwrap();

        prop_assert!(!request.redacted().contains("HUNTER2"));
        let shown = format!("{:?}", request.kind());
        prop_assert!(!shown.contains("HUNTER2"));
        let RequestKind::Authenticate(Authenticate { logon: Some(logon), .. }) = request.kind()
        else {
            panic!("{shown}")
        };
        prop_assert_eq!(logon.password.as_ref().unwrap().expose_secret(), password);
    }

    #[test]
    fn every_text_reaches_the_agent_unchanged(user in text(), password in text(), name in text()) {
        let session_log_id = "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap();
        let secret = Some(password.clone().into());
        let logon = Logon { username: user.clone(), password: secret, domain: None };

        let sent = LaunchSession {
            ip_address: None,
            hostname: None,
            logon: Some(&logon),
            client_mac: None,
            client_ip: None,
            client_name: Some(&name),
            license_path: "",
            session_log_id: &session_log_id,
            time_zone_windows: None,
        }
        .render();

        let document = Document::parse(sent.as_bytes(), MAX_BYTES).unwrap();
        let message = document.root().child("launch-session").unwrap();
        let logon = |element: &str| message.child("logon").unwrap().child(element).unwrap();
        prop_assert_eq!(logon("username").whole_text(), &user);
        prop_assert_eq!(logon("password").whole_text(), &password);
        prop_assert_eq!(message.child("client-name").unwrap().whole_text(), &name);
        prop_assert!(Launched::parse(sent.as_bytes()).is_err());
    }

    #[test]
    fn an_announcement_is_parsed_as_rendered(announced in announcement()) {
        let read = AddConnection::parse(announced.render().as_bytes()).unwrap();

        prop_assert_eq!(read.agent.ip(), announced.agent.ip().to_canonical());
        prop_assert_eq!(read.agent.port(), announced.agent.port());
        prop_assert_eq!(read.tag.expose(), announced.tag.expose());
        prop_assert_eq!(&read.hostname, &announced.hostname);
        prop_assert_eq!(&read.connection_id, &announced.connection_id);
        let shown = redact::bytes(announced.render().as_bytes());
        prop_assert!(announced.tag.expose().len() < 16 || !shown.contains(announced.tag.expose()));
    }

    #[test]
    fn a_refusals_reason_is_shortened_for_the_log(reason in "[!-~é][ -~é]{0,300}[!-~é]") {
        let read = Reply::parse(Reply::Refused { reason: reason.clone() }.render().as_bytes());

        let Ok(Reply::Refused { reason: read }) = read else { panic!("{read:?}") };
        prop_assert_eq!(read, reason.chars().take(200).collect::<String>());
    }

    #[test]
    fn claims_are_parsed_as_rendered_and_only_valid_for_their_announcement(
        announced in announcement(),
        other in announcement(),
        gateway: IpAddr,
        random: [u8; 16],
        now in 0_u64..1 << 48,
    ) {
        let now = Time::from_millis(now);
        let claims = Claims::of(&announced, gateway, random, now);

        let written = serde_json::to_vec(&claims).unwrap();

        prop_assert_eq!(&serde_json::from_slice::<Claims>(&written).unwrap(), &claims);
        prop_assert_eq!(claims.check(&announced, &[gateway], now), Ok(()));
        prop_assert!(claims.check(&other, &[gateway], now).is_err());
    }

    #[test]
    fn a_session_cookie_is_found_among_others(random: [u8; 16], others in "[a-zA-Z=]{0,20}") {
        let cookie = ClientCookie::from_random(random);

        let header = format!("{others}; JSESSIONID={}; {others}", cookie.expose());

        prop_assert_eq!(ClientCookie::find(&header), Some(cookie.clone()));
        prop_assert_eq!(ClientCookie::find(&cookie.set_cookie()), Some(cookie));
    }

    #[test]
    fn the_header_of_a_brokers_cookies_is_bounded(lines in prop::collection::vec("\\PC{0,40}", 0..40)) {
        let mut cookies = BrokerCookies::default();
        for line in &lines {
            let _ = cookies.store(line, Time::from_millis(0));
        }

        let header = cookies.header().unwrap_or_default();

        prop_assert!(header.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
        prop_assert!(header.split("; ").count() <= 16);
        let mut again = BrokerCookies::default();
        for pair in header.split("; ") {
            let _ = again.store(pair, Time::from_millis(0));
        }
        prop_assert_eq!(again, cookies);
    }

    #[test]
    fn digests_and_ids_are_parsed_as_printed(tag in "[!-~]{1,200}", id in id()) {
        let digest = SessionTag::parse(&tag).unwrap().digest();

        prop_assert_eq!(String::from(digest).parse::<TagDigest>(), Ok(digest));
        prop_assert_eq!(id.as_str().parse::<SessionId>(), Ok(id.clone()));
    }

    #[test]
    fn a_datagram_has_its_first_words_as_spis(datagram in prop::collection::vec(any::<u8>(), 0..12)) {
        let candidates = SpiCandidates::of(&datagram);

        let at = |place: usize| {
            let bytes = datagram.get(place..place + 4)?.try_into().ok()?;
            Some(Spi::from_bytes(bytes))
        };
        prop_assert_eq!(candidates.map(|candidates| candidates.first), at(0));
        prop_assert_eq!(candidates.and_then(|candidates| candidates.second), at(4));
    }
}
