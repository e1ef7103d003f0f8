//! TLS between gateways: TLS 1.3 only. Both ends present a key, and know the other's by its
//! SHA-256. The certificates contain nothing else that is checked.

use std::{fs, io, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

use anyhow::Context as _;
use cmsg_config::values::Pin;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    version::TLS13,
};

use super::{
    provider,
    verifier::{key_info, sha256},
};

/// The protocol name (RFC 7301) of the peers' protocol.
const ALPN: &[u8] = b"pcoip-sg-peer/1";

/// The key of this gateway, with a certificate for it.
#[derive(Debug)]
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// SHA-256 of the public key.
    pub(crate) pin: Pin,
}

impl Identity {
    /// Loads the key from the file, or generates a P-256 key and creates the file with mode 0600.
    ///
    /// # Errors
    ///
    /// If the file is invalid, or cannot be created.
    pub(crate) fn load_or_create(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let pem = match fs::read_to_string(file) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(file).with_context(|| format!("creating the key for peers `{shown}`"))?
            }
            Err(error) => {
                return Err(error).with_context(|| format!("reading the key for peers `{shown}`"));
            }
        };
        let key = KeyPair::from_pem(&pem).with_context(|| {
            format!("the key for peers `{shown}` is invalid; delete it to generate another one")
        })?;
        let names = ["pcoip-security-gateway".to_owned()];
        let certificate = CertificateParams::new(names)?.self_signed(&key)?;
        let certificate = certificate.der().clone();
        let pin = sha256(&key_info(&certificate)?);
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        Ok(Self { certificate, key, pin })
    }

    /// The accepting end, for peers with one of these keys.
    pub(crate) fn server(&self, peers: Vec<Pin>) -> anyhow::Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(Pinned::new(peers)))
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Each connection proves its key.
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// The connecting end, for the peer with this key.
    pub(crate) fn client(&self, peer: Pin) -> anyhow::Result<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned::new(vec![peer])))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

/// The SHA-256 of the key that the other end has proved.
pub(crate) fn proved(certificates: Option<&[CertificateDer<'_>]>) -> Option<Pin> {
    Some(sha256(&key_info(certificates?.first()?).ok()?))
}

/// Generates a key. Of two processes that do so at the same time, both use the first one's.
fn create(file: &Path) -> anyhow::Result<String> {
    let pem = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem();
    let folder = file.parent().context("the file has no directory")?;
    let mut new = tempfile::Builder::new().make_in(folder, |path| {
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    })?;
    new.write_all(pem.as_bytes())?;
    new.as_file().sync_all()?;
    match new.persist_noclobber(file) {
        Ok(_) => Ok(pem),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(fs::read_to_string(file)?)
        }
        Err(error) => Err(error.error.into()),
    }
}

/// Accepts certificates with one of these keys.
#[derive(Debug)]
struct Pinned {
    algorithms: WebPkiSupportedAlgorithms,
    pins: Vec<Pin>,
}

impl Pinned {
    fn new(pins: Vec<Pin>) -> Self {
        Self { algorithms: provider().signature_verification_algorithms, pins }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let pin = sha256(&key_info(certificate)?);
        match self.pins.contains(&pin) {
            true => Ok(()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_info(certificate)?;
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }
}

/// TLS 1.2 is not offered.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("TLS 1.2 is not supported".to_owned()))
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_generated_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("peer.key");

        let pins = [(); 2].map(|()| Identity::load_or_create(&file).unwrap().pin);

        assert_eq!(pins[0], pins[1]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("peer.key");
        fs::File::create(&file).unwrap().write_all(b"damaged").unwrap();

        let error = Identity::load_or_create(&file).unwrap_err();

        assert!(error.to_string().ends_with("is invalid; delete it to generate another one"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "damaged");
    }
}
