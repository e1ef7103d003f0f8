//! Masks secrets in documents for the log. Administrators' tools parse the logged documents, so
//! structure and names are preserved; everything that would let a reader log on or take over a
//! session is masked.

use crate::{
    tag,
    xml::{Document, Edits, Element, MAX_BYTES, escape},
};

const MASK: &str = "****";

/// Documents are truncated to this number of bytes, so that a log line stays below 64 KiB, the
/// limit of many line readers.
const MAX_LOGGED: usize = 60 * 1024;

/// Messages whose elements are known. An unknown element may be a credential, so it is masked: in
/// these messages, everything that is not in [`SHOWN`]; in all others and in `authenticate`,
/// everything that is not in [`HARMLESS`].
const KNOWN: [&str; 13] = [
    "hello",
    "hello-resp",
    "authenticate-resp",
    "get-resource-list",
    "get-resource-list-resp",
    "allocate-resource",
    "allocate-resource-resp",
    "bye",
    "bye-resp",
    "error-resp",
    "launch-session",
    "launch-session-resp",
    "add-connection",
];

/// Elements of known messages whose text is shown.
const SHOWN: [&str; 47] = [
    "button-id",
    "cap",
    "client-ip",
    "client-mac",
    "client-name",
    "connection-id",
    "detected-by",
    "device-name",
    "domain",
    "err-detail",
    "fail-reason",
    "hostname",
    "id",
    "ip-address",
    "label",
    "license-path",
    "locale",
    "mac-address",
    "method",
    "name",
    "organization-id",
    "pcoip-unique-id",
    "platform",
    "port",
    "product-name",
    "product-version",
    "prompt",
    "protocol",
    "reason",
    "resource-id",
    "resource-name",
    "resource-state",
    "resource-type",
    "result",
    "result-id",
    "result-str",
    "serial-number",
    "session-id",
    "session-log-id",
    "session-type",
    "sg-sni",
    "sni",
    "supported-operation",
    "tcp-port",
    "text",
    "time-zone-windows",
    "username",
];

/// Attributes of known messages that are shown.
const SHOWN_ATTRIBUTES: [&str; 7] =
    ["do-not-log", "hidden", "is-default", "method", "session-type", "text-type", "type"];

/// Elements of other messages whose text is shown.
const HARMLESS: [&str; 6] = ["username", "domain", "id", "button-id", "result-id", "result-str"];

/// Attributes of other messages that are shown.
const HARMLESS_ATTRIBUTES: [&str; 2] = ["method", "do-not-log"];

/// The document in one line, with secrets masked, truncated to `MAX_LOGGED` bytes.
#[must_use]
pub fn document(document: &Document<'_>) -> String {
    if document.is_outline() {
        // An outline lacks the elements that would have to be masked.
        return format!("({} bytes)", document.source().len());
    }
    let mut edits = Edits::default();
    for comment in document.comments() {
        edits.replace(comment.clone(), "");
    }
    let root = document.root();
    let harmless = |name: &str| name == "version" || name.starts_with("xmlns");
    mask_attributes(&mut edits, root, harmless);
    if !root.text().is_empty() {
        fill(&mut edits, root, MASK);
    }
    for message in root.children() {
        if KNOWN.contains(&message.name()) {
            known(&mut edits, message);
        } else {
            unknown(&mut edits, message);
        }
    }
    one_line(&edits.apply(document))
}

/// Like [`document`], for bytes that may not be valid XML.
#[must_use]
pub fn bytes(bytes: &[u8]) -> String {
    match Document::parse(bytes, MAX_BYTES) {
        Ok(read) => document(&read),
        Err(error) if bytes.len() == 1 => format!("(1 byte, {error})"),
        Err(error) => format!("({} bytes, {error})", bytes.len()),
    }
}

/// The first and last characters of a cookie's value; `****` if it is too short for that.
#[must_use]
pub fn cookie(value: &str) -> String {
    let ends = (value.get(..4), value.get(value.len().wrapping_sub(4)..));
    match ends {
        (Some(start), Some(end)) if value.len() >= 24 => format!("{start}{MASK}{end}"),
        _ => MASK.to_owned(),
    }
}

fn known(edits: &mut Edits, element: &Element<'_>) {
    if is_tag(element) {
        mask_attributes(edits, element, is_harmless_attribute);
        fill(edits, element, &escape(&tag::mask(element.text())));
    } else if is_secret(element) {
        mask_attributes(edits, element, is_harmless_attribute);
        fill(edits, element, MASK);
    } else if element.name() == "variable" {
        variable(edits, element);
    } else {
        mask_attributes(edits, element, is_shown_attribute);
        if has_text(element) && !SHOWN.contains(&element.name()) {
            return fill(edits, element, MASK);
        }
        element.children().iter().for_each(|child| known(edits, child));
    }
}

/// Only the name of a variable is shown.
fn variable(edits: &mut Edits, element: &Element<'_>) {
    mask_attributes(edits, element, is_harmless_attribute);
    if has_text(element) {
        return fill(edits, element, MASK);
    }
    for child in element.children() {
        if child.name() == "name" { known(edits, child) } else { unknown(edits, child) }
    }
}

fn unknown(edits: &mut Edits, element: &Element<'_>) {
    mask_attributes(edits, element, is_harmless_attribute);
    if is_secret(element) || (has_text(element) && !is_harmless(element)) {
        fill(edits, element, MASK);
    } else {
        element.children().iter().for_each(|child| unknown(edits, child));
    }
}

fn mask_attributes(edits: &mut Edits, element: &Element<'_>, harmless: fn(&str) -> bool) {
    for attribute in element.attributes() {
        if !harmless(attribute.name) && !attribute.value.is_empty() {
            edits.replace(attribute.span.clone(), MASK);
        }
    }
}

fn fill(edits: &mut Edits, element: &Element<'_>, text: &str) {
    if let Some(content) = element.content().filter(|content| !content.is_empty()) {
        edits.replace(content, text);
    }
}

/// White space around child elements is formatting; white space alone may be a password.
fn has_text(element: &Element<'_>) -> bool {
    !element.text().is_empty() || element.children().is_empty()
}

fn is_tag(element: &Element<'_>) -> bool {
    ["session-tag", "connect-tag", "ctag", "rtag"].contains(&element.name())
        || element.text().starts_with(crate::SessionTag::PREFIX)
}

fn is_harmless(element: &Element<'_>) -> bool {
    HARMLESS.contains(&element.name())
        && element.children().is_empty()
        && !forbids_logging(element)
        && !is_tag(element)
}

fn is_shown_attribute(name: &str) -> bool {
    SHOWN_ATTRIBUTES.contains(&name) || name.starts_with("xmlns")
}

fn is_harmless_attribute(name: &str) -> bool {
    HARMLESS_ATTRIBUTES.contains(&name)
}

fn is_secret(element: &Element<'_>) -> bool {
    let name = element.name().to_ascii_lowercase();
    forbids_logging(element)
        || ["password", "passcode", "secret", "token"].iter().any(|word| name.contains(word))
}

fn forbids_logging(element: &Element<'_>) -> bool {
    element.attribute("do-not-log").is_some_and(|value| !["false", "0"].contains(&value))
}

/// A line break within a document could forge a log line.
fn one_line(text: &str) -> String {
    let mut end = text.len().min(MAX_LOGGED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let mut line = text[..end].replace(breaks, " ");
    if end < text.len() {
        line.push_str(&format!("… ({} bytes)", text.len()));
    }
    line
}

#[cfg(test)]
mod tests;
