//! The secrets that clients, brokers and agents send to the roles.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    time::Duration,
};

use cmsg_config::socket::{self, Connections, Role, Status};
use pcoip_sim::{
    agent, broker, client, credentials::Credentials, faults::Fault, layout::Layout, tag::Tag,
    tls::CertificateKind,
};

use crate::{
    marks::Marks,
    place::{INSTALL, Place},
    talk::Talk,
    watch::Watch,
};

pub(crate) const ASK: Duration = Duration::from_secs(20);
pub(crate) const PASSWORD: &str = "pass&w<ord 'Amelia' 5Kq+";
const WRONG: &str = "wrong\"pass word=8Zt/";
pub(crate) const PASSCODE: &str = "90417733556";
const FACTOR: &str = "factor>two 3Hm~";
const BEARER: &str = "bearer.Secret-9Lw.xyz";
const COOKIE: &str = "0123456789ABCDEF9Qz0123456789ABC";
const EXTRA: &str = "extra*credential 2Vb";
const TAG: &str = "SCS1WrongTag0123456789abcdefghijklmnopqrstuvwxyz0123456789";

fn credentials() -> Credentials {
    Credentials {
        user: "amelia".to_owned(),
        password: PASSWORD.into(),
        domain: "example.com".to_owned(),
    }
}

fn any() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// An installation with a broker and an agent around it.
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) broker: broker::Broker,
    agent: agent::Agent,
}

impl Site {
    pub(crate) async fn start(level: &str) -> Self {
        let options = agent::Options {
            listen: any(),
            pcoip_listen: any(),
            layout: Layout::Little,
            transport_header: false,
            requires: agent::Requires::Nothing,
            expect: Some(credentials()),
        };
        let agent = agent::start(options).await.expect("the simulated agent starts");
        let options = broker::Options {
            listen: any(),
            certificate: CertificateKind::Plain,
            credentials: credentials(),
            passcode: PASSCODE.into(),
            resources: NonZeroU16::MIN,
            target: broker::Target {
                ips: vec![Ipv4Addr::LOCALHOST.into()],
                hostname: "localhost".to_owned(),
                port: agent.pcoip.port(),
            },
        };
        let broker = broker::start(options).await.expect("the simulated broker starts");
        let (url, port) = (
            format!("--broker-url=https://localhost:{}", broker.address.port()),
            format!("--agent-port={}", agent.https.port()),
        );
        let level = format!("\nLogLevel = {level}\n");
        let place = blocking(move || {
            let place = Place::fresh();
            place.done(&[&INSTALL[..], &[&url, &port]].concat(), &Marks::default());
            let paths = place.paths();
            for conf in [paths.connection_manager_conf(), paths.security_gateway_conf()] {
                let file = OpenOptions::new().append(true).open(conf);
                let written = file.and_then(|mut file| file.write_all(level.as_bytes()));
                written.expect("a configuration can be changed");
            }
            place.done(&["install"], &Marks::default());
            place
        })
        .await;
        Self { place, broker, agent }
    }

    pub(crate) fn status(&self, role: Role) -> Status {
        let status = socket::get(&self.place.paths().run(), role, "/status", ASK);
        status.expect("the role answers")
    }

    pub(crate) fn address(&self, role: Role, key: &str) -> SocketAddr {
        let status = self.status(role);
        status.listens.iter().find(|listen| listen.key == key).expect("it listens").address
    }

    pub(crate) fn talk(&self) -> Talk {
        let address = self.address(Role::Cm, "broker");
        Talk::with(address, &self.place.paths().certs().join("cmsg.crt"))
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

pub(crate) const HELLO: &str = "<hello><client-info><product-name>Anyware PCoIP Desktop Client</product-name>\
    <device-name>laptop</device-name></client-info></hello>";
pub(crate) const LIST: &str = "<get-resource-list />";
pub(crate) const ALLOCATE: &str = "<allocate-resource><resource-id>1</resource-id><client-info>\
    <ip-address>192.0.2.7</ip-address><mac-address>02:00:00:00:00:01</mac-address></client-info>\
    </allocate-resource>";

pub(crate) fn password(password: &str) -> String {
    format!(
        "<authenticate method=\"password\" token=\"{0}\"><username>amelia</username>\
         <password>{1}</password><domain>example.com</domain><saml>{0}</saml></authenticate>",
        escape(EXTRA),
        escape(password)
    )
}

pub(crate) fn factor(code: &str) -> String {
    format!(
        "<authenticate method=\"dialog\"><fields><field><id>PASSCODE</id><text>{}</text></field>\
         </fields><button-id>LOGIN</button-id></authenticate>",
        escape(code)
    )
}

/// The secrets of a session.
struct Told {
    marks: Marks,
    tag: Tag,
}

/// Logs on with one failure at every step, and gets a desktop.
async fn log_on(site: &Site) -> Told {
    let mut marks = Marks::of([
        ("password", PASSWORD),
        ("wrong password", WRONG),
        ("passcode", PASSCODE),
        ("wrong passcode", FACTOR),
        ("authorization", BEARER),
        ("cookie of nobody", &COOKIE[4..28]),
        ("credential of another kind", EXTRA),
        ("tag of nobody", &TAG[..TAG.len() - 12]),
    ]);
    let mut talk = site.talk();
    fails_before(&mut talk).await;
    for (message, wanted) in [
        (HELLO.to_owned(), "hello-resp"),
        (password(WRONG), "AUTH_FAILED"),
        (password(PASSWORD), "INCOMPLETE"),
        (factor(FACTOR), "AUTH_FAILED"),
        (factor(PASSCODE), "SUCCESSFUL_AND_COMPLETE"),
        (LIST.to_owned(), "LIST_SUCCESSFUL"),
    ] {
        let answer = talk.ask(&message).await;
        assert!(answer.contains(wanted), "{wanted}: {answer}");
    }
    fails_to_get_a_desktop(site).await;

    let answer = talk.ask(ALLOCATE).await;
    let tag = answer.split_once("<connect-tag>").and_then(|(_, rest)| rest.split_once('<'));
    let (tag, _) = tag.unwrap_or_else(|| panic!("no tag: {answer}"));
    marks.add("session tag", &tag[..tag.len() - 12]);
    let cookie = talk.cookie.as_ref().expect("the session has a cookie");
    marks.add("client's cookie", &cookie[4..cookie.len() - 4]);
    let cookies: BTreeSet<_> = site.broker.faults.cookies().into_iter().collect();
    assert!(!cookies.is_empty(), "the broker has set one");
    for cookie in cookies {
        marks.add("broker's cookie", &cookie[4..cookie.len() - 4]);
    }
    Told { marks, tag: Tag::parse(tag).expect("it is a tag") }
}

/// Requests of another client, and invalid requests.
async fn fails_before(talk: &mut Talk) {
    let headers = format!("Authorization: Bearer {BEARER}\r\nX-Token: {BEARER}\r\n");
    let torn = format!("<pcoip-client version=\"2.1\">{}", password(PASSWORD));
    let odd = format!("<a>{}</a>", escape(EXTRA));
    let path = format!("/pcoip-broker/xml?password={BEARER}");
    for (path, body) in [
        ("/pcoip-broker/xml", torn.as_str()),
        ("/pcoip-broker/xml", &torn[..torn.len() - 30]),
        ("/pcoip-broker/xml", &odd),
        ("/pcoip-sg/xml", &odd),
        (&path, &odd),
        (&format!("/{BEARER}"), ""),
    ] {
        talk.post(path, &headers, body).await;
    }
    let mut stranger = Some(COOKIE.to_owned());
    std::mem::swap(&mut talk.cookie, &mut stranger);
    talk.ask(&password(PASSWORD)).await;
    talk.cookie = None;
}

/// Failed launches and allocations, whose responses contain credentials.
async fn fails_to_get_a_desktop(site: &Site) {
    let extra = escape(EXTRA);
    let outcome = |id: &str| {
        format!("<result-id>{id}</result-id><session-key>{extra}</session-key><x y=\"{extra}\"/>")
    };
    let said = format!("<allocate-resource-resp><token>{extra}</token></allocate-resource-resp>");
    let (agent, broker) = (&site.agent.faults, &site.broker.faults);
    for (faults, message, fault) in [
        (agent, "launch-session", Fault::agent_says(&outcome("FAILED_USER_AUTH"))),
        (agent, "launch-session", Fault::agent_says(&outcome("SUCCESSFUL"))),
        (agent, "launch-session", Fault::Document(format!("<pcoip-agent><{extra}"))),
        (broker, "allocate-resource", Fault::broker_says(&said)),
        (broker, "allocate-resource", Fault::Document(format!("<pcoip-broker><{extra}"))),
    ] {
        let mut talk = site.talk();
        for message in [HELLO.to_owned(), password(PASSWORD), factor(PASSCODE)] {
            talk.ask(&message).await;
        }
        faults.next(message, fault);
        let answer = talk.ask(ALLOCATE).await;
        assert!(!answer.contains("<connect-tag>"), "{answer}");
    }
}

/// A session at this log level, whose secrets are searched for.
async fn story(level: &str) {
    let site = Site::start(level).await;
    let watch = Watch::start(site.place.folder());
    let Told { marks, tag } = log_on(&site).await;
    let gateway = site.address(Role::Sg, "pcoip");
    let options = client::SessionOptions { datagrams: 20, ..client::SessionOptions::default() };

    let visited = client::visit(gateway, tag, &options).await;
    let wrong = client::visit(gateway, Tag::parse(TAG).expect("it is one"), &options).await;

    assert!(visited.is_ok(), "{visited:?}");
    assert!(wrong.is_err());
    let (run, at_trace) = (site.place.paths().run(), level == "TRACE");
    let place = blocking(move || {
        for role in [Role::Cm, Role::Sg] {
            let told = socket::get::<Connections>(&run, role, "/connections", ASK);
            let told = serde_json::to_vec(&told.expect("it answers")).expect("it is JSON");
            assert_eq!(marks.find(&told), [""; 0], "{}", String::from_utf8_lossy(&told));
        }
        let Site { place, .. } = site;
        place.done(&["status", "--output=json"], &marks);
        let logged = place.logged();
        assert!(logged.contains("Received request from client (authenticate)"), "{logged}");
        let has_documents = logged.contains("<authenticate method=\"password\"");
        assert_eq!(has_documents, at_trace, "{logged}");
        assert_eq!(place.holds_secrets_in_their_places(&marks), [""; 0]);
        let sessions = place.paths().state().join("connection-manager.sessions");
        assert!(fs::read(sessions).is_ok_and(|sealed| !sealed.is_empty()));
        place.done(&["uninstall", "--yes", "--verbose"], &marks);
        assert_eq!(place.holds_secrets_in_their_places(&marks), [""; 0]);
        for process in watch.end() {
            let told = [&process.words, &process.environment].map(|bytes| marks.find(bytes));
            assert_eq!(told, [vec![], vec![]] as [Vec<String>; 2], "{process:?}");
        }
        place
    });
    drop(place.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_carried_without_its_secrets_at_debug() {
    story("DEBUG").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_carried_without_its_secrets_at_trace() {
    story("TRACE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_log_would_be_found() {
    let site = Site::start("TRACE").await;
    let mut talk = site.talk();
    talk.ask(HELLO).await;
    talk.ask(&password(WRONG)).await;
    let shown = Marks::of([("what the log shows of a user", ">amelia<")]);

    let is_found = blocking(move || {
        let Site { place, .. } = site;
        std::panic::catch_unwind(|| place.holds_secrets_in_their_places(&shown)).is_err()
    });

    assert!(is_found.await, "the search looks past the logs");
}
