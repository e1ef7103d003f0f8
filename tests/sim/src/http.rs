//! HTTP/1.1 by hand, since real clients mind how a header is spelt and how a body is framed: a
//! library would hide both.

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
