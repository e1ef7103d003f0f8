//! No credential in any document reaches the log.

use cmsg_proto::{
    broker::redact,
    xml::{Document, Edits, Element, MAX_BYTES},
};

use crate::tree::elements;

/// Inserts credentials into the elements of a document that may contain them, and searches the
/// logged text for them.
pub fn run(data: &[u8]) {
    let Ok(document) = Document::parse(data, MAX_BYTES) else {
        let told = redact::bytes(data);
        assert!(told.starts_with('(') && told.len() < 200, "{told}");
        return;
    };
    if document.source().contains(MARK) {
        return;
    }
    is_one_bounded_line(&redact::bytes(data));
    for place in [secrets, tags, comments, beside_the_message] {
        let mut edits = Edits::default();
        place(&mut edits, &document);
        let changed = edits.apply(&document);
        let shown = redact::bytes(changed.as_bytes());
        is_one_bounded_line(&shown);
        assert!(!shown.contains(MARK), "{changed}\nis logged as\n{shown}");
    }
}

fn is_one_bounded_line(shown: &str) {
    assert!(shown.len() <= 60 * 1024 + 64);
    assert!(!shown.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')));
}

const MARK: &str = "HUNTER2";

/// Only its last twelve characters may be shown.
const TAG: &str = "SCS1HUNTER2HUNTER2HUNTER2HUNTER2HUNTER2HUNTER2HUNTER2HUNTER2HUNTER2ABCDEFGHIJKL";

const KNOWN: [&str; 13] = [
    "add-connection",
    "allocate-resource",
    "allocate-resource-resp",
    "authenticate-resp",
    "bye",
    "bye-resp",
    "error-resp",
    "get-resource-list",
    "get-resource-list-resp",
    "hello",
    "hello-resp",
    "launch-session",
    "launch-session-resp",
];

const HARMLESS: [&str; 6] = ["username", "domain", "id", "button-id", "result-id", "result-str"];

/// Passwords, values of dialogs and variables, and all unknown elements.
fn secrets(edits: &mut Edits, document: &Document<'_>) {
    let harmless = |name: &str| name == "version" || name.starts_with("xmlns");
    for attribute in document.root().attributes().iter().filter(|a| !harmless(a.name)) {
        edits.replace(attribute.span.clone(), MARK);
    }
    for message in document.root().children() {
        below(edits, message, !KNOWN.contains(&message.name()));
    }
}

fn below(edits: &mut Edits, element: &Element<'_>, unknown: bool) {
    let name = element.name().to_ascii_lowercase();
    let never = element.attribute("do-not-log").is_some_and(|v| !["false", "0"].contains(&v));
    let named = ["password", "passcode", "secret", "token"].iter().any(|word| name.contains(word));
    let variable = element.name() == "variable";
    if unknown || never || named || variable {
        for attribute in element.attributes() {
            if !["method", "do-not-log"].contains(&attribute.name) {
                edits.replace(attribute.span.clone(), MARK);
            }
        }
        let harmless = HARMLESS.contains(&element.name()) && !never;
        if !(harmless && unknown && element.children().is_empty()) {
            write(edits, element, MARK);
        }
    }
    for child in element.children() {
        let value = variable && child.name() != "name";
        below(edits, child, unknown || never || named || value);
    }
}

/// A tag in every element with a text.
fn tags(edits: &mut Edits, document: &Document<'_>) {
    let messages = elements(document).into_iter().skip(1);
    messages.filter(|e| e.children().is_empty()).for_each(|e| write(edits, e, TAG));
}

fn comments(edits: &mut Edits, document: &Document<'_>) {
    for element in elements(document) {
        if let Some(content) = element.content() {
            edits.insert(content.start, format!("<!--{MARK}-->"));
            edits.insert(content.end, format!("<!--{MARK}-->"));
        }
    }
}

fn beside_the_message(edits: &mut Edits, document: &Document<'_>) {
    edits.append(document.root(), MARK);
}

/// As the text of a leaf, or at the start of another element.
fn write(edits: &mut Edits, element: &Element<'_>, text: &str) {
    match element.content() {
        Some(content) if element.children().is_empty() => edits.replace(content, text),
        Some(content) => edits.insert(content.start, text),
        None => edits.append(element, text),
    }
}
