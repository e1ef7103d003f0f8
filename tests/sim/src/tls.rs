//! TLS of the simulators: self-signed certificates, and what the client trusts.

mod verifier;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ::aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::random;
use verifier::Verifier;

/// The kind of a simulator's self-signed certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CertificateKind {
    /// With subject alternative names.
    #[default]
    Plain,
    /// The same, marked as a CA, like those of `openssl req -x509`.
    Ca,
    /// With a common name only.
    CnOnly,
}

/// Which certificates the client accepts.
#[derive(Clone, Debug)]
pub enum Trust {
    Any,
    /// Those that chain to one of these.
    Authorities(Vec<CertificateDer<'static>>),
}

/// What keeps TLS from being set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A certificate could not be made.
    #[error("failed to create a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A configuration could not be made.
    #[error("failed to set up TLS")]
    Setup(#[from] rustls::Error),
    /// A file of authorities could not be read.
    #[error("failed to read certificates")]
    Authorities(#[from] pem::Error),
    /// The authorities cannot be used.
    #[error("failed to use the authorities")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// A simulator's certificate, ready to serve.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    /// The digest of the certificate.
    pub(crate) sha256: String,
}

/// How the client opens its connections.
#[derive(Clone)]
pub(crate) struct Connectors {
    /// To the broker or Connection Manager; verifies the host name.
    pub(crate) broker: TlsConnector,
    /// To the target, whose certificate may have other names.
    pub(crate) target: TlsConnector,
}

impl Trust {
    /// Trusts the authorities in a PEM file.
    pub fn load(path: &Path) -> Result<Self, TlsError> {
        let authorities = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Authorities(authorities))
    }
}

impl Identity {
    /// Makes a certificate for a listener at that address.
    pub(crate) fn generate(kind: CertificateKind, address: IpAddr) -> Result<Self, TlsError> {
        let names = match kind {
            CertificateKind::CnOnly => Vec::new(),
            _ => vec!["localhost".to_owned(), address.to_string()],
        };
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "localhost");
        if kind == CertificateKind::Ca {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters.key_usages =
                vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        }
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        let certificate = parameters.self_signed(&key)?.der().clone();
        let sha256 = fingerprint(&certificate);
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), sha256 })
    }
}

impl Connectors {
    /// Makes connectors for what is trusted.
    pub(crate) fn new(trust: &Trust) -> Result<Self, TlsError> {
        Ok(Self { broker: connector(trust, true)?, target: connector(trust, false)? })
    }
}

/// Returns the digest by which people compare certificates.
pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    random::hex(digest::digest(&digest::SHA256, certificate.as_ref()).as_ref())
}

/// Reads what a client sends as server name: a DNS name, or an address (which TLS leaves out).
pub(crate) fn server_name(text: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(text.to_owned()).ok()
}

fn connector(trust: &Trust, name_counts: bool) -> Result<TlsConnector, TlsError> {
    let verifier = Verifier::new(trust, name_counts, provider())?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
