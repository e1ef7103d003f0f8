//! PEM files: either every section is read, or the file is refused. Common PEM readers skip
//! sections that they do not recognize, for example one that begins on the line on which another
//! ends. Only clients would notice the missing certificate.

use std::path::Path;

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use zeroize::Zeroizing;

use crate::text::{self, Undecodable};

const BEGIN: &[u8] = b"-----BEGIN";
const END: &[u8] = b"-----END";

/// Why a PEM file is refused. Line numbers start at 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is in an unsupported encoding.
    #[error(transparent)]
    Text(#[from] Undecodable),
    /// The file has no section of the requested kind.
    #[error("contains no PEM {0}")]
    None(&'static str),
    /// A line has more than one marker, or a marker and other text.
    #[error(
        "line {line} contains a second PEM marker or other text beside a marker, so a section is \
         skipped"
    )]
    Marker {
        /// Line of the marker.
        line: usize,
    },
    /// An `END` marker without a `BEGIN` marker.
    #[error(
        "line {line} ends a section that has no `-----BEGIN …-----` line, so the section is skipped"
    )]
    NoBegin {
        /// Line of the `END` marker.
        line: usize,
    },
    /// A `BEGIN` marker without an `END` marker.
    #[error("line {line} begins a section `{label}` that does not end")]
    NoEnd {
        /// Line of the `BEGIN` marker.
        line: usize,
        /// Label in the `BEGIN` marker.
        label: String,
    },
    /// The section has a label that readers skip, for example `X509 CERTIFICATE`.
    #[error("line {line} begins a section `{label}`, which is skipped")]
    Label {
        /// Line of the `BEGIN` marker.
        line: usize,
        /// Label in the `BEGIN` marker.
        label: String,
    },
    /// The file has more than one private key.
    #[error("contains {0} private keys, but only one can be used")]
    SeveralKeys(usize),
    /// A section cannot be decoded.
    #[error("{0}")]
    Damaged(String),
}

impl Problem {
    /// Whether common PEM readers would skip the section without an error.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        matches!(self, Self::Marker { .. } | Self::NoBegin { .. } | Self::Label { .. })
    }

    /// How to fix the file, as an imperative sentence with commands that contain its path.
    #[must_use]
    pub fn fix(&self, file: &Path) -> String {
        let name = file.display();
        match self {
            Self::Text(why) => why.fix(file),
            Self::Marker { .. } => format!(
                "put each marker on its own line: `sed -E 's/-----(BEGIN|END) \
                 [^-]*-----/\\n&\\n/g' {name} > {name}.pem`"
            ),
            Self::None(kind) => format!("use a PEM file that contains a {kind}"),
            Self::NoBegin { .. } | Self::NoEnd { .. } | Self::Damaged(_) => {
                format!("copy the sections of {name} again, with their first and last lines")
            }
            Self::Label { label, .. } if is_pkcs7(label) => format!(
                "convert that section: `sed 's/ CMS-----/ PKCS7-----/' {name} | openssl pkcs7 \
                 -print_certs -out {name}.pem`, and put its certificates in its place"
            ),
            Self::Label { .. } => format!(
                "write all of them as plain certificates: `openssl crl2pkcs7 -nocrl -certfile \
                 {name} | openssl pkcs7 -print_certs -out {name}.pem`"
            ),
            Self::SeveralKeys(_) => "leave only the certificate's key in the file".to_owned(),
        }
    }
}

/// A section of a PEM file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The text between `-----BEGIN ` and `-----`.
    pub label: String,
    /// Line of the `BEGIN` marker, starting at 1.
    pub line: usize,
}

/// Whether this is a label of PKCS#7. OpenSSL, Windows and Java use different ones.
#[must_use]
pub fn is_pkcs7(label: &str) -> bool {
    ["PKCS7", "PKCS #7 SIGNED DATA", "CMS"].contains(&label)
}

/// All certificates of a PEM file, in order.
///
/// # Errors
///
/// [`Problem::None`] if there is no certificate; any other [`Problem`] if one is damaged or would
/// be skipped.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let bytes = text::recode(bytes)?;
    let sections = sections(&bytes)?;
    let found = all::<CertificateDer<'static>>(&bytes)?;
    if found.is_empty() {
        return Err(Problem::None("certificate"));
    }
    skipped(&sections, is_certificate_skipped)?;
    let expected = sections.iter().filter(|section| section.label == "CERTIFICATE").count();
    check_count(found.len(), expected)?;
    Ok(found)
}

/// The only private key of a PEM file.
///
/// # Errors
///
/// [`Problem::None`] or [`Problem::SeveralKeys`] if there is not exactly one; any other [`Problem`]
/// if it is damaged or of an unsupported kind.
pub fn key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    let bytes = Zeroizing::new(text::recode(bytes)?.into_owned());
    let sections = sections(&bytes)?;
    let mut found = all::<PrivateKeyDer<'static>>(&bytes)?;
    let keys = sections.iter().filter(|section| section.label.ends_with("PRIVATE KEY")).count();
    let Some(key) = found.pop() else { return Err(Problem::None("private key")) };
    if keys > 1 {
        return Err(Problem::SeveralKeys(keys));
    }
    check_count(found.len() + 1, keys)?;
    Ok(key)
}

/// All sections of type `T`, or an empty list.
///
/// # Errors
///
/// [`Problem`] if a section is damaged or would be skipped. The absence of sections is not an
/// error.
pub fn every<T: PemObject>(bytes: &[u8]) -> Result<Vec<T>, Problem> {
    let bytes = text::recode(bytes)?;
    sections(&bytes)?;
    all(&bytes)
}

fn all<T: PemObject>(bytes: &[u8]) -> Result<Vec<T>, Problem> {
    let damaged = |error: pem::Error| Problem::Damaged(error.to_string());
    T::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(damaged)
}

/// The sections of a PEM file in UTF-8.
///
/// # Errors
///
/// [`Problem::Text`] for an unsupported encoding, or the first misplaced marker.
pub fn sections(bytes: &[u8]) -> Result<Vec<Section>, Problem> {
    let mut found = Vec::new();
    let mut open: Option<Section> = None;
    for (line, text) in lines(bytes) {
        match (marker(text), open.take()) {
            (None, before) => open = before,
            (Some(Marker::Begin(label)), None) => open = Some(Section { label, line }),
            (Some(Marker::End(label)), Some(begun)) if label == begun.label => found.push(begun),
            (Some(Marker::End(_)), None) => return Err(Problem::NoBegin { line }),
            (Some(Marker::Odd), _) => return Err(Problem::Marker { line }),
            (Some(_), Some(Section { label, line })) => return Err(Problem::NoEnd { line, label }),
        }
    }
    match open {
        Some(Section { label, line }) => Err(Problem::NoEnd { line, label }),
        None => Ok(found),
    }
}

enum Marker {
    Begin(String),
    End(String),
    /// Shares its line with other text.
    Odd,
}

/// The marker of a line. Markers in comments are ignored.
fn marker(line: &[u8]) -> Option<Marker> {
    if line.trim_ascii_start().starts_with(b"#") {
        return None;
    }
    let has = |marker: &[u8]| line.windows(marker.len()).any(|window| window == marker);
    if !has(BEGIN) && !has(END) {
        return None;
    }
    let label = |prefix: &[u8]| {
        let rest = line.trim_ascii_end().strip_prefix(prefix)?.strip_prefix(b" ")?;
        let label = rest.strip_suffix(b"-----")?;
        (!label.contains(&b'-')).then(|| String::from_utf8_lossy(label).into_owned())
    };
    Some(label(BEGIN).map(Marker::Begin).or(label(END).map(Marker::End)).unwrap_or(Marker::Odd))
}

/// Lines with their numbers. CR, LF and CRLF end a line.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut number = 1;
    bytes.split_inclusive(|byte| *byte == b'\n').flat_map(move |line| {
        let at = number;
        number += 1;
        line.split(|byte| *byte == b'\r').map(move |part| (at, part))
    })
}

fn skipped(sections: &[Section], is_skipped: fn(&str) -> bool) -> Result<(), Problem> {
    let found = sections.iter().find(|section| is_skipped(&section.label));
    found.map_or(Ok(()), |section| {
        Err(Problem::Label { line: section.line, label: section.label.clone() })
    })
}

/// Whether certificates can have this label, other than `CERTIFICATE`.
fn is_certificate_skipped(label: &str) -> bool {
    let upper = label.to_ascii_uppercase();
    let is_other = ["REQUEST", "ATTRIBUTE"].iter().any(|word| upper.contains(word));
    let holds_one = is_pkcs7(&upper) || (upper.contains("CERTIFICATE") && !is_other);
    holds_one && label != "CERTIFICATE"
}

/// Catches differences between this module's and the reader's rules for markers.
fn check_count(read: usize, begun: usize) -> Result<(), Problem> {
    if read == begun {
        Ok(())
    } else {
        Err(Problem::Damaged(format!("only {read} of {begun} sections can be read")))
    }
}

#[cfg(test)]
mod tests;
