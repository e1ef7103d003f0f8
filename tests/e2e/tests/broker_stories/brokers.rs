//! A broker that is slow, unreachable or faulty: the client gets the documented error, the log has
//! the cause, and no request is sent twice.

use pcoip_sim::faults::Fault;

use crate::talk::{
    ALLOCATE, BYE, HELLO, LIST, PASSWORD, Talk, client, error_6608, error_6612, last_warning, site,
    warning, warnings,
};

const CLIENT: &str = "PCoIPConnectionManagerPBPServlet";
const BROKER: &str = "PCoIPBrokerHttpsConnectionImpl";
const INVALID: &str = "The requested session is invalid.";
const FAILED: &str = "Cannot communicate with broker";

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_told_with_its_cause() {
    let nested = "<a>".repeat(40) + &"</a>".repeat(40);
    let http = |head: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
        Fault::Bytes([head.as_bytes(), body].concat())
    };
    let unusable = |status: u16, error: &str| {
        format!("The broker's response is invalid status={status} error={error}")
    };
    let root = |root: &str| Fault::Document(format!("<{root} version=\"2.1\"><x/></{root}>"));
    let table = [
        (http("500 Internal Server Error", b""), unusable(500, "the document ends early")),
        (
            http("302 Found\r\nLocation: https://localhost/elsewhere", b""),
            unusable(302, "the document ends early"),
        ),
        (http("200 OK", b"<\xff/>"), unusable(200, "the document is not UTF-8")),
        (http("200 OK", b"hello"), unusable(200, "content outside the root at byte 0")),
        (root("pcoip-agent"), unusable(200, "the root is not `pcoip-broker`")),
        (
            Fault::Document("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>".to_owned()),
            unusable(200, "document type declaration at byte 0"),
        ),
        (Fault::broker_says("<a>&b;</a>"), unusable(200, "unknown reference at byte 31")),
        (
            Fault::broker_says(&nested),
            unusable(200, "elements are nested deeper than 32 at byte 121"),
        ),
        (
            Fault::broker_says("<bye-resp />"),
            "The broker's response does not match the request".to_owned(),
        ),
    ];
    let bye = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned() + &client("<bye-resp />");
    let site = site("").await;
    for (times, (fault, told)) in table.into_iter().enumerate() {
        let mut talk = Talk::logged_on(&site).await;
        site.broker.faults.next("get-resource-list", fault);

        let answers = [talk.ask(LIST).await, talk.ask(ALLOCATE).await, talk.ask(BYE).await];

        assert_eq!(answers, [error_6608(FAILED), error_6612(INVALID), bye.clone()]);
        let refused = "Answering the request (allocate-resource) with error 6612 reason=The requested session is invalid.";
        let warnings = warnings(&site);
        assert_eq!(
            warnings[warnings.len() - 2..],
            [warning(BROKER, &told), warning(CLIENT, refused)]
        );
        assert_eq!(site.broker.faults.heard("get-resource-list").len(), times + 1);
    }
    site.stop().await;
}

#[tokio::test]
async fn a_declaration_that_cannot_be_right_is_named() {
    let table = [
        (
            "\n<?xml version='1.0'?><pcoip-broker version='2.1'/>",
            "blank line or space before the XML declaration, which begins at byte 1",
        ),
        (
            "<?xml version='1.0' encoding='utf-16'?><pcoip-broker version='2.1'/>",
            "the document declares an encoding other than UTF-8, but its bytes are UTF-8",
        ),
    ];
    let site = site("").await;
    for (document, error) in table {
        let mut talk = Talk::logged_on(&site).await;
        site.broker.faults.next("get-resource-list", Fault::Document(document.to_owned()));

        assert_eq!(talk.ask(LIST).await, error_6608(FAILED));

        let message = format!("The broker's response is invalid status=200 error={error}");
        assert_eq!(last_warning(&site), warning(BROKER, &message));
    }
    site.stop().await;
}

#[tokio::test]
async fn an_answer_in_ascii_may_declare_any_encoding_that_extends_ascii() {
    let site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    for encoding in ["us-ascii", "ASCII", "ISO-8859-1", "utf8"] {
        let declaration = |encoding| format!("<?xml version='1.0' encoding='{encoding}'?>\n");
        let list = "<get-resource-list-resp><result><result-id>LIST_SUCCESSFUL</result-id>\
                    <result-str>caf&#233;</result-str></result></get-resource-list-resp>";
        let document = format!("<pcoip-broker version=\"2.1\">{list}</pcoip-broker>");
        let document = Fault::Document(declaration(encoding) + &document);
        site.broker.faults.next("get-resource-list", document);

        let answer = talk.ask(LIST).await;

        let passed_on = if encoding == "utf8" { "utf8" } else { "UTF-8" };
        assert_eq!(answer, declaration(passed_on) + &client(list), "{encoding}");
    }
    site.stop().await;
}

#[tokio::test]
async fn a_broker_that_breaks_the_connection_is_not_asked_twice() {
    for fault in [Fault::HangUp, Fault::Cut] {
        let site = site("").await;
        let mut talk = Talk::open(&site).await;
        talk.ask(HELLO).await;
        site.broker.faults.next("authenticate", fault);

        let answer = talk.ask(PASSWORD).await;

        assert_eq!(answer, error_6608(FAILED));
        assert_eq!(site.broker.faults.heard("authenticate").len(), 1);
        let [(class, message)] = &warnings(&site)[..] else { panic!("{:?}", warnings(&site)) };
        assert_eq!(class, BROKER);
        assert!(
            message.starts_with("The broker does not answer error=the peer closed the connection"),
            "{message}"
        );
        site.stop().await;
    }
}

#[tokio::test]
async fn a_broker_that_has_closed_the_kept_connection_is_asked_on_a_new_one() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    site.broker.faults.next("hello", Fault::Close);

    talk.ask(HELLO).await;
    let answer = talk.ask(PASSWORD).await;

    assert!(answer.contains("AUTH_SUCCESSFUL_AND_INCOMPLETE"), "{answer}");
    assert_eq!(site.broker.faults.heard("authenticate").len(), 1);
    assert_eq!(warnings(&site), []);
    site.stop().await;
}

#[tokio::test]
async fn a_slow_broker_is_given_up_after_the_configured_time() {
    let site = site("BrokerMaxRespWaitSeconds = 1").await;
    let mut talk = Talk::logged_on(&site).await;
    site.broker.faults.next("get-resource-list", Fault::Silence);

    let answer = talk.ask(LIST).await;

    assert_eq!(answer, error_6608("Timed out communicating with broker"));
    let told = "The broker does not answer error=timed out";
    assert_eq!(last_warning(&site), warning(BROKER, told));
    site.broker.faults.held(0).await;
    site.stop().await;
}

#[tokio::test]
async fn a_broker_without_an_end_is_cut_off_before_it_fills_the_memory() {
    let site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    site.broker.faults.next("get-resource-list", Fault::Flood(100 * 1024 * 1024));
    let before = peak_of_memory();

    let answer = talk.ask(LIST).await;

    assert_eq!(answer, error_6608(FAILED));
    let told = "The broker does not answer error=the response is larger than 8388608 bytes";
    assert_eq!(last_warning(&site), warning(BROKER, told));
    let grown = peak_of_memory() - before;
    assert!(grown < 48 * 1024, "{grown} KiB");
    site.stop().await;
}

/// Peak memory of this process in KiB.
fn peak_of_memory() -> i64 {
    nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)
        .expect("it can be asked")
        .max_rss()
}

#[tokio::test]
async fn a_broker_that_is_dead_is_told_to_whoever_greets() {
    let site = site("").await;
    site.broker.stop().await;
    let mut talk = Talk::open(&site).await;

    let answer = talk.post(HELLO).await;

    assert_eq!((answer.status.as_str(), answer.header("Set-Cookie")), ("HTTP/1.1 200 OK", None));
    assert_eq!(answer.body, error_6608(FAILED));
    let [(class, message)] = &warnings(&site)[..] else { panic!("{:?}", warnings(&site)) };
    assert_eq!(class, BROKER);
    assert!(
        message.ends_with(" error=the connection was refused (Connection refused, os error 111)"),
        "{message}"
    );
    site.stop().await;
}

#[tokio::test]
async fn what_the_broker_refuses_is_passed_on_and_ends_the_session() {
    let site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    let refusal = "<error-resp><result><result-id>ERR_INVALID_SESSION</result-id><result-str>Gone\
                   </result-str></result><detected-by>BROKER</detected-by><new x='1'/></error-resp>";
    site.broker.faults.next("get-resource-list", Fault::broker_says(refusal));

    assert_eq!(talk.ask(LIST).await, client(refusal));
    assert_eq!(talk.ask(LIST).await, error_6612(INVALID));

    assert_eq!(site.broker.faults.heard("get-resource-list").len(), 1);
    site.stop().await;
}
