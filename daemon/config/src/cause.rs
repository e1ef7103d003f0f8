//! Errors of libraries and of the operating system in an administrator's words, with the original in
//! brackets: `the connection was refused (Connection refused, os error 111)`. A peer can choose parts of
//! the original, so control characters in it are escaped.

use std::{
    error::Error,
    io::{self, ErrorKind::WouldBlock},
};

use crate::distrust::{self, Distrust};

/// `ELOOP`.
const TOO_MANY_LINKS: i32 = 40;

/// The whole chain of an error in one line. It ends at the first cause that has words here; what HTTP
/// libraries say around that cause is left out.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut links: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(link) = next {
        if let Some(words) = words(link) {
            links.retain(|link| !is_wrapper(link));
            links.push(words);
            break;
        }
        links.push(escaped(&link.to_string()));
        next = link.source();
    }
    links.join(": ")
}

/// The text of an error of the operating system, in an administrator's words if there are any.
#[must_use]
pub fn of_io(error: &io::Error) -> String {
    words(error).unwrap_or_else(|| escaped(&error.to_string()))
}

/// Why a role does not answer on its unix socket.
#[must_use]
pub fn of_socket(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its socket does not exist".to_owned(),
        io::ErrorKind::ConnectionRefused => "nothing listens on its socket".to_owned(),
        _ => of_io(error),
    }
}

/// What one error means, if it is of a kind that is known here.
fn words(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return of_tls(error);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        let carried = error.get_ref().and_then(|carried| words(carried));
        // The system's own words for a timeout on a socket, `Resource temporarily unavailable`, mislead.
        if carried.is_none() && error.raw_os_error().is_some() && error.kind() == WouldBlock {
            return of_system(error).map(str::to_owned);
        }
        return carried.or_else(|| Some(with_original(of_system(error)?, &error.to_string())));
    }
    of_text(&error.to_string())
}

fn of_tls(error: &rustls::Error) -> Option<String> {
    use rustls::Error;
    let meaning = match error {
        Error::InvalidCertificate(_) => {
            format!("its certificate cannot be verified: {}", Distrust::of(error))
        }
        Error::AlertReceived(_) => "the peer refused the TLS handshake".to_owned(),
        Error::PeerIncompatible(_) => {
            "the peer supports none of the accepted TLS versions and cipher suites".to_owned()
        }
        Error::InvalidMessage(_) => "the peer does not speak TLS on this port".to_owned(),
        _ => return None,
    };
    Some(with_original(&meaning, &distrust::bounded(error.clone()).to_string()))
}

fn of_system(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind;
    let text = error.to_string();
    if let Some(meaning) = of_name(&text) {
        return Some(meaning);
    }
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => "the connection was refused",
        ErrorKind::ConnectionReset => "the peer reset the connection",
        ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => "the peer closed the connection",
        ErrorKind::UnexpectedEof if is_of_connection(&text) => "the peer closed the connection",
        ErrorKind::UnexpectedEof => "the data ended too early",
        ErrorKind::HostUnreachable => "the host cannot be reached",
        ErrorKind::NetworkUnreachable => "there is no route to the network",
        ErrorKind::NetworkDown => "the network is down",
        ErrorKind::TimedOut | WouldBlock => "there was no answer in time",
        ErrorKind::AddrInUse => "another process uses this address and port",
        ErrorKind::AddrNotAvailable => "this host does not have this address",
        ErrorKind::NotFound => "it does not exist",
        ErrorKind::PermissionDenied => "permission is denied",
        ErrorKind::NotADirectory => "a part of the path is not a directory",
        ErrorKind::IsADirectory => "it is a directory",
        ErrorKind::StorageFull => "the disk is full",
        ErrorKind::QuotaExceeded => "the disk quota is used up",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        ErrorKind::InvalidInput if error.raw_os_error().is_some() => {
            "the system does not accept this address or value"
        }
        _ if error.raw_os_error() == Some(TOO_MANY_LINKS) => {
            "the path leads through too many symbolic links"
        }
        _ => return None,
    })
}

/// Whether an unexpected end is that of a connection and not of a file: what rustls, hyper, tokio-rustls
/// and tokio say.
fn is_of_connection(text: &str) -> bool {
    const ENDS: [&str; 4] =
        ["peer closed connection", "end of file", "tls handshake eof", "early eof"];
    ENDS.iter().any(|start| text.starts_with(start))
}

/// What the C library says about a name that it cannot resolve. The error has no number.
fn of_name(text: &str) -> Option<&'static str> {
    let (_, why) = text.split_once("failed to lookup address information: ")?;
    Some(match why {
        "Name or service not known" | "No address associated with hostname" => {
            "DNS does not know the host name"
        }
        "Temporary failure in name resolution" => "no DNS server answered",
        _ => "the host name cannot be resolved",
    })
}

/// What HTTP libraries say; their types are private.
fn of_text(text: &str) -> Option<String> {
    const MEANINGS: [(&str, &str); 2] = [
        (
            "connection closed before message completed",
            "the peer closed the connection before it answered",
        ),
        ("invalid HTTP", "the peer does not speak HTTP on this port"),
    ];
    let (_, meaning) = MEANINGS.iter().find(|(start, _)| text.starts_with(start))?;
    Some(with_original(meaning, text))
}

/// Whether a link of a chain says only that a request or a connection failed.
fn is_wrapper(text: &str) -> bool {
    const WRAPPERS: [&str; 8] = [
        "error sending request",
        "client error (",
        "tcp connect error",
        "dns error",
        "connection error",
        "error decoding response body",
        "request or response body error",
        "error reading a body from connection",
    ];
    WRAPPERS.iter().any(|start| text.starts_with(start))
}

/// The meaning, with the original in brackets. Brackets around error numbers are replaced by commas.
fn with_original(meaning: &str, original: &str) -> String {
    let mut shown = String::with_capacity(original.len());
    let mut rest = original;
    while let Some((text, after)) = rest.split_once(" (os error ") {
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after_number) = after.split_at(digits);
        let (open, after_close) = match after_number.strip_prefix(')') {
            Some(after) if digits > 0 => (", os error ", after),
            _ => (" (os error ", after_number),
        };
        shown.extend([text, open, number]);
        rest = after_close;
    }
    shown.push_str(rest);
    format!("{meaning} ({})", escaped(&shown))
}

/// Escapes characters that could begin a new line, move the cursor or change the direction of text.
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_deceptive(c) {
            line.extend(c.escape_unicode());
        } else {
            line.push(c);
        }
    }
    line
}

/// Whether a terminal does not show a character as such: it breaks a line, changes the direction of
/// text, or is invisible.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError};

    use super::*;

    /// A link of a chain.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<dyn Error + Send + Sync>>);

    fn link(text: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Link {
        Link(text, Some(source.into()))
    }

    #[test]
    fn each_cause_of_the_operating_system_has_its_words() {
        let table = [
            (111, "the connection was refused (Connection refused, os error 111)"),
            (104, "the peer reset the connection (Connection reset by peer, os error 104)"),
            (113, "the host cannot be reached (No route to host, os error 113)"),
            (101, "there is no route to the network (Network is unreachable, os error 101)"),
            (110, "there was no answer in time (Connection timed out, os error 110)"),
            (
                98,
                "another process uses this address and port (Address already in use, os error 98)",
            ),
            (2, "it does not exist (No such file or directory, os error 2)"),
            (13, "permission is denied (Permission denied, os error 13)"),
            (20, "a part of the path is not a directory (Not a directory, os error 20)"),
            (21, "it is a directory (Is a directory, os error 21)"),
            (28, "the disk is full (No space left on device, os error 28)"),
            (30, "the file system is read-only (Read-only file system, os error 30)"),
            (11, "there was no answer in time"),
            (
                40,
                "the path leads through too many symbolic links (Too many levels of symbolic \
                 links, os error 40)",
            ),
            (
                22,
                "the system does not accept this address or value (Invalid argument, os error 22)",
            ),
            (5, "Input/output error (os error 5)"),
        ];
        for (number, text) in table {
            assert_eq!(of_io(&io::Error::from_raw_os_error(number)), text);
        }
    }

    #[test]
    fn each_cause_of_tls_has_its_words() {
        let unknown = rustls::Error::from(CertificateError::UnknownIssuer);
        let alert = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
        let table = [
            (
                unknown.clone(),
                "its certificate cannot be verified: it was not issued by a trusted authority \
                 (invalid peer certificate: UnknownIssuer)",
            ),
            (
                CertificateError::BadSignature.into(),
                "its certificate cannot be verified: its issuer has the name of a trusted \
                 authority, but a different key (invalid peer certificate: BadSignature)",
            ),
            (
                CertificateError::Expired.into(),
                "its certificate cannot be verified: it has expired (invalid peer certificate: \
                 Expired)",
            ),
            (
                CertificateError::NotValidForName.into(),
                "its certificate cannot be verified: it is for a different name (invalid peer \
                 certificate: NotValidForName)",
            ),
            (
                alert,
                "the peer refused the TLS handshake (received fatal alert: \
                 HandshakeFailure)",
            ),
            (
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                "the peer does not speak TLS on this port (received corrupt message of type \
                 InvalidContentType)",
            ),
        ];
        for (error, text) in table {
            // As rustls and as an I/O error that carries it.
            assert_eq!(chain(&error), text);
            assert_eq!(of_io(&io::Error::new(io::ErrorKind::InvalidData, error)), text);
        }
    }

    #[test]
    fn names_that_cannot_be_resolved_are_told_from_dns_that_does_not_answer() {
        let table = [
            ("Name or service not known", "DNS does not know the host name"),
            ("Temporary failure in name resolution", "no DNS server answered"),
            ("System error", "the host name cannot be resolved"),
        ];
        for (why, words) in table {
            let original = format!("failed to lookup address information: {why}");

            assert_eq!(of_io(&io::Error::other(original.clone())), format!("{words} ({original})"));
        }
    }

    #[test]
    fn the_end_of_a_file_is_not_reported_as_a_closed_connection() {
        let table = [
            ("failed to fill whole buffer", "the data ended too early"),
            (
                "peer closed connection without sending TLS close_notify",
                "the peer closed the connection",
            ),
            ("tls handshake eof", "the peer closed the connection"),
        ];
        for (original, words) in table {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, original);

            assert_eq!(of_io(&error), format!("{words} ({original})"));
        }
    }

    #[test]
    fn brackets_around_the_error_number_are_removed_in_pairs() {
        let table = [
            ("opening x (os error 2): see (1)", "opening x, os error 2: see (1)"),
            ("a (os error 2), b (os error 20)", "a, os error 2, b, os error 20"),
            ("a (os error two)", "a (os error two)"),
            ("a (os error 2", "a (os error 2"),
        ];
        for (original, shown) in table {
            let error = io::Error::new(io::ErrorKind::PermissionDenied, original);

            assert_eq!(of_io(&error), format!("permission is denied ({shown})"));
        }
    }

    #[test]
    fn the_original_text_is_one_line_without_control_characters() {
        let hostile = "a\nerror: b\u{1b}[2J\u{202e}";
        let shown = "a\\u{a}error: b\\u{1b}[2J\\u{202e}";
        let denied = io::Error::new(io::ErrorKind::PermissionDenied, hostile);

        assert_eq!(of_io(&denied), format!("permission is denied ({shown})"));
        assert_eq!(of_io(&io::Error::other(hostile)), shown);
        assert_eq!(chain(&Link(hostile, None)), shown);
    }

    #[test]
    fn wrappers_of_http_libraries_are_left_out_and_ours_are_kept() {
        let refused = io::Error::from_raw_os_error(111);
        let connect = link("client error (Connect)", link("tcp connect error", refused));
        let asked = link("asking `https://b`", link("error sending request", connect));
        let closed = link(
            "client error (SendRequest)",
            Link("connection closed before message completed", None),
        );
        let unknown = link("error sending request", Link("operation was canceled", None));
        let table = [
            (
                asked,
                "asking `https://b`: the connection was refused (Connection refused, os error 111)",
            ),
            (
                link("error sending request", closed),
                "the peer closed the connection before it answered (connection closed before \
                 message completed)",
            ),
            (
                link(
                    "error decoding response body",
                    link(
                        "error reading a body from connection",
                        io::Error::new(io::ErrorKind::UnexpectedEof, "end of file"),
                    ),
                ),
                "the peer closed the connection (end of file)",
            ),
            (unknown, "error sending request: operation was canceled"),
        ];
        for (error, text) in table {
            assert_eq!(chain(&error), text);
        }
    }
}
