//! TLS of both roles: the server side, and one verifier for all upstream peers (connection broker,
//! agents, gateways).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use arc_swap::ArcSwap;
use cmsg_config::{pem, values::Pin};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite,
    client::WebPkiServerVerifier,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, Ticketer},
        hash::HashAlgorithm,
    },
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tracing::warn;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};
use zeroize::Zeroizing;

use crate::reload::{BadFile, Files};
pub(crate) use refused::{LastRefused, Refusal};
use verifier::{Reloaded, Upstream};

pub(crate) mod peers;
mod refused;
mod resumption;
pub(crate) mod socket;
mod verifier;

/// Number of TLS 1.3 tickets for each connection. A client connects again one connection at a time,
/// and gets another ticket then.
const TICKETS: usize = 1;

/// How the certificate of an upstream peer is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Accept one of these certificates or pins, or a chain to one of these certificates or the
    /// host's CA certificates.
    Verify {
        ca_certificates: Vec<PathBuf>,
        /// SHA-256 of a certificate or of a public key.
        pins: Vec<Pin>,
    },
    /// Accept any certificate.
    Off,
}

/// The server side: TLS 1.2 and 1.3 with forward-secret AEAD suites.
///
/// # Errors
///
/// If a file cannot be read, or the key does not match the certificate.
pub fn server_config(
    certificate: &Path,
    key: &Path,
    files: &Files,
) -> anyhow::Result<Arc<ServerConfig>> {
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    let shown = files.keep(move || certified(&certificate, &key))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("offering TLS 1.2 and 1.3")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown(shown)));
    // Without tickets, the server keeps the sessions, and only a few hundred.
    config.ticketer = Ticketer::new().context("generating the keys of TLS tickets")?;
    config.send_tls13_tickets = TICKETS;
    Ok(Arc::new(config))
}

/// The client side for upstream peers.
///
/// # Errors
///
/// If a certificate file cannot be read or has no certificate.
pub fn client_config(trust: &Trust, files: &Files) -> anyhow::Result<Arc<ClientConfig>> {
    watched_client_config(trust, files, LastRefused::default())
}

/// The same, which records the certificate that was refused last.
pub(crate) fn watched_client_config(
    trust: &Trust,
    files: &Files,
    refused: LastRefused,
) -> anyhow::Result<Arc<ClientConfig>> {
    let trust = trust.clone();
    let upstream = files.keep(move || upstream(&trust))?;
    Ok(Arc::new(calling(upstream, refused)?))
}

/// The client side for a peer that must present this certificate.
pub(crate) fn only(certificate: Pin) -> anyhow::Result<ClientConfig> {
    let upstream = Upstream::new(Vec::new(), vec![certificate], None);
    calling(Arc::new(ArcSwap::from_pointee(upstream)), LastRefused::default())
}

fn calling(upstream: Arc<ArcSwap<Upstream>>, refused: LastRefused) -> anyhow::Result<ClientConfig> {
    let provider = calling_provider();
    let algorithms = provider.signature_verification_algorithms;
    let resumption = resumption::resumption(&upstream);
    let verifier = Arc::new(Reloaded { algorithms, upstream, refused });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("offering TLS 1.2 and 1.3")?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = resumption;
    Ok(config)
}

fn upstream(trust: &Trust) -> anyhow::Result<Upstream> {
    let Trust::Verify { ca_certificates, pins } = trust else {
        return Ok(Upstream::trusting_anyone());
    };
    let mut listed = Vec::new();
    for path in ca_certificates {
        listed.extend(certificates(path)?);
    }
    let authorities = authorities(&listed);
    Ok(Upstream::new(listed, pins.clone(), authorities))
}

/// The server certificate and its key.
fn certified(certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let chain = certificates(certificate)?;
    let private =
        private_key(key).with_context(|| format!("reading the private key `{}`", key.display()))?;
    let pair = CertifiedKey::from_der(chain, private, &provider()).with_context(|| {
        format!("using certificate `{}` with key `{}`", certificate.display(), key.display())
    });
    pair.map_err(|why| BadFile::new(key, why).into())
}

/// Presents the current certificate to clients.
#[derive(Debug)]
struct Shown(Arc<ArcSwap<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The crypto provider of both roles. Its default suites are forward-secret AEAD ones.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The same suites, those with SHA-256 first: the handshake hashes much, and most CPUs have
/// instructions for SHA-256 only. Every agent gets a new connection.
fn calling_provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    let is_slow = |suite: &SupportedCipherSuite| {
        let common = match suite {
            SupportedCipherSuite::Tls12(suite) => &suite.common,
            SupportedCipherSuite::Tls13(suite) => &suite.common,
        };
        common.hash_provider.algorithm() != HashAlgorithm::SHA256
    };
    provider.cipher_suites.sort_by_key(is_slow);
    Arc::new(provider)
}

/// The only private key of a PEM file.
pub(crate) fn private_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let bytes = Zeroizing::new(read(path)?);
    pem::key(&bytes).map_err(|why| explained(&why, path))
}

/// All certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let reading = || format!("reading certificates from `{}`", path.display());
    let bytes = read(path).with_context(reading)?;
    pem::certificates(&bytes).map_err(|why| explained(&why, path)).with_context(reading)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).map_err(|error| BadFile::unless_passing(path, error))
}

fn explained(why: &pem::Problem, path: &Path) -> anyhow::Error {
    BadFile::new(path, anyhow!("{why}; {}", why.fix(path))).into()
}

/// The CA certificates among the listed ones, and those of the host; `None` if there are none.
fn authorities(listed: &[CertificateDer<'static>]) -> Option<Arc<WebPkiServerVerifier>> {
    let native = rustls_native_certs::load_native_certs();
    for error in native.errors {
        warn!(%error, "Failed to read a certificate of the host");
    }
    let mut roots = RootCertStore::empty();
    let all = listed.iter().cloned().chain(native.certs);
    roots.add_parsable_certificates(all.filter(is_authority));
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()
}

/// Whether a certificate may issue others. A certificate that is listed to be trusted itself, such
/// as an agent's, must not vouch for the broker, but the verifier accepts any root.
fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    let may_sign =
        parsed.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    parsed.is_ca() && may_sign
}
