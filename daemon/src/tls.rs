//! TLS of both roles: what clients are offered, and the one verifier for every upstream peer
//! (connection broker, agents, gateways).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use cmsg_config::values::Pin;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tracing::warn;

use verifier::Upstream;

mod verifier;

/// How an upstream peer's certificate is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// By exact match with one of these certificates or pins, else by these certificates and the
    /// host's as authorities.
    Verify {
        /// PEM files.
        ca_certificates: Vec<PathBuf>,
        /// SHA-256 of a certificate or of a public key.
        pins: Vec<Pin>,
    },
    /// Not at all: whoever answers is taken for the peer.
    Off,
}

/// What clients are offered: TLS 1.2 and 1.3, forward-secret AEAD suites.
///
/// # Errors
///
/// Where a file cannot be read, or certificate and key do not belong together.
pub fn server_config(certificate: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("reading the private key `{}`", key.display()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("offering TLS 1.2 and 1.3")?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| {
            format!("using certificate `{}` with key `{}`", certificate.display(), key.display())
        })?;
    Ok(Arc::new(config))
}

/// How an upstream peer is called.
///
/// # Errors
///
/// Where a file of certificates cannot be read or holds none.
pub fn client_config(trust: &Trust) -> anyhow::Result<Arc<ClientConfig>> {
    let verifier = match trust {
        Trust::Off => Upstream::trusting_anyone(provider()),
        Trust::Verify { ca_certificates, pins } => {
            let mut listed = Vec::new();
            for path in ca_certificates {
                listed.extend(certificates(path)?);
            }
            let authorities = authorities(&listed);
            Upstream::new(provider(), listed, pins.clone(), authorities)
        }
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("offering TLS 1.2 and 1.3")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The one crypto provider. Its default suites are the forward-secret AEAD ones.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let reading = || format!("reading certificates from `{}`", path.display());
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .with_context(reading)?
        .collect::<Result<_, _>>()
        .with_context(reading)?;
    if found.is_empty() {
        bail!("`{}` holds no PEM certificate", path.display());
    }
    Ok(found)
}

/// The listed certificates and the host's; none where neither has a usable one.
fn authorities(listed: &[CertificateDer<'static>]) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(listed.iter().cloned());
    let native = rustls_native_certs::load_native_certs();
    for error in native.errors {
        warn!(%error, "Failed to read a certificate of the host");
    }
    roots.add_parsable_certificates(native.certs);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()
}
