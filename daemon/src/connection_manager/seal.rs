//! Seals sessions for the file: AES-256-GCM with a key that HKDF-SHA256 (RFC 5869) derives from the
//! client's cookie, which is not in the file. The format is nonce, ciphertext and tag; the nonce is
//! random.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};
use cmsg_proto::broker::{ClientCookie, session::Seal};
use zeroize::Zeroizing;

/// Seals with a key derived from the client's cookie.
#[derive(Debug)]
pub(super) struct CookieSeal;

impl Seal for CookieSeal {
    fn seal(&self, cookie: &ClientCookie, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = [&[0; NONCE_LEN], plain].concat();
        let content = &mut sealed[NONCE_LEN..];
        let (nonce, tag) = key(cookie)?.seal_in_place_separate_tag(Aad::empty(), content).ok()?;
        sealed[..NONCE_LEN].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    fn unseal(&self, cookie: &ClientCookie, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, content) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut content = Zeroizing::new(content.to_vec());
        let nonce = Nonce::from(nonce);
        let opened = key(cookie)?.open_in_place(nonce, Aad::empty(), &mut content).ok()?.len();
        content.truncate(opened);
        Some(content)
    }
}

fn key(cookie: &ClientCookie) -> Option<RandomizedNonceKey> {
    let derived = Salt::new(HKDF_SHA256, SALT).extract(cookie.expose().as_bytes());
    let mut key = Zeroizing::new([0; 32]);
    derived.expand(&[INFO], &AES_256_GCM).ok()?.fill(&mut *key).ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, &*key).ok()
}

const SALT: &[u8] = b"pcoip-cm-sessions";
const INFO: &[u8] = b"session";

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(number: u8) -> ClientCookie {
        ClientCookie::from_random([number; 16])
    }

    #[test]
    fn only_the_same_cookie_opens_sealed_data() {
        let sealed = CookieSeal.seal(&cookie(1), b"secret").unwrap();

        assert_eq!(CookieSeal.unseal(&cookie(1), &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(CookieSeal.unseal(&cookie(2), &sealed), None);
        assert_eq!(sealed.len(), NONCE_LEN + 6 + 16);
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_ne!(CookieSeal.seal(&cookie(1), b"secret").unwrap(), sealed, "another nonce");
    }

    #[test]
    fn modified_or_truncated_data_is_not_opened() {
        let sealed = CookieSeal.seal(&cookie(1), b"secret").unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(CookieSeal.unseal(&cookie(1), &changed), None, "{place}");
            assert_eq!(CookieSeal.unseal(&cookie(1), &sealed[..place]), None, "{place}");
        }
    }
}
