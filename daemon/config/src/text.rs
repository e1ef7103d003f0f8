//! Text that people write, in the encodings that their editors save: UTF-8, and with a byte order
//! mark UTF-8 or UTF-16, as Windows programs write them.

use std::{borrow::Cow, path::Path};

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_LE_MARK: &[u8] = b"\xff\xfe";
const UTF16_BE_MARK: &[u8] = b"\xfe\xff";
const UTF32_LE_MARK: &[u8] = b"\xff\xfe\0\0";
const UTF32_BE_MARK: &[u8] = b"\0\0\xfe\xff";

/// Why a file is not text. Lines are counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Bytes that are not UTF-8, as in files that are saved in a code page of Windows.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// The first line with such bytes.
        line: usize,
    },
    /// UTF-16 that does not declare itself.
    #[error("is UTF-16 without a byte order mark")]
    Unmarked {
        /// Whether the low byte comes first.
        is_little_endian: bool,
    },
    /// UTF-16 with half a character in it.
    #[error("is damaged UTF-16 in line {line}")]
    DamagedUtf16 {
        /// The first line with such a character.
        line: usize,
    },
    /// UTF-32.
    #[error("is UTF-32")]
    Utf32,
    /// A NUL byte in text that is not UTF-16.
    #[error("line {line} has a NUL byte")]
    Nul {
        /// The first line with one.
        line: usize,
    },
}

impl Undecodable {
    /// How to make UTF-8 of the file.
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
/// Where it is not text in one of the encodings.
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

/// The bytes of a file as UTF-8 without a byte order mark. A file without a mark is returned as it
/// is, whatever it contains: around PEM sections any bytes may stand.
///
/// # Errors
///
/// Where the mark is that of UTF-32, or the text behind that of UTF-16 is damaged.
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
    // Room for every unit, so that no pieces of a key are left where a buffer grew.
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

/// UTF-16 of mostly Latin text has a zero in every other byte.
fn unmarked(bytes: &[u8]) -> Option<Undecodable> {
    let (pairs, _) = bytes.as_chunks::<2>();
    // One pair tells nothing.
    let half = pairs.len().div_ceil(2).max(2);
    let zeros = |at: usize| pairs.iter().filter(|pair| pair[at] == 0 && pair[1 - at] != 0).count();
    [(1, true), (0, false)]
        .into_iter()
        .find(|(at, _)| zeros(*at) >= half)
        .map(|(_, is_little_endian)| Undecodable::Unmarked { is_little_endian })
}

/// The number of the line that follows these bytes.
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
    fn what_is_no_text_is_refused_with_its_line_and_a_fix() {
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
