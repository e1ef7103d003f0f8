use super::*;
use crate::http::message::Headers;
use crate::xml;

const COOKIE: &str = "JSESSIONID=0123456789abcdef0123456789ABCDEF; Path=/; Secure; HttpOnly";

fn response(cookie: (&str, &str)) -> Response {
    let headers = Headers::default()
        .with("content-type", "application/xml")
        .with("transfer-encoding", "chunked")
        .with(cookie.0, cookie.1);
    Response { status: 200, headers, body: String::new() }
}

#[test]
fn a_cookie_is_taken_only_as_real_clients_take_it() {
    let table = [
        ("set-cookie", COOKIE.to_owned(), Fault::CookieSpelling("set-cookie".to_owned())),
        ("Set-Cookie", COOKIE.replace("JSESSIONID", "other"), Fault::NoCookie),
        ("Set-Cookie", COOKIE.replace("0123", ""), Fault::CookieValue),
        ("Set-Cookie", COOKIE.replace("abcd", "wxyz"), Fault::CookieValue),
        ("Set-Cookie", COOKIE.replace("; Secure", ""), Fault::CookieAttribute("Secure")),
        ("Set-Cookie", COOKIE.replace("; HttpOnly", ""), Fault::CookieAttribute("HttpOnly")),
    ];

    let value = "0123456789abcdef0123456789ABCDEF".to_owned();
    assert_eq!(check_headers(&response(("Set-Cookie", COOKIE))), Ok(Some(value)));
    assert_eq!(check_headers(&response(("X-Other", ""))), Ok(None));
    for (name, value, fault) in table {
        assert_eq!(check_headers(&response((name, &value))), Err(fault), "{value}");
    }
}

#[test]
fn an_answer_is_chunked_xml_with_status_200() {
    let good = response(("Set-Cookie", COOKIE));
    let framed = Headers::default().with("content-type", "text/xml").with("Content-Length", "0");
    let untyped = Headers::default().with("transfer-encoding", "chunked");
    let table = [
        (Response { status: 500, ..good.clone() }, Fault::Status(500)),
        (Response { headers: framed, ..good.clone() }, Fault::NotChunked),
        (Response { headers: untyped, ..good }, Fault::ContentType),
    ];

    for (response, fault) in table {
        assert_eq!(check_headers(&response), Err(fault));
    }
}

#[test]
fn a_hello_is_answered_with_pcm_info_in_its_place() {
    let info = "<pcm-info><product-name>a</product-name><product-version>b</product-version>\
        <platform>c</platform><ip-address>d</ip-address><hostname>e</hostname></pcm-info>";
    let good = format!("<hello-resp><brokers-info/>{info}<caps /></hello-resp>");
    let table = [
        (good.clone(), Ok(false)),
        (good.replace("<caps />", ""), Ok(false)),
        (good.replace("<brokers-info/>", ""), Err(Fault::NoPcmInfo)),
        (good.replace("<brokers-info/>", "<brokers-info/><x/>"), Err(Fault::NoPcmInfo)),
        (good.replace("<caps />", "<x/><caps />"), Err(Fault::Caps)),
        (good.replace(">c<", "><"), Err(Fault::Field("platform"))),
    ];

    for (source, expected) in table {
        assert_eq!(read_hello(&xml::parse(&source).unwrap()), expected, "{source}");
    }
}

#[test]
fn a_target_has_all_that_a_client_needs() {
    let good = "<allocate-resource-resp><result><result-id>ALLOC_SUCCESSFUL</result-id></result>\
        <target><ip-address>192.0.2.1</ip-address><hostname>ws</hostname>\
        <sni>pcoip-default-sg-sni</sni><port>4172</port><session-id>2305843009213693954</session-id>\
        <connect-tag>SCS1abc+/</connect-tag></target></allocate-resource-resp>";
    let table = [
        ("192.0.2.1", "ws.example", Fault::Field("ip-address")),
        (">ws<", "><", Fault::Field("hostname")),
        ("<sni>pcoip-default-sg-sni</sni>", "", Fault::Field("sni")),
        ("4172", "74172", Fault::Field("port")),
        ("2305843009213693954", "x", Fault::Field("session-id")),
        ("SCS1", "TAG1", Fault::Field("connect-tag")),
        ("ALLOC_SUCCESSFUL", "ALLOC_FAILED", Fault::Result("ALLOC_FAILED".to_owned())),
    ];

    let target = read_target(&xml::parse(good).unwrap()).unwrap();
    assert_eq!((target.port, target.session_id.as_str()), (4172, "2305843009213693954"));
    for (part, replacement, fault) in table {
        let source = good.replace(part, replacement);
        assert_eq!(read_target(&xml::parse(&source).unwrap()), Err(fault), "{source}");
    }
}

#[test]
fn an_error_is_told_from_an_answer() {
    let root = "<pcoip-client version=\"2.1\">";
    let table = [
        (
            format!(
                "{root}<error-resp><result><result-id>ERR_X</result-id></result></error-resp>\
                 </pcoip-client>"
            ),
            Fault::Refused("ERR_X".to_owned()),
        ),
        (format!("{root}<hello-resp/></pcoip-client>"), Fault::Message("hello-resp".to_owned())),
        (
            "<pcoip-broker version=\"2.1\"><bye-resp /></pcoip-broker>".to_owned(),
            Fault::Root("pcoip-broker".to_owned()),
        ),
    ];

    for (source, fault) in table {
        let root = xml::parse(&source).unwrap();
        assert_eq!(message(&root, "bye-resp").map(|message| message.name), Err(fault), "{source}");
    }
}

#[test]
fn a_dialog_is_read_with_its_default_button() {
    let source = "<authenticate-resp><result><result-id>AUTH_SUCCESSFUL_AND_INCOMPLETE</result-id>\
        </result><next-authentication><dialog-parameters><fields><field><id>F</id></field></fields>\
        <buttons><button><id>A</id></button><button is-default='true'><id>B</id></button></buttons>\
        </dialog-parameters></next-authentication></authenticate-resp>";

    let dialog = read_authentication(&xml::parse(source).unwrap());

    assert_eq!(dialog, Ok(Some(Dialog { field: "F".to_owned(), button: "B".to_owned() })));
}
