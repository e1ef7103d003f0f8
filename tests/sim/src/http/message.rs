//! Heads of requests and responses as values that preserve the spelling of every header.

use super::HttpError;

/// Headers in their order, with the names as they were spelt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, String)>);

/// What stands before a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The three words of the first line.
    pub(crate) start: [String; 3],
    pub(crate) headers: Headers,
}

/// The framing of a body (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(usize),
    Chunked,
}

/// A request that a simulator got.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Headers,
    pub(crate) body: String,
}

/// A response that a simulator gives, or got.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: String,
}

impl Headers {
    /// Returns every value of a header, whatever its spelling.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.named(name).map(|(_, value)| value)
    }

    /// Returns the spellings and values of a header.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Returns the first value of a header, whatever its spelling.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Returns the values of the cookies of that name.
    pub(crate) fn cookies(&self, name: &str) -> Vec<&str> {
        self.all("cookie")
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// Tells whether the sender closes the connection after this message.
    pub(crate) fn closes(&self) -> bool {
        self.value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Returns the framing of the body; ambiguous framing is refused.
    pub(crate) fn framing(&self) -> Result<Framing, HttpError> {
        let mut lengths = self.all("content-length");
        let mut codings = self.all("transfer-encoding");
        let framing = match (lengths.next(), codings.next()) {
            (None, None) => Framing::Empty,
            (Some(length), None) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                Framing::Length(length.parse().map_err(|_| HttpError::Framing)?)
            }
            (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
            _ => return Err(HttpError::Framing),
        };
        if lengths.next().is_some() || codings.next().is_some() {
            return Err(HttpError::Framing);
        }
        Ok(framing)
    }

    fn render(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }
}

impl Head {
    /// Reads a head without the empty line at its end.
    pub(crate) fn parse(text: &str) -> Result<Self, HttpError> {
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default();
        let malformed = |line: &str| HttpError::Head(line.chars().take(SHOWN).collect());
        let mut words = start.splitn(3, ' ').map(str::to_owned);
        let start = match (words.next(), words.next()) {
            (Some(first), Some(second)) if !first.is_empty() && !second.is_empty() => {
                [first, second, words.next().unwrap_or_default()]
            }
            _ => return Err(malformed(start)),
        };
        let mut headers = Headers::default();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(line))?;
            if name.is_empty() || !name.bytes().all(is_token) || headers.0.len() >= MAX_HEADERS {
                return Err(malformed(line));
            }
            headers.0.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(Self { start, headers })
    }
}

impl Request {
    /// Spells the request, with the length of its body.
    pub(crate) fn render(&self) -> String {
        let Self { method, path, headers, body } = self;
        let length = body.len();
        let headers = headers.render();
        format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
    }
}

impl Response {
    /// Makes a response with an XML body.
    pub(crate) fn xml(status: u16, body: String) -> Self {
        let headers = Headers::default().with("Content-Type", "application/xml; charset=UTF-8");
        Self { status, headers, body }
    }

    /// Spells the response, with the length of its body.
    pub(crate) fn render(&self) -> String {
        let Self { status, headers, body } = self;
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "Internal Server Error",
        };
        let length = body.len();
        let headers = headers.render();
        format!("HTTP/1.1 {status} {reason}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

const MAX_HEADERS: usize = 100;
/// How many characters of a malformed line an error shows.
const SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_how_its_headers_are_spelt() {
        let head =
            Head::parse("HTTP/1.1 200 OK\r\nset-cookie: a=b; Secure\r\nSet-Cookie:\tc=d ").unwrap();

        let cookies: Vec<_> = head.headers.named("SET-COOKIE").collect();
        assert_eq!(head.start, ["HTTP/1.1", "200", "OK"]);
        assert_eq!(cookies, [("set-cookie", "a=b; Secure"), ("Set-Cookie", "c=d")]);
    }

    #[test]
    fn a_malformed_head_is_refused() {
        let table = ["", "GET", "GET  HTTP/1.1", "GET / HTTP/1.1\r\nno colon", "GET / H\r\na b: c"];

        for text in table {
            assert!(matches!(Head::parse(text), Err(HttpError::Head(_))), "{text}");
        }
    }

    #[test]
    fn a_body_has_one_framing() {
        let table = [
            ("X: y", Some(Framing::Empty)),
            ("Content-Length: 12", Some(Framing::Length(12))),
            ("transfer-encoding: Chunked", Some(Framing::Chunked)),
            ("Content-Length: +12", None),
            ("Content-Length: 1\r\nContent-Length: 1", None),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked", None),
            ("Transfer-Encoding: gzip", None),
        ];

        for (headers, expected) in table {
            let head = Head::parse(&format!("POST / HTTP/1.1\r\n{headers}")).unwrap();
            assert_eq!(head.headers.framing().ok(), expected, "{headers}");
        }
    }

    #[test]
    fn cookies_are_found_among_others() {
        let headers = Headers::default().with("Cookie", "a=1; JSESSIONID=x=y;JSESSIONID=z");

        assert_eq!(headers.cookies("JSESSIONID"), ["x=y", "z"]);
    }
}
