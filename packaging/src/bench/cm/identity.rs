//! The certificate of all servers, and TLS of clients and servers.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use sha2::{Digest as _, Sha256};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::bench::sg::site::write;

/// An RSA certificate with 2048 bits, and the keys of announcements.
pub(super) struct Certificates {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    client: ClientConfig,
}

impl Certificates {
    /// Generates them, and writes them into this directory.
    pub(super) fn generate(folder: &Path) -> anyhow::Result<Self> {
        let jwt = KeyPair::generate().context("generating a key")?;
        let signed = CertificateParams::new(["localhost".to_owned()])?.self_signed(&jwt)?;
        write(&folder.join("jwt.crt"), &signed.pem())?;
        write(&folder.join("jwt.key"), &jwt.serialize_pem())?;
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        let signed = CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
        write(&folder.join("tls.crt"), &signed.pem())?;
        write(&folder.join("tls.key"), &key.serialize_pem())?;
        let certificate = signed.der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Self { certificate, key, client })
    }

    /// The SHA-256 of the certificate.
    pub(super) fn sha256(&self) -> String {
        Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate.clone()],
                PrivateKeyDer::from(self.key.clone_key()),
            )?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// A client of its own, which may resume its own sessions.
    pub(super) fn connector(&self, resumes: bool) -> TlsConnector {
        let resumption = match resumes {
            true => Resumption::in_memory_sessions(8),
            false => Resumption::disabled(),
        };
        let mut config = self.client.clone();
        config.resumption = resumption;
        TlsConnector::from(Arc::new(config))
    }
}
