//! The messages on control connections: `u64 size`, then chunks of `name, u32 size, data`.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Size in bytes of a message with a block but no payload: the sizes and the name.
pub(super) const BLOCK_HEAD: usize = 16;
/// The last byte of the last block; all others are zero.
pub(super) const LAST: u8 = 0xff;
const MAX: u64 = 1 << 17;

/// A client's first message.
pub(super) fn first(tag: &str, spi: u32) -> Vec<u8> {
    let chunks = [SSIG, (b"ctag", tag.as_bytes()), (b"2spi", &spi.to_be_bytes())];
    message(&chunks)
}

/// An agent's answer to it.
pub(super) fn answer(spi: u32) -> Vec<u8> {
    message(&[SSIG, (b"2spi", &spi.to_be_bytes())])
}

/// Asks for blocks of this size, for this time.
pub(super) fn request(block: u32, millis: u32) -> Vec<u8> {
    message(&[(b"rqst", &[block.to_be_bytes(), millis.to_be_bytes()].concat())])
}

/// What [`request`] asked for.
pub(super) fn requested(body: &[u8]) -> Option<(u32, u32)> {
    let numbers: &[u8; 8] = body.strip_prefix(b"rqst\0\0\0\x08")?.first_chunk()?;
    let [block @ .., a, b, c, d] = *numbers;
    Some((u32::from_be_bytes(block), u32::from_be_bytes([a, b, c, d])))
}

/// A message of exactly this size, at least [`BLOCK_HEAD`].
pub(super) fn block(size: usize) -> Vec<u8> {
    message(&[(b"blck", &vec![0; size.saturating_sub(BLOCK_HEAD)])])
}

/// Reads a message without its size; `None` at the end of the connection.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let size = match stream.read_u64().await {
        Ok(size) if size <= MAX => size,
        Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut body = vec![0; usize::try_from(size).unwrap_or_default()];
    stream.read_exact(&mut body).await?;
    Ok(Some(body))
}

type Chunk<'a> = (&'a [u8; 4], &'a [u8]);

const SSIG: Chunk<'static> = (b"ssig", &[0; 4]);

fn message(chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, data) in chunks {
        body.extend_from_slice(*name);
        body.extend(u32::try_from(data.len()).unwrap_or_default().to_be_bytes());
        body.extend_from_slice(data);
    }
    [&(body.len() as u64).to_be_bytes(), body.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_read_as_it_was_written() {
        let bytes = [request(16_384, 1500), block(1024)].concat();
        let mut stream = bytes.as_slice();

        let body = read(&mut stream).await.unwrap().unwrap();
        assert_eq!(requested(&body), Some((16_384, 1500)));
        assert_eq!(stream.len(), 1024, "a block has the size that was asked for");
        let body = read(&mut stream).await.unwrap().unwrap();
        assert_eq!(requested(&body), None);
        assert_eq!(read(&mut stream).await.unwrap(), None);
    }

    #[test]
    fn the_first_message_has_tag_and_spi() {
        let bytes = first("SCS1x", 0xc100_0001);

        assert_eq!(bytes[..8], 37_u64.to_be_bytes());
        assert_eq!(&bytes[8..20], b"ssig\0\0\0\x04\0\0\0\0");
        assert_eq!(&bytes[20..33], b"ctag\0\0\0\x05SCS1x");
        assert_eq!(&bytes[33..], b"2spi\0\0\0\x04\xc1\0\0\x01");
    }
}
