//! Individual requests of a client, and the responses as they were sent.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use pcoip_cmsgd::{
    reload::Files,
    tls::{Trust, client_config},
};
use rustls::{ClientConnection, StreamOwned};
use tokio::task::spawn_blocking;

use super::PATIENCE;

/// Says hello, and returns the answer.
pub(crate) async fn hello(connection_manager: SocketAddr) -> String {
    last_answer(connection_manager, &STEPS[..1]).await
}

/// Continues up to the request for a resource, and returns the response to that.
pub(crate) async fn allocate(connection_manager: SocketAddr) -> String {
    last_answer(connection_manager, STEPS).await
}

/// From the hello to the allocation, as the simulators expect it.
const STEPS: &[&str] = &[
    "<hello><client-info><product-name>Bare client</product-name><device-name>bare</device-name>\
     </client-info></hello>",
    "<authenticate method=\"password\"><username>amelia</username>\
     <password>correct horse</password><domain>example.com</domain></authenticate>",
    "<authenticate method=\"dialog\"><fields><field><id>PASSCODE</id><text>123456</text></field>\
     </fields><button-id>LOGIN</button-id></authenticate>",
    "<get-resource-list><protocols><protocol>PCOIP</protocol></protocols></get-resource-list>",
    "<allocate-resource><resource-id>1</resource-id><protocol>PCOIP</protocol><client-info>\
     <time-zone-windows>UTC</time-zone-windows><ip-address>127.0.0.1</ip-address>\
     <mac-address>02:00:00:00:00:01</mac-address></client-info></allocate-resource>",
];

async fn last_answer(address: SocketAddr, steps: &'static [&str]) -> String {
    let conversation = move || {
        let (mut cookie, mut answer) = (String::new(), String::new());
        for step in steps {
            answer = post(address, &cookie, step);
            if let Some((_, set)) = answer.split_once("Set-Cookie: ") {
                cookie = set.split(';').next().unwrap_or_default().to_owned();
            }
        }
        answer
    };
    spawn_blocking(conversation).await.expect("the conversation ends")
}

fn post(address: SocketAddr, cookie: &str, message: &str) -> String {
    let body = format!("<pcoip-client version=\"2.1\">{message}</pcoip-client>");
    let request = format!(
        "POST /pcoip-broker/xml HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/xml\r\n\
         Cookie: {cookie}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let config = client_config(&Trust::Off, &Files::default()).expect("anyone can be trusted");
    let connection = ClientConnection::new(config, address.ip().into());
    let socket = TcpStream::connect(address).expect("the connection manager listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut stream = StreamOwned::new(connection.expect("the configuration is right"), socket);
    stream.write_all(request.as_bytes()).expect("a request can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    answer
}
