//! The client's session with the simulated agent in this process.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncWriteExt as _, BufReader};

use super::*;
use crate::agent::{self, Agent};
use crate::datagram::DatagramSize;
use crate::http::body::{read_body, read_head};
use crate::http::message::{Headers, Request};
use crate::layout::Layout;
use crate::tag::Tag;
use crate::tls::Trust;
use crate::traffic::Datagrams;
use crate::xml;

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn start_agent(layout: Layout, transport_header: bool) -> Agent {
    let options = agent::Options {
        listen: ANY_PORT,
        pcoip_listen: ANY_PORT,
        layout,
        transport_header,
        requires: agent::Requires::Nothing,
        expect: None,
    };
    agent::start(options).await.unwrap()
}

/// Launches a session like a Connection Manager, and returns its target.
async fn launch(agent: &Agent, connectors: &Connectors) -> Target {
    let body = "<pcoip-agent version=\"1.0\"><launch-session>\
        <session-type>UNSPECIFIED</session-type><ip-address>127.0.0.1</ip-address>\
        <hostname>localhost</hostname><logon method=\"windows-password\"><username>u</username>\
        <password>p</password><domain>d</domain></logon><client-mac>m</client-mac>\
        <client-ip>127.0.0.1</client-ip><client-name>c</client-name><license-path />\
        <session-log-id>i</session-log-id><time-zone-windows />\
        </launch-session></pcoip-agent>"
        .to_owned();
    let (method, path) = ("POST".to_owned(), "/pcoip-agent/xml".to_owned());
    let request = Request { method, path, headers: Headers::default(), body };
    let stream = TcpStream::connect(agent.https).await.unwrap();
    let name = tls::server_name("localhost").unwrap();
    let mut stream = BufReader::new(connectors.broker.connect(name, stream).await.unwrap());
    stream.write_all(request.render().as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await.unwrap().unwrap();
    let body = read_body(&mut stream, &head.headers).await.unwrap();
    let root = xml::parse(&body).unwrap();
    let info = root.at(&["launch-session-resp", "session-info"]).unwrap();
    let text = |name| info.text_at(&[name]).unwrap().to_owned();
    Target {
        ip: text("ip-address").parse().unwrap(),
        port: text("port").parse().unwrap(),
        sni: text("sni"),
        session_id: text("session-id"),
        tag: Tag::parse(&text("session-tag")).unwrap(),
    }
}

#[tokio::test]
async fn a_session_runs_straight_to_the_agent_in_every_layout() {
    let table = [(Layout::Little, false), (Layout::Big, false), (Layout::Scrambled, true)];

    for (layout, transport_header) in table {
        let mut agent = start_agent(layout, transport_header).await;
        let connectors = Connectors::new(&Trust::Any).unwrap();
        let target = launch(&agent, &connectors).await;
        let traffic = Arc::new(Traffic::default());
        let datagram_size = DatagramSize::new(1200).unwrap();
        let options =
            SessionOptions { layout, transport_header, datagram_size, ..Default::default() };
        let mut record = Record::default();
        let way = Way { options: &options, connectors: &connectors, traffic: &traffic, target };

        let mut session = Session::open(way, &mut record).await.unwrap();
        session.exchange(50).await.unwrap();
        session.bye().await.unwrap();
        agent.stop().await;

        let mut said = Vec::new();
        while let Ok(event) = agent.events.try_recv() {
            said.push(event);
        }
        let sent = 50 + record.retransmitted;
        let expected = Datagrams { datagrams: sent, bytes: sent * 1200 };
        assert_eq!(traffic.totals().udp.to_agent, expected, "{layout:?}");
        assert!(!said.iter().any(|event| matches!(event, agent::Event::Violation { .. })));
        let Some(agent::Event::Totals { traffic: theirs, udp_rejected: 0, udp_source_ports }) =
            said.last()
        else {
            panic!("{said:?}")
        };
        assert_eq!((theirs.tcp, theirs.udp.to_agent), (traffic.totals().tcp, expected));
        assert_eq!(udp_source_ports.len(), 1);
    }
}
