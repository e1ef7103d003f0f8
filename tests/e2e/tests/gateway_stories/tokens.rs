//! Valid and invalid tokens, created without the product.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::world::{Announced, EXTERNAL};

#[derive(Debug, Clone)]
pub(crate) struct Token(Value);

impl Token {
    /// The claims that announce this session, signed now. Each has a unique id.
    pub(crate) fn for_this(announced: &Announced) -> Self {
        let at = get_current_timestamp();
        let mut random = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut random).expect("the system has random bytes");
        let digest = Sha256::digest(announced.tag.as_bytes());
        Self(json!({
            "aud": EXTERNAL,
            "iat": at,
            "exp": at + 60,
            "jti": hex(&random),
            "agent": announced.agent.to_string(),
            "tag": hex(&digest),
            "connection": announced.id,
        }))
    }

    /// The same with another claim.
    pub(crate) fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.0[claim] = value.into();
        self
    }

    /// The same, signed this many seconds later or earlier.
    pub(crate) fn shifted(self, seconds: i64) -> Self {
        let at = i64::try_from(get_current_timestamp()).expect("it is not that late") + seconds;
        self.with("iat", at).with("exp", at + 60)
    }

    /// The token signed like a Connection Manager does.
    pub(crate) fn signed(&self, key: &KeyPair) -> String {
        self.signed_as(&Header::new(Algorithm::ES256), key)
    }

    pub(crate) fn signed_as(&self, header: &Header, key: &KeyPair) -> String {
        let pem = key.serialize_pem();
        let key = match header.alg {
            Algorithm::HS256 => EncodingKey::from_secret(key.der_bytes()),
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()).expect("an RSA key"),
            _ => EncodingKey::from_ec_pem(pem.as_bytes()).expect("a P-256 key"),
        };
        encode(header, &self.0, &key).expect("it can be signed")
    }

    /// The token with `alg` set to `none`.
    pub(crate) fn unsigned(&self, key: &KeyPair) -> String {
        let signed = self.signed(key);
        let payload = signed.split('.').nth(1).expect("a token has three parts");
        // {"alg":"none","typ":"JWT"}
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
