//! A simple view of a document.

use cmsg_proto::xml::{Document, Edits, Element, MAX_BYTES};

/// An element without its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Seen>,
}

impl Seen {
    pub(crate) fn of(element: &Element<'_>) -> Self {
        let attributes = element.attributes().iter();
        Self {
            name: element.name().to_owned(),
            attributes: attributes.map(|a| (a.name.to_owned(), a.value.to_string())).collect(),
            text: element.whole_text().to_owned(),
            children: element.children().iter().map(Self::of).collect(),
        }
    }

    /// The same under another name.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn children(&mut self) -> &mut Vec<Seen> {
        &mut self.children
    }
}

/// A document as it is forwarded without changes: its declared encoding is UTF-8.
pub(crate) fn passed_on(source: &str) -> String {
    Edits::default().apply(&reread(source).expect("it was read"))
}

/// Every element, parents first.
pub(crate) fn elements<'d, 'a>(document: &'d Document<'a>) -> Vec<&'d Element<'a>> {
    let mut found = vec![document.root()];
    let mut next = 0;
    while let Some(element) = found.get(next).copied() {
        found.extend(element.children());
        next += 1;
    }
    found
}

/// A document after an addition, unless it exceeds the size limit.
pub(crate) fn reread(text: &str) -> Option<Document<'_>> {
    use cmsg_proto::xml::Error::{TooLarge, TooMany};
    match Document::parse(text.as_bytes(), MAX_BYTES) {
        Ok(document) => Some(document),
        Err(TooLarge { .. } | TooMany { .. }) => None,
        Err(error) => panic!("what we write is no document: {error}: {text}"),
    }
}

/// The part of a text that XML can represent.
pub(crate) fn representable(text: &str) -> String {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    text.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}
