//! Certificates and keys that are replaced while the roles are running.

use std::{net::SocketAddr, path::Path, time::Duration};

use cmsg_config::socket::{Role, tell};
use e2e::site::Site;
use pcoip_cmsgd::{
    reload::Files,
    tls::{Trust, client_config},
};
use pcoip_sim::{client, layout::Layout};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const WAIT: Duration = Duration::from_secs(20);

async fn connect(to: SocketAddr) -> TlsStream<TcpStream> {
    let config = client_config(&Trust::Off, &Files::default()).expect("anyone can be trusted");
    let stream = TcpStream::connect(to).await.expect("somebody listens");
    let name = "localhost".try_into().expect("it is a name");
    TlsConnector::from(config).connect(name, stream).await.expect("TLS is spoken")
}

/// The certificate that a listener shows.
async fn shown(to: SocketAddr) -> Vec<u8> {
    let stream = connect(to).await;
    let certificates = stream.get_ref().1.peer_certificates();
    certificates.expect("it shows one")[0].to_vec()
}

/// Replaces a key pair like the installer does, each file atomically.
fn replace(folder: &Path, certificate: &str, key: &str) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.expect("a certificate can be made");
    put(folder, certificate, &made.cert.pem());
    put(folder, key, &made.signing_key.serialize_pem());
    made.cert.der().to_vec()
}

fn put(folder: &Path, name: &str, text: &str) {
    let mut file = tempfile::NamedTempFile::new_in(folder).expect("a file can be made");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("a file can be written");
    file.persist(folder.join(name)).expect("a file can be put in place");
}

async fn reload(site: &Site, role: Role) -> Result<(), String> {
    let run = site.run().to_owned();
    let told = tokio::task::spawn_blocking(move || tell(&run, role, "/reload", WAIT)).await;
    told.expect("it is told").map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_and_no_connection_is_lost() {
    let site = Site::start(Layout::Little).await;
    let listeners = [site.connection_manager, site.gateway];
    let mut open = connect(site.connection_manager).await;
    let before = shown(site.gateway).await;

    let made = replace(site.run(), "cmsg.crt", "cmsg.key");
    assert_eq!(shown(site.gateway).await, before);
    for role in [Role::Cm, Role::Sg] {
        assert_eq!(reload(&site, role).await, Ok(()));
    }

    for listener in listeners {
        assert_eq!(shown(listener).await, made);
    }
    open.write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is open");
    let mut answer = [0; 12];
    open.read_exact(&mut answer).await.expect("it is answered");
    assert_eq!(&answer, b"HTTP/1.1 404");
    drop(open);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_leave_all_as_it_was() {
    let site = Site::start(Layout::Little).await;
    let before = shown(site.gateway).await;

    replace(site.run(), "cmsg.crt", "another.key");
    let unlike = reload(&site, Role::Sg).await.unwrap_err();
    put(site.run(), "cmsg.crt", "nothing");
    let empty = reload(&site, Role::Cm).await.unwrap_err();

    let folder = site.run().display().to_string();
    let said = format!("using certificate `{folder}/cmsg.crt` with key `{folder}/cmsg.key`");
    assert!(unlike.starts_with(&said), "{unlike}");
    let said =
        format!("reading certificates from `{folder}/cmsg.crt`: contains no PEM certificate");
    assert!(empty.starts_with(&said), "{empty}");
    for listener in [site.connection_manager, site.gateway] {
        assert_eq!(shown(listener).await, before);
    }
    assert!(client::walk(&site.client()).await.ok);
    std::fs::remove_file(site.run().join("another.key")).expect("the story's own file is there");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_are_signed_and_verified_with_the_new_pair() {
    let site = Site::start(Layout::Little).await;
    replace(site.run(), "jwt.crt", "jwt.key");

    reload(&site, Role::Cm).await.unwrap();
    let half = client::walk(&site.client()).await;
    reload(&site, Role::Sg).await.unwrap();
    let whole = client::walk(&site.client()).await;

    assert!(!half.ok, "the gateway knows the old certificate only");
    assert_eq!(whole.error, None);
    site.stop().await;
}
