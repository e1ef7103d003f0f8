//! The request field by field, and every kind of answer.

use super::*;

const ID: &str = "0b1c2d3e-0000-4000-8000-00000000000a";

fn parse(message: &str) -> Result<Launched, Invalid> {
    Launched::parse(format!("<pcoip-agent version=\"1.0\">{message}</pcoip-agent>").as_bytes())
}

fn session(info: &str) -> Result<Launched, Invalid> {
    parse(&format!(
        "<launch-session-resp><result-id>SUCCESSFUL</result-id><session-info>{info}</session-info>\
         </launch-session-resp>"
    ))
}

#[test]
fn every_field_has_the_documented_element() {
    let logon = Logon {
        username: "u<1>".to_owned(),
        password: Some(" p&\"' ".into()),
        domain: Some("d".to_owned()),
    };
    let id = ID.parse().unwrap();
    let launch = LaunchSession {
        ip_address: Some("10.0.0.5".parse().unwrap()),
        hostname: Some("desk.example"),
        logon: Some(&logon),
        client_mac: Some("aa:bb"),
        client_ip: Some("192.0.2.3"),
        client_name: Some("laptop"),
        license_path: "2589@host",
        session_log_id: &id,
        time_zone_windows: Some("Eastern Standard Time"),
    };

    assert_eq!(
        *launch.render(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-agent version=\"1.0\"><launch-session>\
         <session-type>UNSPECIFIED</session-type><ip-address>10.0.0.5</ip-address>\
         <hostname>desk.example</hostname><logon method=\"windows-password\">\
         <username>u&lt;1&gt;</username><password> p&amp;&quot;&apos; </password><domain>d</domain>\
         </logon><client-mac>aa:bb</client-mac><client-ip>192.0.2.3</client-ip>\
         <client-name>laptop</client-name><license-path>2589@host</license-path>\
         <session-log-id>0b1c2d3e-0000-4000-8000-00000000000a</session-log-id>\
         <time-zone-windows>Eastern Standard Time</time-zone-windows></launch-session></pcoip-agent>"
    );
}

#[test]
fn unknown_values_are_left_empty() {
    let id = ID.parse().unwrap();
    let launch = LaunchSession {
        ip_address: None,
        hostname: None,
        logon: None,
        client_mac: None,
        client_ip: None,
        client_name: None,
        license_path: "",
        session_log_id: &id,
        time_zone_windows: None,
    };

    assert_eq!(
        *launch.render(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-agent version=\"1.0\"><launch-session>\
         <session-type>UNSPECIFIED</session-type><ip-address /><hostname />\
         <logon method=\"windows-password\"><username /><password /><domain /></logon><client-mac />\
         <client-ip /><client-name /><license-path />\
         <session-log-id>0b1c2d3e-0000-4000-8000-00000000000a</session-log-id><time-zone-windows />\
         </launch-session></pcoip-agent>"
    );
}

#[test]
fn a_launched_session_is_read() {
    let info = "<ip-address>10.0.0.5</ip-address><sni>desk</sni><port>4172</port>\
                <session-tag>SCS1tag</session-tag><session-id>2305843009213693954</session-id>";

    let Ok(Launched::Session(info)) = session(info) else { panic!() };

    assert_eq!(info.ip_address, "10.0.0.5".parse::<IpAddr>().unwrap());
    assert_eq!((info.sni.as_deref(), info.port), (Some("desk"), 4172));
    assert_eq!((info.session_tag.expose(), info.session_id), ("SCS1tag", 0x2000_0000_0000_0002));
}

#[test]
fn a_session_with_a_missing_element_is_refused() {
    let [ip, port, tag, id] = [
        "<ip-address>10.0.0.5</ip-address>",
        "<port>4172</port>",
        "<session-tag>SCS1tag</session-tag>",
        "<session-id>1</session-id>",
    ];
    let table = [
        (format!("{port}{tag}{id}"), "ip-address"),
        (format!("<ip-address>desk</ip-address>{port}{tag}{id}"), "ip-address"),
        (format!("{ip}{tag}{id}"), "port"),
        (format!("{ip}<port>0</port>{tag}{id}"), "port"),
        (format!("{ip}<port>65536</port>{tag}{id}"), "port"),
        (format!("{ip}{port}{id}"), "session-tag"),
        (format!("{ip}{port}<session-tag>a b</session-tag>{id}"), "session-tag"),
        (format!("{ip}{port}{tag}"), "session-id"),
        (format!("{ip}{port}{tag}<session-id>-1</session-id>"), "session-id"),
    ];
    for (info, name) in table {
        assert_eq!(session(&info).err(), Some(Invalid::Field { name }), "{info}");
    }
    let none = "<launch-session-resp><result-id>SUCCESSFUL</result-id></launch-session-resp>";
    assert_eq!(parse(none).err(), Some(Invalid::Field { name: "session-info" }));
}

#[test]
fn known_failures_are_distinguished_and_others_are_generic() {
    let table = [
        ("FAILED_USER_AUTH", "FAILED_USER_AUTH: why"),
        ("FAILED_ANOTHER_SESSION_STARTED", "FAILED_ANOTHER_SESSION_STARTED: why"),
        ("FAILED_SERVER_LAUNCH_TIMEOUT", "FAILED_SERVER_LAUNCH_TIMEOUT: why"),
        ("FAILED_GENERIC", "FAILED_GENERIC: why"),
        ("FAILED_BY_THE_MOON", "FAILED_GENERIC: why"),
    ];
    for (id, shown) in table {
        let message = format!(
            "<launch-session-resp><result-id>{id}</result-id><fail-reason>why</fail-reason>\
             </launch-session-resp>"
        );
        let Ok(Launched::Failed(failure)) = parse(&message) else { panic!("{id}") };
        assert_eq!(failure.to_string(), shown);
    }
}

#[test]
fn another_document_is_refused() {
    let table = [
        "<launch-session/>",
        "",
        "<x><launch-session-resp><result-id>SUCCESSFUL</result-id></launch-session-resp></x>",
    ];
    for message in table {
        assert_eq!(parse(message).err(), Some(Invalid::NoResponse), "{message}");
    }
    let other = b"<pcoip-client><launch-session-resp/></pcoip-client>";
    assert_eq!(Launched::parse(other).err(), Some(Invalid::NoResponse));
    assert_eq!(Launched::parse(b"<a>").err(), Some(Invalid::Xml(xml::Error::Unfinished)));
}

#[test]
fn an_agents_reason_is_shortened() {
    let (id, reason) = ("X".repeat(100), "\u{fc}".repeat(2000));
    let message = format!(
        "<launch-session-resp><result-id>{id}</result-id><fail-reason>{reason}</fail-reason>\
         </launch-session-resp>"
    );

    let Ok(Launched::Failed(failure)) = parse(&message) else { panic!() };

    assert_eq!((failure.said, failure.reason), ("X".repeat(64), "\u{fc}".repeat(1024)));
}
