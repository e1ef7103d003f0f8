//! The largest accepted documents with the worst shapes: the cost grows linearly with their size.
//! Measured is the CPU time of the thread, which does not depend on the load of the machine.

use std::time::Duration;

use cmsg_proto::{
    broker::{PcmInfo, Request},
    xml::{Document, MAX_BYTES},
};
use nix::time::{ClockId, clock_gettime};

/// Size ratio of the two documents. Quadratic cost would be 64 times as high.
const PART: usize = 8;

/// Three times linear growth.
const MOST: u32 = 24;

/// Too short to compare.
const NOISE: Duration = Duration::from_millis(5);

#[test]
fn the_largest_documents_cost_what_their_size_says() {
    for (name, shape) in SHAPES {
        let [small, large] = [MAX_BYTES / PART, MAX_BYTES].map(|size| document(&shape, size));

        let taken = Document::parse(large.as_bytes(), MAX_BYTES).is_ok();
        assert_eq!(taken, !shape.2.is_empty(), "{name}");
        let [small, large] = [small, large].map(|document| cost(document.as_bytes()));

        assert!(large <= small * MOST + NOISE, "{name}: {small:?} at an eighth, {large:?} whole");
    }
}

/// The prefix, the repeated part and the suffix; refused documents have no suffix.
type Shape = (&'static str, fn(usize) -> String, &'static str);

const SHAPES: [(&str, Shape); 18] = [
    ("elements", ("<m>", |_| format!("<a>{}</a>", "x".repeat(16)), "</m>")),
    ("empty elements", ("<m>", |_| format!("<a{}/>", " ".repeat(20)), "</m>")),
    ("attributes", ("<m>", |_| format!("<a{}/>", attributes("k", 32, 24)), "</m>")),
    (
        "long attribute names",
        ("<m>", |_| format!("<a{}/>", attributes(&"k".repeat(4000), 32, 1)), "</m>"),
    ),
    ("name spaces", ("<m>", |n| format!("<n{n}:a{}/>", attributes("xmlns:n", 31, 24)), "</m>")),
    (
        "full depth",
        (
            "<m>",
            |_| format!("{}{}{}", "<a>".repeat(29), "x".repeat(1200), "</a>".repeat(29)),
            "</m>",
        ),
    ),
    ("too deep", ("<m>", |_| "<a>".to_owned(), "")),
    ("text", ("<m><a>", |_| "x".to_owned(), "</a></m>")),
    ("references", ("<m><a>", |_| "&amp;".to_owned(), "</a></m>")),
    ("references in an attribute", ("<m><a b=\"", |_| "&#13;".to_owned(), "\"/></m>")),
    ("comments", ("<m><a>", |_| "<!---->".to_owned(), "</a></m>")),
    ("text between comments", ("<m><a>", |_| "x<!---->".to_owned(), "</a></m>")),
    ("character data", ("<m><a>", |_| "<![CDATA[]]>x".to_owned(), "</a></m>")),
    ("brackets", ("<m><a>", |_| "]] >".to_owned(), "</a></m>")),
    ("dashes", ("<m><a><!--", |_| "- ".to_owned(), "--></a></m>")),
    ("secrets", ("<m>", |_| format!("<a password=\"{}\">x</a>", "p".repeat(40)), "</m>")),
    ("a tag that does not end", ("<m><a b='", |_| ">'\"<".to_owned(), "")),
    ("white space", ("<m><a>", |_| " \t\r\n".to_owned(), "</a></m>")),
];

fn attributes(name: &str, count: usize, value: usize) -> String {
    (0..count).map(|n| format!(" {name}{n}=\"{}\"", "v".repeat(value))).collect()
}

fn document((before, repeated, behind): &Shape, size: usize) -> String {
    let (open, close) = ("<pcoip-client version=\"2.1\">", "</pcoip-client>");
    let mut document = format!("{open}{before}");
    let end = format!("{behind}{close}");
    for number in 0.. {
        let next = repeated(number);
        if document.len() + next.len() + end.len() > size {
            break;
        }
        document.push_str(&next);
    }
    document + &end
}

fn cost(document: &[u8]) -> Duration {
    let start = own_time();
    take(document);
    own_time() - start
}

/// Everything that is done with a request: logging, parsing and forwarding.
fn take(document: &[u8]) {
    let pcm = PcmInfo {
        product_version: "0.0.0".to_owned(),
        ip_address: "192.0.2.9".to_owned(),
        hostname: "cm.example".to_owned(),
    };
    if let Ok(request) = Request::parse(document) {
        assert!(request.redacted().len() <= 64 * 1024 + 64);
        assert!(request.to_broker(&pcm).len() <= document.len() + 512);
    }
}

fn own_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Linux has it").into()
}
