//! HTTP/1.1 messages with a length or in chunks (RFC 9112), as far as the benchmark's peers send
//! them.

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A message. Its bytes are in the buffer of the [`Reader`].
pub(super) struct Message<'a> {
    pub(super) head: &'a str,
    pub(super) body: String,
}

/// Reads messages one after the other.
#[derive(Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    /// Where the next message begins.
    start: usize,
}

impl Reader {
    /// The next message; `None` if the connection ends before it.
    pub(super) async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> anyhow::Result<Option<Message<'_>>> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let mut searched = 0;
        let head = loop {
            if let Some(at) = find(&self.bytes[searched..], b"\r\n\r\n") {
                break searched + at + 4;
            }
            searched = self.bytes.len().saturating_sub(3);
            if !self.fill(stream).await? {
                ensure!(self.bytes.is_empty(), "the connection ended within a message");
                return Ok(None);
            }
        };
        let (length, is_chunked) = body_of(std::str::from_utf8(&self.bytes[..head])?)?;
        let body = match is_chunked {
            true => self.chunks(head, stream).await?,
            false => self.whole(head, length, stream).await?,
        };
        let head = std::str::from_utf8(&self.bytes[..head])?;
        Ok(Some(Message { head, body: String::from_utf8(body)? }))
    }

    async fn whole(
        &mut self,
        head: usize,
        length: usize,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> anyhow::Result<Vec<u8>> {
        self.until(head + length, stream).await?;
        self.start = head + length;
        Ok(self.bytes[head..self.start].to_vec())
    }

    async fn chunks(
        &mut self,
        head: usize,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> anyhow::Result<Vec<u8>> {
        let (mut at, mut body) = (head, Vec::new());
        loop {
            let end = loop {
                if let Some(found) = find(&self.bytes[at..], b"\r\n") {
                    break at + found;
                }
                self.until(self.bytes.len() + 1, stream).await?;
            };
            let length = usize::from_str_radix(std::str::from_utf8(&self.bytes[at..end])?, 16)?;
            at = end + 2;
            self.until(at + length + 2, stream).await?;
            body.extend_from_slice(&self.bytes[at..at + length]);
            at += length + 2;
            if length == 0 {
                self.start = at;
                return Ok(body);
            }
        }
    }

    async fn until(
        &mut self,
        length: usize,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> anyhow::Result<()> {
        while self.bytes.len() < length {
            ensure!(self.fill(stream).await?, "the connection ended within a message");
        }
        Ok(())
    }

    async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<bool> {
        self.bytes.reserve(4096);
        Ok(stream.read_buf(&mut self.bytes).await? > 0)
    }
}

/// Length of the body, and whether it is chunked.
fn body_of(head: &str) -> anyhow::Result<(usize, bool)> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let (mut length, mut is_chunked) = (0, false);
    for (name, value) in fields {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().context("parsing a content length")?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            is_chunked = value.eq_ignore_ascii_case("chunked");
            if !is_chunked {
                bail!("unknown transfer encoding `{value}`");
            }
        }
    }
    Ok((length, is_chunked))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

/// A message with this first line, these further lines and this body.
pub(super) fn message(start: &str, fields: &str, body: &str) -> String {
    format!(
        "{start}\r\n{fields}Content-Type: text/xml; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_read_in_any_parts() {
        let first =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let second = message("POST / HTTP/1.1", "Host: a\r\n", "body");
        let both = [first, &second].concat();
        for size in 1..both.len() {
            let mut reader = Reader::default();
            let (mut to, mut stream) = tokio::io::duplex(size);
            let bytes = both.clone().into_bytes();
            let writing =
                tokio::spawn(
                    async move { tokio::io::AsyncWriteExt::write_all(&mut to, &bytes).await },
                );

            let bodies = [(); 2].map(|()| ());
            let mut read = Vec::new();
            for () in bodies {
                read.push(reader.next(&mut stream).await.unwrap().unwrap().body);
            }

            assert_eq!(read, ["abcde", "body"]);
            assert!(reader.next(&mut stream).await.unwrap().is_none());
            writing.await.unwrap().unwrap();
        }
    }
}
