//! Unusual certificates of brokers and agents, created with `openssl`: the verifier's result for
//! each, and the response to clients if one is refused.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use cmsg_config::values::Pin;
use pcoip_cmsgd::{
    reload::Files,
    tls::{Trust, client_config},
};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, pki_types::ServerName};

use e2e::needs::{Need, met};
use openssl::{Made, Workshop};
use table::{COLUMNS, ISSUERS, NOTHING_LISTED, RENEWED, ROWS, Row, TRUSTED, UNKNOWN};

#[path = "odd_certificates/exchange.rs"]
mod exchange;
#[path = "odd_certificates/openssl.rs"]
mod openssl;
#[path = "odd_certificates/pair.rs"]
mod pair;
#[path = "odd_certificates/roles.rs"]
mod roles;
#[path = "odd_certificates/table.rs"]
mod table;

#[test]
fn every_certificate_is_judged_as_the_table_says() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let workshop = stocked();

    let wrong: Vec<_> = ROWS.iter().flat_map(|row| judge(&workshop, row)).collect();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_pin_adds_to_the_authorities_and_does_not_narrow_them() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let workshop = stocked();
    workshop.make(PEER, &Made::ORDINARY);
    let pins = vec![workshop.certificate_pin("unrelated"), workshop.key_pin("unrelated")];
    let trust = Trust::Verify { ca_certificates: vec![workshop.certificate("root")], pins };
    let server = workshop.serve(PEER, None, ProtocolVersion::TLSv1_3);

    let config = client_config(&trust, &Files::default()).unwrap();

    assert_eq!(told(&config, Made::ORDINARY.subject, &server), TRUSTED);
}

/// A workshop with all issuers.
fn stocked() -> Workshop {
    let workshop = Workshop::open();
    ISSUERS.iter().for_each(|(name, made)| workshop.make(name, made));
    workshop
}

/// File name of the tested certificate.
const PEER: &str = "peer";

/// Presents a row's certificate, and returns the differences from the row.
fn judge(workshop: &Workshop, row: &Row) -> Vec<String> {
    workshop.make(PEER, &row.made);
    workshop.certify(RENEWED, PEER, &row.made);
    let configs = trusts(workshop, row)
        .map(|trust| client_config(&trust, &Files::default()).expect("it is usable"));
    let mut wrong = Vec::new();
    for version in row.versions {
        let server = workshop.serve(PEER, row.sent, *version);
        for ((config, column), expected) in configs.iter().zip(COLUMNS).zip(row.cells) {
            let told = told(config, row.called, &server);
            // Without any CA, the verifier does not check further.
            let bare = column == NOTHING_LISTED && told == UNKNOWN;
            if !bare && !fits(&told, expected) {
                let what = row.what;
                wrong.push(format!("{what}, {version:?}, {column}: {told}, not {expected}"));
            }
        }
    }
    wrong
}

/// The trust settings of each of the [`COLUMNS`].
fn trusts(workshop: &Workshop, row: &Row) -> [Trust; COLUMNS.len()] {
    let listed = |name| vec![workshop.certificate(name)];
    let verify =
        |ca_certificates: Vec<PathBuf>, pins: Vec<Pin>| Trust::Verify { ca_certificates, pins };
    let other = vec![workshop.certificate_pin("unrelated"), workshop.key_pin("unrelated")];
    [
        verify(listed(PEER), vec![]),
        verify(vec![], vec![workshop.certificate_pin(PEER)]),
        verify(vec![], vec![workshop.key_pin(PEER)]),
        verify(listed(row.authority), vec![]),
        verify(listed("unrelated"), other),
        verify(vec![], vec![]),
        Trust::Off,
    ]
}

/// The result of connecting to the server: [`TRUSTED`], or the error.
fn told(config: &Arc<ClientConfig>, called: &str, server: &openssl::Server) -> String {
    match handshake(config, called, server.address) {
        Ok(version) => {
            assert_eq!(version, Some(server.version));
            TRUSTED.to_owned()
        }
        Err(error) => error.to_string(),
    }
}

fn handshake(
    config: &Arc<ClientConfig>,
    called: &str,
    address: SocketAddr,
) -> io::Result<Option<ProtocolVersion>> {
    let name = ServerName::try_from(called.to_owned()).expect("it is a name or an address");
    let mut connection =
        ClientConnection::new(Arc::clone(config), name).expect("the configuration is right");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    connection.send_close_notify();
    connection.complete_io(&mut stream)?;
    Ok(connection.protocol_version())
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the result matches. `…` matches text that differs each time.
fn fits(told: &str, expected: &str) -> bool {
    let Some((head, rest)) = expected.split_once('…') else { return told == expected };
    told.strip_prefix(head)
        .is_some_and(|told| told.char_indices().any(|(skipped, _)| fits(&told[skipped..], rest)))
}
