//! Decodes text files that administrators edit: UTF-8 with or without a byte order mark, and UTF-16
//! with one, as Windows editors write it.

use std::{borrow::Cow, path::Path};

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_LE_MARK: &[u8] = b"\xff\xfe";
const UTF16_BE_MARK: &[u8] = b"\xfe\xff";
const UTF32_LE_MARK: &[u8] = b"\xff\xfe\0\0";
const UTF32_BE_MARK: &[u8] = b"\0\0\xfe\xff";

/// Why a file is not text. Line numbers start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// The file has bytes that are not UTF-8, for example because it was saved in a Windows code
    /// page.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// First line with such bytes.
        line: usize,
    },
    /// UTF-16 without a byte order mark.
    #[error("is UTF-16 without a byte order mark")]
    Unmarked {
        /// Whether the byte order is little-endian.
        is_little_endian: bool,
    },
    /// UTF-16 with an unpaired surrogate or an odd number of bytes.
    #[error("is damaged UTF-16 in line {line}")]
    DamagedUtf16 {
        /// First line with the problem.
        line: usize,
    },
    /// UTF-32, recognized by its byte order mark.
    #[error("is UTF-32")]
    Utf32,
    /// A NUL byte in text that is not UTF-16.
    #[error("line {line} has a NUL byte")]
    Nul {
        /// First line with a NUL byte.
        line: usize,
    },
}

impl Undecodable {
    /// How to convert the file to UTF-8, as an imperative sentence with its path.
    #[must_use]
    pub fn fix(self, file: &Path) -> String {
        let encoding = match self {
            Self::NotUtf8 { .. } => "WINDOWS-1252",
            Self::Unmarked { is_little_endian: true } => "UTF-16LE",
            Self::Unmarked { is_little_endian: false } => "UTF-16BE",
            Self::Utf32 => "UTF-32",
            Self::DamagedUtf16 { .. } | Self::Nul { .. } => {
                return "copy the file again, and save it as UTF-8".to_owned();
            }
        };
        let file = file.display();
        format!("save it as UTF-8: `iconv -f {encoding} -t UTF-8 -o {file}.utf8 {file}`")
    }
}

/// The text of a file, without its byte order mark.
///
/// # Errors
///
/// [`Undecodable`] if the file is not in a supported encoding.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Undecodable> {
    let text = match recode(bytes)? {
        Cow::Borrowed(bytes) => Cow::Borrowed(
            std::str::from_utf8(bytes)
                .map_err(|error| not_utf8(&bytes[..error.valid_up_to()], bytes))?,
        ),
        Cow::Owned(bytes) => {
            Cow::Owned(String::from_utf8(bytes).map_err(|error| not_utf8(&[], error.as_bytes()))?)
        }
    };
    match text.bytes().position(|byte| byte == 0) {
        Some(at) => Err(nul(&text.as_bytes()[..at], bytes)),
        None => Ok(text),
    }
}

/// The bytes of a file as UTF-8, without a byte order mark. A file without a byte order mark is
/// returned unchanged, since any bytes may surround PEM sections.
///
/// # Errors
///
/// [`Undecodable::Utf32`], or [`Undecodable::DamagedUtf16`].
pub fn recode(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Undecodable> {
    if bytes.starts_with(UTF32_LE_MARK) || bytes.starts_with(UTF32_BE_MARK) {
        Err(Undecodable::Utf32)
    } else if let Some(rest) = bytes.strip_prefix(UTF16_LE_MARK) {
        utf16(rest, u16::from_le_bytes).map(|text| Cow::Owned(text.into_bytes()))
    } else if let Some(rest) = bytes.strip_prefix(UTF16_BE_MARK) {
        utf16(rest, u16::from_be_bytes).map(|text| Cow::Owned(text.into_bytes()))
    } else {
        Ok(Cow::Borrowed(bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes)))
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Undecodable> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    // Large enough for the whole text: growing would leave parts of a private key in freed memory.
    let mut text = String::with_capacity(pairs.len() * 3);
    let mut is_damaged = !rest.is_empty();
    for character in char::decode_utf16(pairs.iter().copied().map(unit)) {
        let Ok(character) = character else {
            is_damaged = true;
            break;
        };
        text.push(character);
    }
    if is_damaged {
        return Err(Undecodable::DamagedUtf16 { line: line(text.as_bytes()) });
    }
    Ok(text)
}

fn not_utf8(before: &[u8], all: &[u8]) -> Undecodable {
    unmarked(all).unwrap_or(Undecodable::NotUtf8 { line: line(before) })
}

fn nul(before: &[u8], all: &[u8]) -> Undecodable {
    unmarked(all).unwrap_or(Undecodable::Nul { line: line(before) })
}

/// Recognizes UTF-16 without a byte order mark: mostly Latin text has a zero in every other byte.
fn unmarked(bytes: &[u8]) -> Option<Undecodable> {
    let (pairs, _) = bytes.as_chunks::<2>();
    // A single pair proves nothing.
    let half = pairs.len().div_ceil(2).max(2);
    let zeros = |at: usize| pairs.iter().filter(|pair| pair[at] == 0 && pair[1 - at] != 0).count();
    [(1, true), (0, false)]
        .into_iter()
        .find(|(at, _)| zeros(*at) >= half)
        .map(|(_, is_little_endian)| Undecodable::Unmarked { is_little_endian })
}

/// The number of the line after these bytes.
fn line(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_mark(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn text_is_the_same_in_every_encoding(text in "[^\u{0}\u{feff}][^\u{0}]{0,40}") {
            let marked = format!("\u{feff}{text}");

            prop_assert_eq!(decode(text.as_bytes()), Ok(Cow::Borrowed(text.as_str())));
            prop_assert_eq!(decode(marked.as_bytes()), Ok(Cow::Borrowed(text.as_str())));
            for bytes in [with_mark(&text, u16::to_le_bytes), with_mark(&text, u16::to_be_bytes)] {
                prop_assert_eq!(decode(&bytes), Ok(Cow::Borrowed(text.as_str())));
            }
        }

        #[test]
        fn any_bytes_are_text_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(text) = decode(&bytes) {
                prop_assert!(!text.contains('\0'));
            }
        }
    }

    #[test]
    fn an_undecodable_file_is_refused_with_its_line_and_a_fix() {
        let plain = |unit: fn(u16) -> [u8; 2]| with_mark("A = 1\nB = 2", unit)[2..].to_vec();
        let convert = |from| format!("save it as UTF-8: `iconv -f {from} -t UTF-8 -o /f.utf8 /f`");
        let again = "copy the file again, and save it as UTF-8".to_owned();
        let table: [(Vec<u8>, &str, String); 7] = [
            (b"A = 1\nB = M\xfcller".into(), "line 2 is not UTF-8", convert("WINDOWS-1252")),
            (plain(u16::to_le_bytes), "is UTF-16 without a byte order mark", convert("UTF-16LE")),
            (plain(u16::to_be_bytes), "is UTF-16 without a byte order mark", convert("UTF-16BE")),
            (b"\xff\xfeA\0\n\0B".into(), "is damaged UTF-16 in line 2", again.clone()),
            (b"\xff\xfe\0\xd8A\0".into(), "is damaged UTF-16 in line 1", again.clone()),
            (b"\xff\xfe\0\0A\0\0\0".into(), "is UTF-32", convert("UTF-32")),
            (b"A = 1\nB = \0 2".into(), "line 2 has a NUL byte", again),
        ];
        for (bytes, what, fix) in table {
            let why = decode(&bytes).unwrap_err();

            assert_eq!((why.to_string().as_str(), why.fix(Path::new("/f"))), (what, fix));
        }
    }
}
