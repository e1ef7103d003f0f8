//! PEM files: every section is read, or the file is refused. Readers of PEM skip what they do not
//! recognize, such as a section that begins behind another's end on the same line, and a certificate
//! that is skipped is missed by clients only.

use std::path::Path;

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use zeroize::Zeroizing;

use crate::text::{self, Undecodable};

const BEGIN: &[u8] = b"-----BEGIN";
const END: &[u8] = b"-----END";

/// Why the sections of a file are not read. Lines are counted from one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is in an unknown encoding.
    #[error(transparent)]
    Text(#[from] Undecodable),
    /// There is no section of the kind that is wanted.
    #[error("holds no PEM {0}")]
    None(&'static str),
    /// A marker shares its line with something else.
    #[error(
        "line {line} holds more than one PEM marker or text beside it, so a section is skipped"
    )]
    Marker {
        /// The marker's line.
        line: usize,
    },
    /// A section ends that did not begin.
    #[error("line {line} ends a section that no line `-----BEGIN …-----` begins, so it is skipped")]
    NoBegin {
        /// The line of its end.
        line: usize,
    },
    /// A section begins and does not end.
    #[error("line {line} begins a section `{label}` that does not end")]
    NoEnd {
        /// The line of its beginning.
        line: usize,
        /// Its label.
        label: String,
    },
    /// A section holds what is wanted under a label that is not read.
    #[error("line {line} begins a section `{label}`, which is skipped")]
    Label {
        /// The line of its beginning.
        line: usize,
        /// Its label.
        label: String,
    },
    /// Only one key can be used.
    #[error("holds {0} private keys, and only one can be used")]
    SeveralKeys(usize),
    /// A section is damaged.
    #[error("{0}")]
    Damaged(String),
}

impl Problem {
    /// Whether readers would skip a section without an error.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        matches!(self, Self::Marker { .. } | Self::NoBegin { .. } | Self::Label { .. })
    }

    /// What to do about it, with commands that name the file.
    #[must_use]
    pub fn fix(&self, file: &Path) -> String {
        let name = file.display();
        match self {
            Self::Text(why) => why.fix(file),
            Self::Marker { .. } => format!(
                "put every marker on a line of its own: `sed -E 's/-----(BEGIN|END) \
                 [^-]*-----/\\n&\\n/g' {name} > {name}.pem`"
            ),
            Self::None(kind) => format!("give a file with a {kind} in PEM"),
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

/// One section: its label, and the line where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The text between `-----BEGIN ` and `-----`.
    pub label: String,
    /// The line of that text, counted from one.
    pub line: usize,
}

/// Whether PKCS#7 bears this label. OpenSSL, Windows and Java write different ones.
#[must_use]
pub fn is_pkcs7(label: &str) -> bool {
    ["PKCS7", "PKCS #7 SIGNED DATA", "CMS"].contains(&label)
}

/// All certificates of a file.
///
/// # Errors
///
/// Where there are none, one is damaged, or one would be skipped.
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

/// The only private key of a file.
///
/// # Errors
///
/// Where there is none or more than one, it is damaged, or is of a kind that is not read.
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

/// All sections of one kind, of a file in which no section is skipped for its markers; none where it
/// holds none.
///
/// # Errors
///
/// Where one is damaged or would be skipped.
pub fn every<T: PemObject>(bytes: &[u8]) -> Result<Vec<T>, Problem> {
    let bytes = text::recode(bytes)?;
    sections(&bytes)?;
    all(&bytes)
}

fn all<T: PemObject>(bytes: &[u8]) -> Result<Vec<T>, Problem> {
    let damaged = |error: pem::Error| Problem::Damaged(error.to_string());
    T::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(damaged)
}

/// The sections of a file in UTF-8.
///
/// # Errors
///
/// Where a marker stands where no reader looks for it.
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
    /// Not alone on its line.
    Odd,
}

/// The marker of a line. What is commented out is skipped on purpose.
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

/// The lines with their numbers. A carriage return ends one too, alone or before a line feed.
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

/// Whether a label is another one than `CERTIFICATE` for what holds certificates.
fn is_certificate_skipped(label: &str) -> bool {
    let upper = label.to_ascii_uppercase();
    let is_other = ["REQUEST", "ATTRIBUTE"].iter().any(|word| upper.contains(word));
    let holds_one = is_pkcs7(&upper) || (upper.contains("CERTIFICATE") && !is_other);
    holds_one && label != "CERTIFICATE"
}

/// The markers were counted by other rules than the reader's.
fn check_count(read: usize, begun: usize) -> Result<(), Problem> {
    if read == begun {
        Ok(())
    } else {
        Err(Problem::Damaged(format!("{begun} sections begin, and {read} can be read")))
    }
}

#[cfg(test)]
mod tests;
