//! How responses are parsed and forwarded.

use super::*;
use crate::broker::{Allocation, Hello};

fn read(message: &str) -> Result<ResponseKind, Invalid> {
    let document = format!("<pcoip-broker version=\"2.1\">{message}</pcoip-broker>");
    Response::parse(document.as_bytes()).map(|response| response.kind)
}

fn target(hostname: Option<&str>, sni: Option<&str>) -> ClientTarget {
    ClientTarget {
        ip_address: "203.0.113.7".parse().unwrap(),
        hostname: hostname.map(str::to_owned),
        sni: sni.map(str::to_owned),
        port: 4172,
        session_id: 2_305_843_009_213_693_954,
        connect_tag: SessionTag::parse("SCS1+/=").unwrap(),
    }
}

#[test]
fn only_a_list_of_resources_may_be_large() {
    let resource = format!("<resource><x>{}</x></resource>\n", "secret".repeat(500));
    let large = resource.repeat(MAX_OUTLINE_BYTES / resource.len() - 2);
    let answer = |root: &str, name: &str| {
        format!("<{root} version=\"2.1\"><{name}-resp>{large}</{name}-resp></{root}>")
    };
    let list = answer("pcoip-broker", "get-resource-list");
    let many = "<get-resource-list-resp>".to_owned() + &"<r/>".repeat(60_000);
    let pcm = PcmInfo {
        product_version: String::new(),
        ip_address: String::new(),
        hostname: String::new(),
    };

    let read = Response::parse(list.as_bytes()).unwrap();

    assert_eq!(*read.kind(), ResponseKind::GetResourceList);
    assert!(read.to_client(&pcm) == answer("pcoip-client", "get-resource-list"));
    assert_eq!(read.redacted(), format!("({} bytes)", list.len()));
    assert!(self::read(&(many + "</get-resource-list-resp>")).is_ok());
    for name in ["allocate-resource", "error", "x"] {
        let error = Error::TooLarge { limit: MAX_BYTES };
        let refused = Response::parse(answer("pcoip-broker", name).as_bytes()).err();
        assert_eq!(refused, Some(error.into()), "{name}");
    }
    let longer = list + &" ".repeat(resource.len() * 3);
    let error = Error::TooLarge { limit: MAX_OUTLINE_BYTES };
    assert_eq!(Response::parse(longer.as_bytes()).err(), Some(error.into()));
}

#[test]
fn a_granted_resource_has_an_address() {
    let at = |ip_address: Option<&str>, hostname: Option<&str>, port| {
        ResponseKind::AllocateResource(Some(BrokerTarget {
            ip_address: ip_address.map(|a| a.parse().unwrap()),
            hostname: hostname.map(str::to_owned),
            port,
        }))
    };
    let named = |ip_address, hostname| at(ip_address, hostname, 4172);
    let granted = "<result><result-id>ALLOC_SUCCESSFUL</result-id></result>";
    let allocated = |rest: &str| {
        read(&format!("<allocate-resource-resp>{granted}{rest}</allocate-resource-resp>"))
    };
    let table = [
        (
            allocated("<target><ip-address>10.0.0.5</ip-address><hostname>h</hostname></target>"),
            Ok(named(Some("10.0.0.5"), Some("h"))),
        ),
        (
            allocated("<target><ip-address>2001:db8::5</ip-address></target>"),
            Ok(named(Some("2001:db8::5"), None)),
        ),
        (
            allocated("<target><ip-address /><hostname>h</hostname></target>"),
            Ok(named(None, Some("h"))),
        ),
        (
            allocated("<target><hostname>h</hostname><port>14172</port></target>"),
            Ok(at(None, Some("h"), 14172)),
        ),
        (allocated("<target><hostname>h</hostname><port /></target>"), Ok(named(None, Some("h")))),
        (allocated("<target><hostname>h</hostname><port>0</port></target>"), Err(Invalid::Target)),
        (
            allocated("<target><hostname>h</hostname><port>65536</port></target>"),
            Err(Invalid::Target),
        ),
        (
            allocated("<target><ip-address>?</ip-address><hostname>127.1</hostname></target>"),
            Err(Invalid::Target),
        ),
        (allocated("<target/>"), Err(Invalid::Target)),
        (allocated(""), Err(Invalid::Target)),
        (allocated("<target><ip-address>10.0.0</ip-address></target>"), Err(Invalid::Target)),
    ];
    for (read, expected) in table {
        assert_eq!(read, expected);
    }
}

#[test]
fn a_desktop_is_called_by_a_usable_name_or_address() {
    let table = [
        ("10.0.0.5", "desk.example", Some("desk.example")),
        ("10.0.0.5", "localhost.", Some("localhost.")),
        ("10.0.0.5", "10.0.0.6", Some("10.0.0.6")),
        // Names that a URL parser would read as an unintended address.
        ("192.0.2.77", "2130706433", Some("192.0.2.77")),
        ("192.0.2.77", "127.1", Some("192.0.2.77")),
        ("192.0.2.77", "a name", Some("192.0.2.77")),
        ("10.0.0", "desk.example", Some("desk.example")),
        ("10.0.0", "a name", None),
    ];
    for (ip_address, hostname, called) in table {
        let target = BrokerTarget {
            ip_address: ip_address.parse().ok(),
            hostname: Some(hostname.to_owned()),
            port: 4172,
        };

        assert_eq!(target.host().as_deref(), called, "{ip_address} {hostname}");
    }
}

#[test]
fn responses_are_distinguished() {
    let authenticated = |id: &str| {
        read(&format!(
            "<authenticate-resp><result><result-id>{id}</result-id></result></authenticate-resp>"
        ))
    };
    let table = [
        (read("<hello-resp/>"), Ok(ResponseKind::Hello)),
        (read("<bye-resp />"), Ok(ResponseKind::Bye)),
        (read("<error-resp/>"), Ok(ResponseKind::Error)),
        (read("<x-resp/>"), Ok(ResponseKind::Other("x-resp".to_owned()))),
        (
            authenticated("AUTH_SUCCESSFUL_AND_COMPLETE"),
            Ok(ResponseKind::Authenticate(Authentication::Complete)),
        ),
        (
            authenticated("AUTH_SUCCESSFUL_AND_INCOMPLETE"),
            Ok(ResponseKind::Authenticate(Authentication::Incomplete)),
        ),
        (
            authenticated("AUTH_FAILED_ACCESS_DENIED"),
            Ok(ResponseKind::Authenticate(Authentication::Failed)),
        ),
        (read("<authenticate-resp/>"), Ok(ResponseKind::Authenticate(Authentication::Failed))),
        (read("<allocate-resource-resp/>"), Ok(ResponseKind::AllocateResource(None))),
    ];
    for (read, expected) in table {
        assert_eq!(read, expected);
    }
}

#[test]
fn a_response_matches_its_request() {
    let hello = RequestKind::Hello(Hello::default());
    let allocate = RequestKind::AllocateResource(Allocation::default());
    let other = RequestKind::Other("x".to_owned());

    assert!(ResponseKind::Hello.answers(&hello));
    assert!(!ResponseKind::Hello.answers(&allocate));
    assert!(ResponseKind::AllocateResource(None).answers(&allocate));
    assert!(ResponseKind::Other("x-resp".to_owned()).answers(&other));
    assert!(!ResponseKind::Other("x".to_owned()).answers(&other));
    assert!(ResponseKind::Error.answers(&other));
}

#[test]
fn a_hello_response_gets_pcm_info() {
    let pcm = PcmInfo {
        product_version: "1".to_owned(),
        ip_address: "a".to_owned(),
        hostname: "h".to_owned(),
    };
    let table = [
        (
            "<hello-resp><brokers-info> x </brokers-info><caps /></hello-resp>",
            "<hello-resp><brokers-info> x </brokers-info>{PCM}<caps /></hello-resp>",
        ),
        ("<hello-resp><n/></hello-resp>", "<hello-resp>{PCM}<n/></hello-resp>"),
    ];
    for (given, expected) in table {
        let document = format!(
            "<?xml version='1.0' encoding='utf-8'?>\n<pcoip-broker version=\"2.1\">{given}</pcoip-broker>"
        );

        let forwarded = Response::parse(document.as_bytes()).unwrap().to_client(&pcm);

        assert_eq!(
            forwarded,
            format!(
                "<?xml version='1.0' encoding='utf-8'?>\n<pcoip-client version=\"2.1\">{}</pcoip-client>",
                expected.replace("{PCM}", &pcm.xml())
            )
        );
    }
}

#[test]
fn a_granted_resource_gets_our_target_in_the_documented_order() {
    let document = "<pcoip-broker version='2.1'><allocate-resource-resp><result>\
        <result-id>ALLOC_SUCCESSFUL</result-id></result><target><ip-address>10.0.0.5</ip-address>\
        <hostname>h</hostname><sni>s</sni><port>4172</port><z/></target> <resource-id>1</resource-id>\
        </allocate-resource-resp></pcoip-broker>";
    let response = Response::parse(document.as_bytes()).unwrap();
    let table = [
        (
            target(Some("a&b"), Some("pcoip-default-sg-sni")),
            "<hostname>a&amp;b</hostname><sni>pcoip-default-sg-sni</sni>",
        ),
        (target(None, None), ""),
    ];
    for (target, names) in table {
        assert_eq!(
            response.to_client_at(&target),
            format!(
                "<pcoip-client version='2.1'><allocate-resource-resp><result>\
                 <result-id>ALLOC_SUCCESSFUL</result-id></result><target>\
                 <ip-address>203.0.113.7</ip-address>{names}<port>4172</port>\
                 <session-id>2305843009213693954</session-id><connect-tag>SCS1+/=</connect-tag>\
                 </target> <resource-id>1</resource-id></allocate-resource-resp></pcoip-client>"
            )
        );
    }
}

#[test]
fn a_broker_that_replaces_a_connection_manager_is_accepted() {
    let document = "<pcoip-client version=\"2.1\"><bye-resp /></pcoip-client>";

    let response = Response::parse(document.as_bytes()).unwrap();

    let pcm = PcmInfo {
        product_version: String::new(),
        ip_address: String::new(),
        hostname: String::new(),
    };
    assert_eq!(response.to_client(&pcm), document);
    assert_eq!(response.version(), &Version::usual());
}
