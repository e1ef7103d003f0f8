//! Errors of a client: faults of its peers, and everything else.

use std::io;

use thiserror::Error;

use crate::control::ControlError;
use crate::datagram::DatagramError;
use crate::http::HttpError;
use crate::xml::XmlError;

/// Why a client fails.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("failed to connect to `{address}`")]
    Connect { address: String, source: io::Error },
    #[error("failed to agree on TLS with `{address}`")]
    Handshake { address: String, source: io::Error },
    #[error("failed to open a UDP socket")]
    Socket(#[source] io::Error),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("control connection ended before it was to")]
    ControlEnded,
    #[error("session tag is not accepted")]
    NotAccepted,
    #[error("a control message came at the wrong time")]
    ControlOrder,
    #[error(transparent)]
    Datagram(#[from] DatagramError),
    #[error("datagram has the SPI `{0:08x}`, which was never agreed on")]
    Spi(u32),
    #[error("datagram has another size than the one that it answers")]
    Size,
    #[error("datagram {index} was sent {attempts} times without an answer")]
    Lost { index: u32, attempts: u32 },
    #[error("a second factor is asked for, and no passcode was given")]
    NoPasscode,
    #[error("control connection was lost, and could not be opened again")]
    NotResumed(#[source] Box<Error>),
    #[error("it took too long")]
    Timeout,
}

/// A response that a real client would not accept.
#[derive(Debug, Error, PartialEq)]
pub(super) enum Fault {
    #[error("answer has the status {0}")]
    Status(u16),
    #[error("answer is not chunked")]
    NotChunked,
    #[error("answer's content type is not XML")]
    ContentType,
    #[error("header is spelt `{0}`, not `Set-Cookie`")]
    CookieSpelling(String),
    #[error("answer sets no `JSESSIONID`, or several")]
    NoCookie,
    #[error("`JSESSIONID` is not 32 hexadecimal digits")]
    CookieValue,
    #[error("`JSESSIONID` lacks the attribute `{0}`")]
    CookieAttribute(&'static str),
    #[error("answer cannot be read")]
    Xml(#[from] XmlError),
    #[error("root is `{0}`, not `pcoip-client` version `2.1` with one message in it")]
    Root(String),
    #[error("answer is `{0}`, which was not asked for")]
    Message(String),
    #[error("answer is the error `{0}`")]
    Refused(String),
    #[error("result is `{0}`")]
    Result(String),
    #[error("`pcm-info` does not follow `brokers-info`")]
    NoPcmInfo,
    #[error("`pcm-info` is not followed by `caps`")]
    Caps,
    #[error("`{0}` is missing or not what it must be")]
    Field(&'static str),
    #[error("unknown content of `{0}` did not arrive byte for byte")]
    Unknown(String),
}
