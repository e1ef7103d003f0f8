//! The frames of records: each is a line with the length of its body in four hexadecimal digits,
//! the CRC-32C of the body (RFC 3720, appendix B.4) in eight, and the body, which has no line end.
//! A line end therefore always begins a new frame, however damaged the bytes before it are.

use serde::{Serialize, de::DeserializeOwned};

/// The longest body, in bytes. No record is that long.
const MAX_BODY: usize = 12 * 1024;

/// Appends the frame of a body without line ends.
fn write(body: &[u8], file: &mut Vec<u8>) {
    debug_assert!(body.len() <= MAX_BODY && !body.contains(&b'\n'));
    file.extend(head(body));
    file.extend(body);
    file.push(b'\n');
}

/// The bodies of the frames, with the number of bytes of each frame. The body is `None` if its
/// length or its checksum is wrong, or if its line end is missing.
fn read(bytes: &[u8]) -> impl Iterator<Item = (Option<&[u8]>, usize)> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| (body(line), line.len()))
}

/// What could not be read of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lost {
    /// Number of unreadable bytes with a readable record behind them.
    pub(crate) damaged: usize,
    /// Number of unreadable bytes at the end.
    pub(crate) torn: usize,
}

/// Applies the records, whose bodies are JSON. Unreadable records are skipped.
pub(crate) fn replay<R: DeserializeOwned>(bytes: &[u8], mut apply: impl FnMut(R)) -> Lost {
    let mut lost = Lost::default();
    for (body, length) in read(bytes) {
        match body.and_then(|body| serde_json::from_slice(body).ok()) {
            Some(record) => {
                lost.damaged += std::mem::take(&mut lost.torn);
                apply(record);
            }
            None => lost.torn += length,
        }
    }
    lost
}

/// Appends the frame of a record.
pub(crate) fn write_record(record: &impl Serialize, file: &mut Vec<u8>) {
    let body = serde_json::to_vec(record).expect("numbers, texts and lists of them are JSON");
    write(&body, file);
}

/// The version in the first line behind `title`, and the bytes behind that line.
pub(crate) fn head_line<'a>(bytes: &'a [u8], title: &str) -> Option<(u64, &'a [u8])> {
    const MAX_DIGITS: usize = 20;
    let rest = bytes.strip_prefix(title.as_bytes())?;
    let end = rest.iter().take(MAX_DIGITS + 1).position(|byte| *byte == b'\n')?;
    let version = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((version, &rest[end + 1..]))
}

fn body(line: &[u8]) -> Option<&[u8]> {
    let (start, body) = line.strip_suffix(b"\n")?.split_at_checked(HEAD)?;
    (body.len() <= MAX_BODY && start == head(body)).then_some(body)
}

/// Length in bytes of what precedes the body.
const HEAD: usize = "ffff ffffffff ".len();

fn head(body: &[u8]) -> Vec<u8> {
    format!("{:04x} {:08x} ", body.len(), crc32c::crc32c(body)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(bytes: &[u8]) -> Vec<Option<&[u8]>> {
        read(bytes).map(|(body, _)| body).collect()
    }

    #[test]
    fn a_frame_is_a_line_with_the_checksum_of_the_standard() {
        let mut file = Vec::new();
        // The check value of CRC-32C.
        write(b"123456789", &mut file);

        assert_eq!(file, b"0009 e3069283 123456789\n");
        assert_eq!(bodies(&file), [Some(&b"123456789"[..])]);
    }

    #[test]
    fn frames_with_a_wrong_length_checksum_or_end_have_no_body() {
        let table: [&[u8]; 8] = [
            b"0008 e3069283 123456789\n",
            b"0009 e3069284 123456789\n",
            b"0009 E3069283 123456789\n",
            b"0009 e3069283 12345678\n",
            b"0009 e3069283 123456789",
            b"0009\te3069283 123456789\n",
            b"9\n",
            b"\n",
        ];
        for line in table {
            assert_eq!(bodies(line), [None], "{line:?}");
        }
    }

    #[test]
    fn a_body_that_is_too_long_is_not_read() {
        let long = vec![b'x'; MAX_BODY + 1];
        let line = [head(&long), long, b"\n".to_vec()].concat();

        assert_eq!(bodies(&line), [None]);
    }

    #[test]
    fn frames_behind_damage_are_read() {
        let mut file = b"damage\0\xff".to_vec();
        write(b"lost with the line before", &mut file);
        write(b"kept", &mut file);

        assert_eq!(bodies(&file), [None, Some(&b"kept"[..])]);
    }
}
