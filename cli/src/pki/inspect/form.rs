//! What a file is that is not the PEM file that was asked for, so that its owner learns how to make
//! one of it.

use cmsg_config::{
    pem,
    text::{self, Undecodable},
};
use x509_parser::{
    certificate::X509Certificate,
    oid_registry::{
        Oid,
        asn1_rs::{Any, FromBer as _, Tag, oid},
    },
    prelude::FromDer as _,
};

/// The form of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    Empty,
    /// Text in an encoding that is not read.
    Undecodable(Undecodable),
    /// PEM with that in it.
    Pem(Vec<Holds>),
    /// The same in DER.
    Der(Holds),
    /// PKCS#12, in one binary file.
    Pkcs12,
    /// None that is known.
    Unknown,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Certificate,
    /// A certificate under a label that only OpenSSL reads.
    OtherCertificate,
    /// A request for one.
    Request,
    Pkcs7,
    Key,
    /// A private key for DSA in its own form.
    DsaKey,
    /// A private key that needs a passphrase.
    EncryptedKey,
    PublicKey,
    Other,
}

impl Form {
    /// Looks at a file.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let text = match text::recode(bytes) {
            Ok(text) => text,
            Err(why) => return Self::Undecodable(why),
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            return Self::Empty;
        }
        if let Some(form) = binary(bytes) {
            return form;
        }
        match (sections(&text), text::decode(bytes)) {
            (held, _) if !held.is_empty() => Self::Pem(held),
            (_, Err(why @ Undecodable::Unmarked { .. })) => Self::Undecodable(why),
            _ => Self::Unknown,
        }
    }
}

/// Whether a private key stands in a PEM file.
pub(crate) fn has_private_key(pem: &[u8]) -> bool {
    let is_key = |held: &Holds| matches!(held, Holds::Key | Holds::DsaKey | Holds::EncryptedKey);
    text::recode(pem).is_ok_and(|text| sections(&text).iter().any(is_key))
}

/// The first elements of a sequence, in DER or BER; none where it is no sequence.
pub(super) fn elements(bytes: &[u8]) -> Vec<Any<'_>> {
    let outer = Any::from_ber(bytes).ok().filter(|(_, outer)| outer.header.tag() == Tag::Sequence);
    outer.map(|(_, outer)| inside(outer.data)).unwrap_or_default()
}

/// The first elements of what stands in a sequence.
pub(super) fn inside(mut rest: &[u8]) -> Vec<Any<'_>> {
    /// More are never asked for, and a hostile file may have a million.
    const MOST: usize = 4;
    let mut found = Vec::new();
    while found.len() < MOST
        && let Ok((after, element)) = Any::from_ber(rest)
    {
        found.push(element);
        rest = after;
    }
    found
}

fn binary(bytes: &[u8]) -> Option<Form> {
    const PKCS7: Oid<'static> = oid!(1.2.840.113549.1.7.2);
    if bytes.first() != Some(&0x30) {
        return None;
    }
    if X509Certificate::from_der(bytes).is_ok() {
        return Some(Form::Der(Holds::Certificate));
    }
    let found = elements(bytes);
    let tags: Vec<Tag> = found.iter().map(|element| element.header.tag()).collect();
    Some(match tags[..] {
        [Tag::Integer, Tag::Sequence, ..] if found[0].data == [3] => Form::Pkcs12,
        [Tag::Integer, ..] => Form::Der(Holds::Key),
        [Tag::Oid, ..] if found[0].clone().oid().is_ok_and(|oid| oid == PKCS7) => {
            Form::Der(Holds::Pkcs7)
        }
        [Tag::Sequence, Tag::OctetString] => Form::Der(Holds::EncryptedKey),
        [Tag::Sequence, Tag::BitString] => Form::Der(Holds::PublicKey),
        [Tag::Sequence, Tag::Sequence, Tag::BitString] => Form::Der(Holds::Request),
        _ => return None,
    })
}

/// What the sections of a PEM file hold.
fn sections(pem: &[u8]) -> Vec<Holds> {
    let mut found: Vec<Holds> = Vec::new();
    for line in pem.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if let Some(label) = line.strip_prefix(b"-----BEGIN ") {
            found.push(match label.strip_suffix(b"-----").unwrap_or(label) {
                b"CERTIFICATE" => Holds::Certificate,
                b"CERTIFICATE REQUEST" | b"NEW CERTIFICATE REQUEST" => Holds::Request,
                label if str::from_utf8(label).is_ok_and(pem::is_pkcs7) => Holds::Pkcs7,
                b"TRUSTED CERTIFICATE" | b"X509 CERTIFICATE" => Holds::OtherCertificate,
                b"PRIVATE KEY" | b"RSA PRIVATE KEY" | b"EC PRIVATE KEY" => Holds::Key,
                b"DSA PRIVATE KEY" => Holds::DsaKey,
                b"ENCRYPTED PRIVATE KEY" => Holds::EncryptedKey,
                b"PUBLIC KEY" | b"RSA PUBLIC KEY" => Holds::PublicKey,
                _ => Holds::Other,
            });
        } else if line.starts_with(b"Proc-Type:")
            && line.ends_with(b"ENCRYPTED")
            && let Some(last) = found.last_mut()
        {
            *last = Holds::EncryptedKey;
        }
    }
    found
}
