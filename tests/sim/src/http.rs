//! A minimal implementation of HTTP/1.1 (RFC 9112), since real clients depend on the spelling of
//! headers and the framing of bodies, which a library would hide.

pub(crate) mod body;
pub(crate) mod message;
pub(crate) mod server;

use std::io;

use thiserror::Error;

/// What is wrong with a peer's HTTP.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error("connection failed")]
    Io(#[from] io::Error),
    #[error("connection ended within a message")]
    Truncated,
    #[error("head or line is longer than {0} bytes")]
    LongHead(usize),
    #[error("body is longer than {0} bytes")]
    LongBody(usize),
    #[error("head is malformed: `{0}`")]
    Head(String),
    #[error("body has no usable length")]
    Framing,
    #[error("chunk is malformed")]
    Chunk,
    #[error("body is not UTF-8")]
    Encoding,
}
