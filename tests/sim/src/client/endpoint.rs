//! Where the client connects to, as an `https` URL says it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// It is not an `https` URL.
    #[error("URL does not start with `https://`")]
    Scheme,
    /// It has no host, or one that cannot be read.
    #[error("URL has no host")]
    Host,
    /// Its port is no number of a port.
    #[error("URL has a faulty port")]
    Port,
    /// It has a path, a query or a user.
    #[error("URL has more than host and port")]
    Rest,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let rest = text.strip_prefix("https://").ok_or(EndpointError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(EndpointError::Rest);
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(EndpointError::Host)?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        if host.is_empty() {
            return Err(EndpointError::Host);
        }
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| EndpointError::Port)?,
            None if port.is_empty() => HTTPS,
            None => return Err(EndpointError::Port),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            return write!(formatter, "[{host}]:{port}");
        }
        write!(formatter, "{host}:{port}")
    }
}

const HTTPS: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_and_port() {
        let table = [
            ("https://cm.example", Ok("cm.example:443")),
            ("https://127.0.0.1:8443/", Ok("127.0.0.1:8443")),
            ("https://[::1]:8443", Ok("[::1]:8443")),
            ("http://cm.example", Err(EndpointError::Scheme)),
            ("https://", Err(EndpointError::Host)),
            ("https://[::1", Err(EndpointError::Host)),
            ("https://[::1]8443", Err(EndpointError::Port)),
            ("https://cm:x", Err(EndpointError::Port)),
            ("https://cm/path", Err(EndpointError::Rest)),
        ];

        for (url, expected) in table {
            let endpoint = url.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
            assert_eq!(endpoint, expected.map(str::to_owned), "{url}");
        }
    }
}
