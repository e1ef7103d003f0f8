//! Looks at the certificate that the connection broker shows, by a short TLS connect.

use std::{
    net::{TcpStream, ToSocketAddrs as _},
    sync::{Arc, Mutex, mpsc::channel},
    thread,
    time::Duration,
};

use cmsg_config::{
    cause,
    distrust::Distrust,
    names, pem,
    values::{HostPort, Pin},
};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    StreamOwned,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{
    content::Content,
    pki::{
        inspect::{self, Name},
        sha256,
    },
    shown::one_line,
};

/// For resolving its name, connecting and the handshake together.
const WAIT: Duration = Duration::from_secs(5);
/// For each of its addresses.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// A connection whose peer was taken as it is.
type Secured = StreamOwned<ClientConnection, TcpStream>;

/// What is known of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BrokerFact {
    /// Its certificate does not matter: there is no Connection Manager.
    NotAsked,
    /// Its certificate is not verified, as the administrator asked.
    Unverified,
    /// It does not answer.
    Unreachable(String),
    /// It shows a certificate.
    Seen(Seen),
}

/// A certificate that the broker shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// SHA-256 of its public key.
    pub(crate) key: Pin,
    /// SHA-256 of the certificate.
    pub(crate) certificate: Pin,
    /// Whom it names, escaped and bounded.
    pub(crate) names: String,
    /// Why it cannot be verified.
    pub(crate) trouble: Option<String>,
}

/// Looks at it, and verifies its certificate with the files of authorities.
pub(crate) fn look(broker: &HostPort, authorities: &[Content], now: OffsetDateTime) -> BrokerFact {
    let (broker, authorities) = (broker.clone(), authorities.to_vec());
    let (answer, answered) = channel();
    // Resolving a name has no time-out of its own, so it is left behind in its thread.
    thread::spawn(move || {
        let _ = answer.send(
            handshake(&broker).and_then(|(chain, _)| judge(&broker, &chain, &authorities, now)),
        );
    });
    match answered.recv_timeout(WAIT) {
        Ok(Ok(seen)) => BrokerFact::Seen(seen),
        Ok(Err(why)) => BrokerFact::Unreachable(why),
        Err(_) => BrokerFact::Unreachable(format!("no answer within {} seconds", WAIT.as_secs())),
    }
}

/// Connects by TCP.
///
/// # Errors
///
/// Why none of its addresses answers.
pub(super) fn connect(peer: &HostPort) -> Result<TcpStream, String> {
    let told = |error: std::io::Error| cause::of_io(&error);
    let addresses = (peer.host.as_str(), peer.port).to_socket_addrs().map_err(told)?;
    let mut last = "its name has no address".to_owned();
    let stream = addresses.into_iter().find_map(|address| {
        TcpStream::connect_timeout(&address, CONNECT_WAIT)
            .map_err(|error| last = cause::of_io(&error))
            .ok()
    });
    let stream = stream.ok_or(last)?;
    stream.set_read_timeout(Some(CONNECT_WAIT)).map_err(told)?;
    stream.set_write_timeout(Some(CONNECT_WAIT)).map_err(told)?;
    Ok(stream)
}

/// Connects by TLS and fetches the chain of certificates, whoever vouches for it.
///
/// # Errors
///
/// Why none is shown.
pub(super) fn handshake(
    peer: &HostPort,
) -> Result<(Vec<CertificateDer<'static>>, Secured), String> {
    let mut stream = connect(peer)?;
    let witness = Arc::new(Witness { provider: provider(), shown: Mutex::default() });
    let config = ClientConfig::builder_with_provider(Arc::clone(&witness.provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), server_name(peer)?)
        .map_err(|error| error.to_string())?;
    let mut outcome = Ok(());
    while connection.is_handshaking() && outcome.is_ok() {
        outcome = connection.complete_io(&mut stream).map(drop);
    }
    let shown = witness.shown.lock().map(|mut shown| std::mem::take(&mut *shown));
    match (shown, outcome) {
        (Ok(chain), _) if !chain.is_empty() => Ok((chain, StreamOwned::new(connection, stream))),
        (_, Err(error)) => Err(cause::of_io(&error)),
        _ => Err("it presents no certificate".to_owned()),
    }
}

/// Verifies the chain as the Connection Manager will: listed as it is, else issued by a listed
/// authority or one of the host's.
fn judge(
    broker: &HostPort,
    chain: &[CertificateDer<'static>],
    authorities: &[Content],
    now: OffsetDateTime,
) -> Result<Seen, String> {
    let [leaf, intermediates @ ..] = chain else {
        return Err("it presents no certificate".to_owned());
    };
    let parsed = inspect::certificate(leaf)?;
    // What is wrong with a file is a finding of its own.
    let listed = authorities.iter().filter_map(|file| pem::certificates(file.bytes()).ok());
    let listed: Vec<CertificateDer<'static>> = listed.flatten().collect();
    let trouble = if listed.contains(leaf) {
        None
    } else {
        verify(broker, leaf, intermediates, listed, now).err().map(|why| one_line(&why))
    };
    let name = |name: &Name| match name {
        Name::Dns(name) => name.clone(),
        Name::Address(address) => address.to_string(),
    };
    let all: Vec<_> = parsed.names.iter().map(name).collect();
    let names = if all.is_empty() { subject(leaf) } else { names::list(&all) };
    Ok(Seen { key: sha256(&parsed.key.info), certificate: sha256(leaf), names, trouble })
}

/// Whom a certificate without names is for.
fn subject(leaf: &CertificateDer<'_>) -> String {
    let parsed = X509Certificate::from_der(leaf);
    parsed.map_or_else(|_| String::new(), |(_, leaf)| names::subject(&leaf.subject().to_string()))
}

fn verify(
    broker: &HostPort,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    listed: Vec<CertificateDer<'static>>,
    now: OffsetDateTime,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(listed);
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this host trusts no authority".to_owned());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| error.to_string())?;
    let since = Duration::from_secs(now.unix_timestamp().try_into().unwrap_or_default());
    let now = UnixTime::since_unix_epoch(since);
    verifier
        .verify_server_cert(leaf, intermediates, &server_name(broker)?, &[], now)
        .map(drop)
        .map_err(|error| Distrust::of(&error).to_string())
}

fn server_name(broker: &HostPort) -> Result<ServerName<'static>, String> {
    ServerName::try_from(broker.host.as_str().to_owned()).map_err(|error| error.to_string())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Takes down what a server shows, and trusts it as far as that.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    shown: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Ok(mut shown) = self.shown.lock() {
            *shown = std::iter::once(end_entity)
                .chain(intermediates)
                .map(|c| c.clone().into_owned())
                .collect();
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
