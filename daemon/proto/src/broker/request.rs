//! Requests of clients, and how they are forwarded to the broker.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    BROKER_ROOT, CLIENT_ROOT, Invalid, PcmInfo, Version, logons::User, message, owned, redact,
};
use crate::xml::{Document, Edits, Element, MAX_BYTES};

/// Tells the broker that it may respond with other credentials for the agent.
const OUR_CAPABILITY: &str = "CAP_ALTERNATE_CREDENTIALS";

/// Maximum number of elements and attributes of a request; known ones have fewer than a hundred.
/// Requests need no authentication, and each node takes far more memory than its bytes.
const MAX_NODES: usize = 1000;

/// Product name of the client that only checks whether the service responds.
const PROBE: &str = "QueryBrokerClient";

/// A request of a client.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    document: Document<'a>,
    kind: RequestKind,
    version: Version,
}

/// The kind of a request, with what the Connection Manager needs to know about it.
#[derive(Debug, Clone)]
pub enum RequestKind {
    /// `hello`: opens a session.
    Hello(Hello),
    /// `authenticate`: one step of the logon.
    Authenticate(Authenticate),
    /// `get-resource-list`: lists the desktops of the user.
    GetResourceList,
    /// `allocate-resource`: requests a desktop.
    AllocateResource(Allocation),
    /// `bye`: ends the session.
    Bye,
    /// Any other message, by its name; forwarded unchanged.
    Other(String),
}

/// The client that opens a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Whether it only checks that the service responds.
    pub probe: bool,
    /// Name of the client, for the agent.
    pub device_name: Option<String>,
}

/// A step of the logon.
#[derive(Debug, Clone, Default)]
pub struct Authenticate {
    /// `password`, `dialog`, or another method that only client and broker know.
    pub method: String,
    /// The credentials of a `password` step.
    pub logon: Option<Logon>,
    /// The user that the step names, by any method.
    pub user: Option<User>,
}

/// Credentials of a user, for the broker and then for the agent.
///
/// The serialized form does not contain the password, so it cannot be written to disk by mistake.
/// Only the code that seals a session adds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Logon {
    /// Name of the user.
    pub username: String,
    /// The password, which is not serialized.
    #[serde(skip)]
    pub password: Option<SecretString>,
    /// Windows domain of the user.
    pub domain: Option<String>,
}

/// What a client says about itself in `allocate-resource`; it is passed on to the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// Local address of the client.
    pub ip_address: Option<String>,
    /// MAC address of the client.
    pub mac_address: Option<String>,
    /// Windows name of the client's time zone.
    pub time_zone_windows: Option<String>,
}

impl Logon {
    /// Longer than any Windows user name, in bytes.
    const MAX_USERNAME: usize = 1024;
    /// Longer than any Windows password, in bytes, and long enough for a token in its place.
    const MAX_PASSWORD: usize = 2048;
    /// Longest DNS name, in bytes.
    const MAX_DOMAIN: usize = 255;

    /// Whether the logon is short enough to be kept in a session. Opening a session needs no
    /// authentication, so sessions must be small.
    #[must_use]
    pub fn fits(&self) -> bool {
        let password = self.password.as_ref().map_or(0, |p| p.expose_secret().len());
        self.username.len() <= Self::MAX_USERNAME
            && password <= Self::MAX_PASSWORD
            && self.domain.as_ref().map_or(0, String::len) <= Self::MAX_DOMAIN
    }
}

impl RequestKind {
    fn of(message: &Element<'_>) -> Self {
        let client = message.child("client-info");
        match message.name() {
            "hello" => Self::Hello(Hello {
                probe: client.and_then(|c| c.child_text("product-name")) == Some(PROBE),
                device_name: owned(client, "device-name"),
            }),
            "authenticate" => Self::Authenticate(Authenticate::of(message)),
            "get-resource-list" => Self::GetResourceList,
            "allocate-resource" => Self::AllocateResource(Allocation {
                ip_address: owned(client, "ip-address"),
                mac_address: owned(client, "mac-address"),
                time_zone_windows: owned(client, "time-zone-windows"),
            }),
            "bye" => Self::Bye,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Name of the element.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Hello(_) => "hello",
            Self::Authenticate(_) => "authenticate",
            Self::GetResourceList => "get-resource-list",
            Self::AllocateResource(_) => "allocate-resource",
            Self::Bye => "bye",
            Self::Other(name) => name,
        }
    }
}

impl Authenticate {
    fn of(message: &Element<'_>) -> Self {
        let method = message.attribute("method").unwrap_or_default().to_owned();
        let username = message.child_text("username");
        let user = username.map(|name| User::new(name, message.child_text("domain")));
        let logon = username.filter(|_| method == "password");
        let logon = logon.map(|username| Logon {
            username: username.to_owned(),
            password: message.child("password").map(|p| SecretString::from(p.whole_text())),
            domain: owned(Some(message), "domain"),
        });
        Self { method, logon, user }
    }
}

impl<'a> Request<'a> {
    /// Parses a request of a client.
    ///
    /// # Errors
    ///
    /// [`Invalid`], but not for unknown messages, which are forwarded to the broker.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Invalid> {
        let document = Document::parse_small(bytes, MAX_BYTES, MAX_NODES)?;
        let (version, message) = message(&document, &[CLIENT_ROOT])?;
        let kind = RequestKind::of(message);
        Ok(Self { document, kind, version })
    }

    /// The kind of the request.
    #[must_use]
    pub fn kind(&self) -> &RequestKind {
        &self.kind
    }

    /// The protocol version of the client.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The request for the broker: with the broker's root element, and in a `hello` also with
    /// `pcm-info` and the capability `CAP_ALTERNATE_CREDENTIALS`.
    #[must_use]
    pub fn to_broker(&self, pcm: &PcmInfo) -> String {
        let root = self.document.root();
        let mut edits = Edits::default();
        edits.rename(root, BROKER_ROOT);
        if let (RequestKind::Hello(_), [hello]) = (&self.kind, root.children()) {
            introduce(&mut edits, hello, pcm);
        }
        edits.apply(&self.document)
    }

    /// The request for the log, with secrets masked.
    #[must_use]
    pub fn redacted(&self) -> String {
        redact::document(&self.document)
    }
}

fn introduce(edits: &mut Edits, hello: &Element<'_>, pcm: &PcmInfo) {
    let ours = format!("<cap>{OUR_CAPABILITY}</cap>");
    let mut introduction = pcm.xml();
    match hello.child("caps") {
        Some(caps) if caps.children().iter().any(|cap| cap.text() == OUR_CAPABILITY) => {}
        Some(caps) => edits.append(caps, &ours),
        None => introduction.push_str(&format!("<caps>{ours}</caps>")),
    }
    match hello.child("client-info") {
        Some(client) => edits.insert(client.span().end, introduction),
        None => edits.prepend(hello, &introduction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Refusal;

    fn pcm() -> PcmInfo {
        PcmInfo {
            product_version: "1.2.3".to_owned(),
            ip_address: "192.0.2.9".to_owned(),
            hostname: "cm.example".to_owned(),
        }
    }

    const PCM: &str = "<pcm-info><product-name>PCoIP Connection Manager</product-name>\
        <product-version>1.2.3</product-version><platform>GNU/Linux x86_64</platform>\
        <ip-address>192.0.2.9</ip-address><hostname>cm.example</hostname></pcm-info>";

    #[test]
    fn a_hello_gets_pcm_info_and_keeps_everything_else() {
        let table = [
            (
                "<hello><client-info><a /></client-info><!-- x --><caps><cap>A</cap></caps> <z:y/></hello>",
                "<hello><client-info><a /></client-info>{PCM}<!-- x --><caps><cap>A</cap>\
                 <cap>CAP_ALTERNATE_CREDENTIALS</cap></caps> <z:y/></hello>",
            ),
            (
                "<hello><client-info/><caps /></hello>",
                "<hello><client-info/>{PCM}<caps><cap>CAP_ALTERNATE_CREDENTIALS</cap></caps></hello>",
            ),
            (
                "<hello><client-info/><server-address/></hello>",
                "<hello><client-info/>{PCM}<caps><cap>CAP_ALTERNATE_CREDENTIALS</cap></caps>\
                 <server-address/></hello>",
            ),
            ("<hello />", "<hello>{PCM}<caps><cap>CAP_ALTERNATE_CREDENTIALS</cap></caps></hello>"),
            (
                "<hello><caps><cap>CAP_ALTERNATE_CREDENTIALS</cap></caps></hello>",
                "<hello>{PCM}<caps><cap>CAP_ALTERNATE_CREDENTIALS</cap></caps></hello>",
            ),
        ];
        for (given, expected) in table {
            let given = format!(
                "<?xml version=\"1.0\"?>\n<pcoip-client version=\"2.1\">{given}</pcoip-client>"
            );

            let forwarded = Request::parse(given.as_bytes()).unwrap().to_broker(&pcm());

            let expected = expected.replace("{PCM}", PCM);
            assert_eq!(
                forwarded,
                format!(
                    "<?xml version=\"1.0\"?>\n<pcoip-broker version=\"2.1\">{expected}</pcoip-broker>"
                )
            );
        }
    }

    #[test]
    fn other_requests_only_get_the_brokers_root() {
        let table = [
            (
                "authenticate",
                "<authenticate method='password'><password>a&amp;b</password>\r\n</authenticate>",
            ),
            ("get-resource-list", "<get-resource-list><new:thing a=\"1\"/></get-resource-list>"),
            (
                "allocate-resource",
                "<allocate-resource><resource-id>1</resource-id></allocate-resource>",
            ),
            ("bye", "<bye />"),
            ("start-oauth", "<start-oauth><![CDATA[x]]></start-oauth>"),
        ];
        for (name, message) in table {
            let given = format!("<pcoip-client version=\"2.1\" x='y' >{message}</pcoip-client >");

            let request = Request::parse(given.as_bytes()).unwrap();

            assert_eq!(request.kind().name(), name);
            assert_eq!(
                request.to_broker(&pcm()),
                format!("<pcoip-broker version=\"2.1\" x='y' >{message}</pcoip-broker >")
            );
        }
    }

    #[test]
    fn the_values_for_the_agent_are_parsed() {
        let given = "<pcoip-client version='2.1'><authenticate method='password'><username>u</username>\
                     <password> p&lt; </password><domain>d</domain></authenticate></pcoip-client>";
        let request = Request::parse(given.as_bytes()).unwrap();
        let RequestKind::Authenticate(Authenticate { method, logon: Some(logon), .. }) =
            request.kind()
        else {
            panic!("{request:?}")
        };
        assert_eq!((method.as_str(), logon.username.as_str()), ("password", "u"));
        assert_eq!(logon.domain.as_deref(), Some("d"));
        assert_eq!(logon.password.as_ref().unwrap().expose_secret(), " p< ");

        let given = "<pcoip-client version='2.1'><allocate-resource><client-info>\
                     <mac-address>aa:bb</mac-address><ip-address>192.0.2.3</ip-address></client-info>\
                     </allocate-resource></pcoip-client>";
        let request = Request::parse(given.as_bytes()).unwrap();
        let RequestKind::AllocateResource(allocation) = request.kind() else { panic!() };
        assert_eq!(allocation.mac_address.as_deref(), Some("aa:bb"));
        assert_eq!(allocation.ip_address.as_deref(), Some("192.0.2.3"));
        assert_eq!(allocation.time_zone_windows, None);
    }

    #[test]
    fn a_logon_is_serialized_without_its_password() {
        let logon = Logon {
            username: "u".to_owned(),
            password: Some("secret".into()),
            domain: Some("d".to_owned()),
        };

        let written = serde_json::to_string(&logon).unwrap();
        let read: Logon = serde_json::from_str(&written).unwrap();

        assert_eq!(written, r#"{"username":"u","domain":"d"}"#);
        assert!(read.password.is_none());
        assert!(!format!("{logon:?}").contains("secret"));
    }

    #[test]
    fn a_request_of_many_elements_is_refused() {
        let request = |count| {
            let elements = "<a/>".repeat(count);
            format!("<pcoip-client version='2.1'><hello>{elements}</hello></pcoip-client>")
        };
        assert!(Request::parse(request(MAX_NODES - 3).as_bytes()).is_ok());
        let refused = Request::parse(request(MAX_NODES - 2).as_bytes()).err();
        assert!(
            matches!(refused, Some(Invalid::Xml(crate::xml::Error::TooMany { .. }))),
            "{refused:?}"
        );
    }

    #[test]
    fn a_probe_is_recognized_by_its_product_name() {
        for (product, probe) in
            [("QueryBrokerClient", true), ("Anyware PCoIP Desktop Client", false)]
        {
            let given = format!(
                "<pcoip-client version='2.1'><hello><client-info><product-name>{product}</product-name>\
                 <device-name>d</device-name></client-info></hello></pcoip-client>"
            );
            let request = Request::parse(given.as_bytes()).unwrap();
            let RequestKind::Hello(hello) = request.kind() else { panic!() };
            assert_eq!(*hello, Hello { probe, device_name: Some("d".to_owned()) });
        }
    }

    #[test]
    fn an_invalid_request_is_refused() {
        let broker = Refusal::UnknownSession.document(&Version::usual());
        let table = [
            (
                "<pcoip-broker version='2.1'><bye/></pcoip-broker>",
                Invalid::Root { expected: "pcoip-client" },
            ),
            ("<pcoip-client><bye/></pcoip-client>", Invalid::Version),
            ("<pcoip-client version='x'><bye/></pcoip-client>", Invalid::Version),
            ("<pcoip-client version=''><bye/></pcoip-client>", Invalid::Version),
            ("<pcoip-client version='2.1'/>", Invalid::Messages { count: 0 }),
            (
                "<pcoip-client version='2.1'><bye/><bye/></pcoip-client>",
                Invalid::Messages { count: 2 },
            ),
            (
                &format!("<pcoip-client version='2.1'><{}/></pcoip-client>", "x".repeat(65)),
                Invalid::Name,
            ),
            ("<a>", Invalid::Xml(crate::xml::Error::Unfinished)),
        ];
        for (given, error) in table {
            assert_eq!(Request::parse(given.as_bytes()).err(), Some(error), "{given}");
        }
        assert!(Request::parse(broker.as_bytes()).is_ok(), "unknown requests are forwarded");
    }
}
