//! Reads complete messages from a stream, with limits on everything that the peer controls.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::HttpError;
use super::message::{Framing, Head, Headers};

/// Reads the next head; `None` when the peer has ended the connection between messages.
pub(crate) async fn read_head<R>(stream: &mut R) -> Result<Option<Head>, HttpError>
where
    R: AsyncBufRead + Unpin,
{
    let mut text = String::new();
    loop {
        let line = read_line(stream, MAX_HEAD - text.len()).await?;
        match line.as_deref() {
            None if text.is_empty() => return Ok(None),
            None => return Err(HttpError::Truncated),
            Some("") if text.is_empty() => return Err(HttpError::Head(String::new())),
            Some("") => return Head::parse(text.trim_end_matches("\r\n")).map(Some),
            Some(line) => {
                text.push_str(line);
                text.push_str("\r\n");
            }
        }
        if text.len() >= MAX_HEAD {
            return Err(HttpError::LongHead(MAX_HEAD));
        }
    }
}

/// Reads the body that follows a head.
pub(crate) async fn read_body<R>(stream: &mut R, headers: &Headers) -> Result<String, HttpError>
where
    R: AsyncBufRead + Unpin,
{
    let mut body = Vec::new();
    match headers.framing()? {
        Framing::Empty => {}
        Framing::Length(length) => read_exactly(stream, length, &mut body).await?,
        Framing::Chunked => read_chunks(stream, &mut body).await?,
    }
    String::from_utf8(body).map_err(|_| HttpError::Encoding)
}

async fn read_chunks<R>(stream: &mut R, body: &mut Vec<u8>) -> Result<(), HttpError>
where
    R: AsyncBufRead + Unpin,
{
    loop {
        let line = read_line(stream, MAX_LINE).await?.ok_or(HttpError::Truncated)?;
        let digits = line.split(';').next().unwrap_or_default();
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(HttpError::Chunk);
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| HttpError::Chunk)?;
        if size == 0 {
            break;
        }
        read_exactly(stream, size, body).await?;
        if !matches!(read_line(stream, 2).await, Ok(Some(end)) if end.is_empty()) {
            return Err(HttpError::Chunk);
        }
    }
    for _ in 0..MAX_TRAILERS {
        let line = read_line(stream, MAX_LINE).await?.ok_or(HttpError::Truncated)?;
        if line.is_empty() {
            return Ok(());
        }
    }
    Err(HttpError::Chunk)
}

async fn read_exactly<R>(stream: &mut R, length: usize, body: &mut Vec<u8>) -> Result<(), HttpError>
where
    R: AsyncBufRead + Unpin,
{
    if length > MAX_BODY - body.len() {
        return Err(HttpError::LongBody(MAX_BODY));
    }
    let read = stream.take(length as u64).read_to_end(body).await?;
    if read == length { Ok(()) } else { Err(HttpError::Truncated) }
}

/// Reads a line without its end; `None` at the end of the stream.
async fn read_line<R>(stream: &mut R, limit: usize) -> Result<Option<String>, HttpError>
where
    R: AsyncBufRead + Unpin,
{
    let mut line = Vec::new();
    let read = stream.take(limit as u64).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Ok(None);
    }
    let Some(text) = line.strip_suffix(b"\r\n") else {
        return Err(if read < limit { HttpError::Truncated } else { HttpError::LongHead(limit) });
    };
    String::from_utf8(text.to_vec()).map(Some).map_err(|_| HttpError::Encoding)
}

const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 1024 * 1024;
const MAX_LINE: usize = 1024;
const MAX_TRAILERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<String, HttpError> {
        let head = read_head(&mut bytes).await?.ok_or(HttpError::Truncated)?;
        read_body(&mut bytes, &head.headers).await
    }

    #[tokio::test]
    async fn a_body_is_read_whatever_its_framing() {
        let table: [(&[u8], &str); 3] = [
            (b"POST / HTTP/1.1\r\n\r\nrest", ""),
            (b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbodyrest", "body"),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                  2\r\nbo\r\n02;x=y\r\ndy\r\n0\r\nTrailer: z\r\n\r\nrest",
                "body",
            ),
        ];

        for (bytes, body) in table {
            assert_eq!(read(bytes).await.unwrap(), body);
        }
    }

    #[tokio::test]
    async fn a_broken_message_is_refused() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let table = [
            ("".to_owned(), "connection ended within a message"),
            ("POST / HTTP/1.1\r\nContent".to_owned(), "connection ended within a message"),
            (
                "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nbody".to_owned(),
                "connection ended within a message",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n".to_owned(),
                "body is longer than 1048576 bytes",
            ),
            (format!("{chunked}5\r\nbody"), "connection ended within a message"),
            (format!("{chunked}4\r\nbodyXX0\r\n\r\n"), "chunk is malformed"),
            (format!("{chunked}-1\r\n"), "chunk is malformed"),
            (format!("{chunked}ffffffffffffffff\r\n"), "body is longer than 1048576 bytes"),
        ];

        for (bytes, error) in table {
            assert_eq!(read(bytes.as_bytes()).await.unwrap_err().to_string(), error, "{bytes}");
        }
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_cut_off() {
        let bytes = format!("POST / HTTP/1.1\r\nA: {}", "b".repeat(MAX_HEAD));

        assert!(matches!(read(bytes.as_bytes()).await, Err(HttpError::LongHead(_))));
    }
}
