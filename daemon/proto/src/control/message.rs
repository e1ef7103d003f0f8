//! The two `add-connection` messages. A parsed message has only valid values.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::MAX_BYTES;
use crate::{
    Hostname, SessionId, SessionKey, SessionTag,
    xml::{self, Document, Element, declared, leaf},
};

/// An announced session: the gateway connects a client that sends the tag to the agent.
#[derive(Debug, Clone)]
pub struct AddConnection {
    /// Address at which the agent waits for the session.
    pub agent: SocketAddr,
    /// Host name by which the Connection Manager contacted the agent, if any.
    pub hostname: Option<Hostname>,
    /// The tag that the client will send.
    pub tag: SessionTag,
    /// The session log id.
    pub connection_id: SessionId,
    /// The Connection Manager's key of the session. `None` from earlier versions, which identify a
    /// session by its log id.
    pub session_key: Option<SessionKey>,
}

/// The response of the gateway.
#[derive(Debug, Clone)]
pub enum Reply {
    /// `<result>ok</result>`: the gateway will admit the client.
    Accepted {
        /// The tag for the client.
        rtag: SessionTag,
        /// The server name that the client must send.
        sg_sni: String,
    },
    /// `<result>refused</result><reason>…</reason>`, which this project defines.
    Refused {
        /// Why, for the log of the Connection Manager.
        reason: String,
    },
}

/// Why a document is not an announcement or its response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The XML is invalid or exceeds a limit.
    #[error("the message is not acceptable XML")]
    Xml(#[from] xml::Error),
    /// It is a different message.
    #[error("the message is not an `add-connection` of `pcoip-sg` 1.0")]
    Other,
    /// An element is missing, empty or malformed.
    #[error("element `{0}` is missing or malformed")]
    Element(&'static str),
}

impl AddConnection {
    /// The announcement as an XML document.
    #[must_use]
    pub fn render(&self) -> String {
        let hostname = self.hostname.as_ref().map(|name| leaf("hostname", name.as_str()));
        let key = self.session_key.map(|key| leaf("session-key", &key.to_string()));
        let children = [
            leaf("ip-address", &self.agent.ip().to_string()),
            leaf("tcp-port", &self.agent.port().to_string()),
            hostname.unwrap_or_default(),
            leaf("ctag", self.tag.expose()),
            leaf("connection-id", self.connection_id.as_str()),
            key.unwrap_or_default(),
        ];
        message(&children)
    }

    /// Parses an announcement.
    ///
    /// # Errors
    ///
    /// [`MessageError`]: the first problem.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        let document = Document::parse(bytes, MAX_BYTES)?;
        let asked = content(&document)?;
        let ip: IpAddr = required(asked, "ip-address")?;
        let ip = ip.to_canonical();
        if ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST {
            return Err(MessageError::Element("ip-address"));
        }
        let port: u16 = required(asked, "tcp-port")?;
        if port == 0 {
            return Err(MessageError::Element("tcp-port"));
        }
        Ok(Self {
            agent: SocketAddr::new(ip, port),
            hostname: optional(asked, "hostname")?,
            tag: tag(asked, "ctag")?,
            connection_id: required(asked, "connection-id")?,
            session_key: optional(asked, "session-key")?,
        })
    }
}

impl Reply {
    /// The response as an XML document.
    #[must_use]
    pub fn render(&self) -> String {
        match self {
            Self::Accepted { rtag, sg_sni } => {
                message(&[leaf("result", OK), leaf("rtag", rtag.expose()), leaf("sg-sni", sg_sni)])
            }
            Self::Refused { reason } => {
                message(&[leaf("result", "refused"), leaf("reason", reason)])
            }
        }
    }

    /// Parses a response. Every result other than `ok` is a refusal.
    ///
    /// # Errors
    ///
    /// [`MessageError`]: the first problem.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        let document = Document::parse(bytes, MAX_BYTES)?;
        let answer = content(&document)?;
        let result = answer.child_text("result").ok_or(MessageError::Element("result"))?;
        if result != OK {
            let reason = answer.child_text("reason").unwrap_or(result);
            return Ok(Self::Refused { reason: reason.chars().take(MAX_REASON).collect() });
        }
        let sg_sni = answer.child_text("sg-sni").filter(|sni| sni.len() <= MAX_SNI);
        Ok(Self::Accepted {
            rtag: tag(answer, "rtag")?,
            sg_sni: sg_sni.ok_or(MessageError::Element("sg-sni"))?.to_owned(),
        })
    }
}

/// The server name that clients must send to a gateway.
pub const SG_SNI: &str = "pcoip-default-sg-sni";

const ROOT: &str = "pcoip-sg";
const VERSION: &str = "1.0";
const ELEMENT: &str = "add-connection";
const OK: &str = "ok";

/// Longest host name, in bytes.
const MAX_SNI: usize = 253;

/// Characters of a reason that are kept: enough for a log line.
const MAX_REASON: usize = 200;

fn message(children: &[String]) -> String {
    element(ELEMENT, children)
}

/// A document with a single element in its root.
pub(super) fn element(name: &str, children: &[String]) -> String {
    declared(ROOT, VERSION, &format!("<{name}>{}</{name}>", children.concat()))
}

fn content<'a, 'd>(document: &'d Document<'a>) -> Result<&'d Element<'a>, MessageError> {
    let root = document.root();
    let ours = root.name() == ROOT && root.attribute("version") == Some(VERSION);
    ours.then(|| root.child(ELEMENT)).flatten().ok_or(MessageError::Other)
}

fn required<T: std::str::FromStr>(
    element: &Element<'_>,
    name: &'static str,
) -> Result<T, MessageError> {
    let text = element.child_text(name).ok_or(MessageError::Element(name))?;
    text.parse().map_err(|_| MessageError::Element(name))
}

fn optional<T: std::str::FromStr>(
    element: &Element<'_>,
    name: &'static str,
) -> Result<Option<T>, MessageError> {
    element.child(name).map(|_| required(element, name)).transpose()
}

fn tag(element: &Element<'_>, name: &'static str) -> Result<SessionTag, MessageError> {
    let text = element.child_text(name).ok_or(MessageError::Element(name))?;
    SessionTag::parse(text).map_err(|_| MessageError::Element(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0b1c2d3e-0000-4000-8000-00000000000a";

    fn announcement(agent: &str, tag: &str) -> AddConnection {
        AddConnection {
            agent: agent.parse().unwrap(),
            hostname: None,
            tag: SessionTag::parse(tag).unwrap(),
            connection_id: ID.parse().unwrap(),
            session_key: None,
        }
    }

    #[test]
    fn an_announcement_has_the_vendors_form() {
        assert_eq!(
            announcement("10.0.0.5:4172", "SCS1abc").render(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-sg version=\"1.0\">\
             <add-connection><ip-address>10.0.0.5</ip-address><tcp-port>4172</tcp-port>\
             <ctag>SCS1abc</ctag><connection-id>0b1c2d3e-0000-4000-8000-00000000000a\
             </connection-id></add-connection></pcoip-sg>"
        );
    }

    #[test]
    fn a_rendered_message_can_be_parsed() {
        let tags = ["SCS1abc", "SCS1<&>\"'", &"&".repeat(SessionTag::MAX_BYTES)];
        for (agent, tag) in ["10.0.0.5:4172", "[2001:db8::5]:14172", "[::ffff:10.0.0.5]:1"]
            .iter()
            .flat_map(|agent| tags.map(|tag| (agent, tag)))
        {
            let sent = announcement(agent, tag);

            let read = AddConnection::parse(sent.render().as_bytes()).unwrap();

            assert_eq!(read.agent.ip(), sent.agent.ip().to_canonical());
            assert_eq!(read.agent.port(), sent.agent.port());
            assert_eq!(read.tag.expose(), tag);
            assert_eq!(read.connection_id, sent.connection_id);
            assert_eq!(read.hostname, None);
        }
    }

    #[test]
    fn the_agents_name_is_optional() {
        let hostname = Some("desk-1.corp.example".parse().unwrap());
        let sent = AddConnection { hostname, ..announcement("10.0.0.5:4172", "SCS1abc") };
        let text = sent.render();
        let bad = text.replace("desk-1", "desk 1");
        let empty = text.replace("desk-1.corp.example", "");

        let read = AddConnection::parse(text.as_bytes()).unwrap();

        assert!(
            text.contains("</tcp-port><hostname>desk-1.corp.example</hostname><ctag>"),
            "{text}"
        );
        assert_eq!(read.hostname, sent.hostname);
        for text in [bad, empty] {
            let error = AddConnection::parse(text.as_bytes()).err();
            assert_eq!(error, Some(MessageError::Element("hostname")), "{text}");
        }
    }

    #[test]
    fn the_sessions_key_is_optional() {
        let session_key = Some(SessionKey::from_random([0x0b; 16]));
        let sent = AddConnection { session_key, ..announcement("10.0.0.5:4172", "SCS1abc") };
        let text = sent.render();

        let read = AddConnection::parse(text.as_bytes()).unwrap();

        let element = format!("<session-key>{}</session-key>", "0b".repeat(16));
        assert!(text.contains(&format!("</connection-id>{element}</add-connection>")), "{text}");
        assert_eq!(read.session_key, session_key);
        for bad in ["<session-key/>", "<session-key>0b</session-key>"] {
            let error = AddConnection::parse(text.replace(&element, bad).as_bytes()).err();
            assert_eq!(error, Some(MessageError::Element("session-key")), "{bad}");
        }
    }

    #[test]
    fn an_invalid_announcement_is_refused() {
        let good = announcement("10.0.0.5:4172", "SCS1abc").render();
        let table = [
            ("version=\"1.0\">", "version=\"2.0\">", MessageError::Other),
            ("pcoip-sg", "pcoip-client", MessageError::Other),
            ("add-connection", "connection-closed", MessageError::Other),
            ("10.0.0.5", "agent.example", MessageError::Element("ip-address")),
            ("10.0.0.5", "0.0.0.0", MessageError::Element("ip-address")),
            ("10.0.0.5", "::", MessageError::Element("ip-address")),
            ("10.0.0.5", "::ffff:224.0.0.1", MessageError::Element("ip-address")),
            ("10.0.0.5", "255.255.255.255", MessageError::Element("ip-address")),
            ("<ip-address>10.0.0.5</ip-address>", "", MessageError::Element("ip-address")),
            (">4172<", ">0<", MessageError::Element("tcp-port")),
            (">4172<", ">65536<", MessageError::Element("tcp-port")),
            ("SCS1abc", "", MessageError::Element("ctag")),
            ("SCS1abc", "SCS1 abc", MessageError::Element("ctag")),
            (ID, "none", MessageError::Element("connection-id")),
        ];
        for (what, with, error) in table {
            let bad = good.replace(what, with);

            assert_eq!(AddConnection::parse(bad.as_bytes()).err(), Some(error), "{bad}");
        }
        let large = vec![b' '; MAX_BYTES + 1];
        assert!(matches!(AddConnection::parse(&large), Err(MessageError::Xml(_))));
    }

    #[test]
    fn rendered_and_indented_responses_are_parsed() {
        let accepted = "<pcoip-sg version=\"1.0\">\n  <add-connection>\n    <result>ok</result>\n    \
                        <rtag>SCS1abc</rtag>\n    <sg-sni>pcoip-default-sg-sni</sg-sni>\n  \
                        </add-connection>\n</pcoip-sg>\n";
        let rendered = Reply::Accepted {
            rtag: SessionTag::parse("SCS1abc").unwrap(),
            sg_sni: SG_SNI.to_owned(),
        }
        .render();
        for text in [accepted, &rendered] {
            let Ok(Reply::Accepted { rtag, sg_sni }) = Reply::parse(text.as_bytes()) else {
                panic!("refused: {text}");
            };
            assert_eq!((rtag.expose(), sg_sni.as_str()), ("SCS1abc", SG_SNI));
        }
    }

    #[test]
    fn a_refusal_has_a_reason() {
        let rendered = Reply::Refused { reason: "the gateway is full".to_owned() }.render();
        let bare = rendered.replace("<reason>the gateway is full</reason>", "");

        for (text, why) in [(rendered, "the gateway is full"), (bare, "refused")] {
            let Ok(Reply::Refused { reason }) = Reply::parse(text.as_bytes()) else {
                panic!("accepted: {text}");
            };
            assert_eq!(reason, why);
        }
    }
}
