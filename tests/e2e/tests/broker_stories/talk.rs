//! A client whose exact bytes a test controls and sees.

use std::{sync::Arc, time::Duration};

use cmsg_config::socket::{self, Role, Status};
use e2e::{
    leaks,
    site::{Line, Plan, Site},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longer than any step of a test.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// The session log id of every talk.
pub(crate) const ID: &str = "0b1c2d3e-0000-4000-8000-00000000000a";

pub(crate) const HELLO: &str = "<hello><client-info><product-name>Anyware PCoIP Desktop Client</product-name>\
    <device-name>laptop</device-name></client-info></hello>";
pub(crate) const PASSWORD: &str = "<authenticate method=\"password\"><username>amelia</username>\
    <password>correct horse</password><domain>example.com</domain></authenticate>";
pub(crate) const PASSCODE: &str = "<authenticate method=\"dialog\"><fields><field><id>PASSCODE</id>\
    <text do-not-log=\"true\">123456</text></field></fields><button-id>LOGIN</button-id>\
    </authenticate>";
pub(crate) const LIST: &str = "<get-resource-list />";
pub(crate) const ALLOCATE: &str = "<allocate-resource><resource-id>1</resource-id><client-info>\
    <ip-address>192.0.2.7</ip-address><mac-address>02:00:00:00:00:01</mac-address></client-info>\
    </allocate-resource>";
pub(crate) const BYE: &str = "<bye />";

/// One connection to the Connection Manager.
pub(crate) struct Talk {
    stream: BufReader<TlsStream<TcpStream>>,
    pub(crate) cookie: Option<String>,
}

/// A response with the exact text of its head.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header with this exact spelling.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Talk {
    pub(crate) async fn open(site: &Site) -> Self {
        Self::with(site, None).await
    }

    /// A new connection with this cookie.
    pub(crate) async fn with(site: &Site, cookie: Option<String>) -> Self {
        Self::from(site, "127.0.0.1", cookie).await
    }

    /// A new connection from that address.
    pub(crate) async fn from(site: &Site, from: &str, cookie: Option<String>) -> Self {
        Self::over(TcpSocket::new_v4().expect("there is IPv4"), site, from, cookie).await
    }

    /// A new connection from this address with a small receive buffer.
    pub(crate) async fn slow(site: &Site, from: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("there is IPv4");
        socket.set_recv_buffer_size(64 * 1024).expect("it is allowed");
        Self::over(socket, site, from, None).await
    }

    async fn over(socket: TcpSocket, site: &Site, from: &str, cookie: Option<String>) -> Self {
        socket.bind(format!("{from}:0").parse().expect("it is an address")).expect("it is free");
        let stream = socket.connect(site.connection_manager).await.expect("it listens");
        leaks::own(&stream);
        let name = "localhost".try_into().expect("it is a name");
        let stream = connector(site).connect(name, stream).await.expect("it speaks TLS");
        Self { stream: BufReader::new(stream), cookie }
    }

    /// A client that has logged on and listed its desktops.
    pub(crate) async fn logged_on(site: &Site) -> Self {
        let mut talk = Self::open(site).await;
        talk.log_on().await;
        talk
    }

    pub(crate) async fn log_on(&mut self) {
        for message in [HELLO, PASSWORD, PASSCODE] {
            let answer = self.ask(message).await;
            assert!(!answer.contains("FAILED") && !answer.contains("error-resp"), "{answer}");
        }
    }

    /// Sends a message in the session, and returns the document of the response.
    pub(crate) async fn ask(&mut self, message: &str) -> String {
        self.post(message).await.body
    }

    /// Sends a message in the session and returns the whole answer.
    pub(crate) async fn post(&mut self, message: &str) -> Answer {
        self.send(&self.request(message)).await;
        self.answer().await
    }

    /// A message in the session as HTTP.
    pub(crate) fn request(&self, message: &str) -> String {
        let body = client(message);
        let cookie = self.cookie.as_ref().map(|c| format!("Cookie: JSESSIONID={c}\r\n"));
        format!(
            "POST /pcoip-broker/xml HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n\
             CLIENT-LOG-ID: {ID}\r\n{}Content-Length: {}\r\n\r\n{body}",
            cookie.unwrap_or_default(),
            body.len()
        )
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("it is taken");
        self.stream.flush().await.expect("it is taken");
    }

    /// Reads a response. A cookie that it sets is sent from now on.
    pub(crate) async fn answer(&mut self) -> Answer {
        let answer = timeout(WAIT, self.read()).await.expect("it answers in time");
        if let Some(cookie) = answer.header("Set-Cookie") {
            let value = cookie.strip_prefix("JSESSIONID=").expect("it is the session's cookie");
            self.cookie = Some(value.split(';').next().unwrap_or_default().to_owned());
        }
        answer
    }

    /// Waits until a response begins, without reading it.
    pub(crate) async fn answer_begins(&mut self) {
        let begun = timeout(WAIT, self.stream.fill_buf()).await.expect("it answers in time");
        assert!(!begun.expect("an answer comes").is_empty(), "the connection ended");
    }

    /// Whether the connection has ended without further data.
    pub(crate) async fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        // The connection may end without a TLS close_notify alert.
        let _ = timeout(WAIT, self.stream.read_to_end(&mut rest)).await.expect("it ends in time");
        rest.is_empty()
    }

    async fn read(&mut self) -> Answer {
        let status = self.line().await;
        let mut head = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let mut answer = Answer { status, head, body: String::new() };
        let mut body = Vec::new();
        if answer.header("Transfer-Encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(&self.line().await, 16).expect("a chunk's size");
                self.take(size, &mut body).await;
                assert_eq!(self.line().await, "", "a chunk ends with its line");
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = answer.header("Content-Length") {
            self.take(length.parse().expect("it is a number"), &mut body).await;
        } else if answer.status.starts_with("HTTP/1.0 ") {
            self.stream.read_to_end(&mut body).await.expect("it ends well");
        }
        answer.body = String::from_utf8(body).expect("it is UTF-8");
        answer
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.expect("a line comes");
        line.strip_suffix("\r\n").expect("a line has an end").to_owned()
    }

    async fn take(&mut self, size: usize, body: &mut Vec<u8>) {
        let start = body.len();
        body.resize(start + size, 0);
        self.stream.read_exact(&mut body[start..]).await.expect("the body comes whole");
    }
}

/// A TLS client that trusts the site's certificate.
pub(crate) fn connector(site: &Site) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(site.run().join("cmsg.crt"));
    roots.add(certificate.expect("it is a certificate")).expect("it can be trusted");
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What the Connection Manager says on its socket.
pub(crate) async fn status(site: &Site) -> Status {
    let run = site.run().to_owned();
    let ask = move || socket::get(&run, Role::Cm, "/status", WAIT);
    tokio::task::spawn_blocking(ask).await.expect("it does not panic").expect("it answers")
}

/// A site with these lines in `ConnectionManager.conf`.
pub(crate) async fn site(connection_manager: &'static str) -> Site {
    Site::planned(Plan { connection_manager, ..Plan::default() }).await
}

/// A message under the client's root.
pub(crate) fn client(message: &str) -> String {
    format!("<pcoip-client version=\"2.1\">{message}</pcoip-client>")
}

/// An `error-resp` of the Connection Manager.
pub(crate) fn refused(id: &str, text: &str, detail: &str) -> String {
    client(&format!(
        "<error-resp><result><result-id>{id}</result-id><result-str>{text}</result-str></result>\
         <detected-by>CM</detected-by><err-detail>{detail}</err-detail></error-resp>"
    ))
}

pub(crate) fn error_6606() -> String {
    let text =
        "Error 6606: Command failed. Please report this failure to your system administrator.";
    refused("ERR_INVALID_SESSION", text, "Unknown/expired JSESSIONID")
}

pub(crate) fn error_6608(detail: &str) -> String {
    let text = "Error 6608: Command failed due to a connection broker communication failure. Please \
                try again. If this failure persists, please report this failure to your system \
                administrator.";
    refused("ERR_BROKER_RESP_FAILED", text, detail)
}

pub(crate) fn error_6612(detail: &str) -> String {
    let text = "Error 6612: Command failed. Please try again. If this failure persists, please \
                report this failure to your system administrator.";
    refused("ERR_GENERIC", text, detail)
}

/// The response if the agent did not launch the session.
pub(crate) fn error_6405(reason: &str) -> String {
    client(&format!(
        "<allocate-resource-resp><result><result-id>ALLOC_FAILED_TO_ALLOCATE_AGENT</result-id>\
         <result-str>Error 6405: PCoIP Agent failed to launch the remote session. Please try again. \
         If this failure persists, please report this failure to your system administrator.\
         </result-str></result><fail-reason-str>[PCoIPAgent] {reason}</fail-reason-str>\
         </allocate-resource-resp>"
    ))
}

/// The warnings of the session, as class and message without the client's address.
pub(crate) fn warnings(site: &Site) -> Vec<(String, String)> {
    let of_session = |line: &Line| line.level == "WARN" && line.session == ID;
    let lines = site.log().into_iter().filter(of_session);
    lines.map(|line| (line.class, without_client(&line.message))).collect()
}

/// The message of a warning without its client.
pub(crate) fn without_client(message: &str) -> String {
    const CLIENT: &str = " client=127.0.0.1";
    assert!(message.contains(CLIENT), "a warning names the client: {message}");
    message.replacen(CLIENT, "", 1)
}

/// The last warning of the session.
pub(crate) fn last_warning(site: &Site) -> (String, String) {
    warnings(site).pop().expect("there is a warning")
}

/// A warning of that class.
pub(crate) fn warning(class: &str, message: &str) -> (String, String) {
    (class.to_owned(), message.to_owned())
}
