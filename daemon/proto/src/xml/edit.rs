//! Changes of a document by splicing its source, and writing of XML.

use std::{borrow::Cow, ops::Range};

use super::{Document, Element};

/// Changes of a document, applied at once.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    splices: Vec<(Range<usize>, String)>,
}

impl Edits {
    /// Replaces a range. If two replacements overlap, the outer or earlier one applies.
    pub fn replace(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.splices.push((span, text.into()));
    }

    /// Inserts text at an offset, after earlier insertions at the same offset.
    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Renames an element in its opening and closing tags.
    pub fn rename(&mut self, element: &Element<'_>, name: &str) {
        let opening = element.span.start + 1;
        self.replace(opening..opening + element.name.len(), name);
        if let Some(content) = &element.content {
            let closing = content.end + 2;
            self.replace(closing..closing + element.name.len(), name);
        }
    }

    /// Inserts XML before the content of an element.
    pub fn prepend(&mut self, element: &Element<'_>, xml: &str) {
        match &element.content {
            Some(content) => self.insert(content.start, xml),
            None => self.fill(element, xml),
        }
    }

    /// Inserts XML after the content of an element.
    pub fn append(&mut self, element: &Element<'_>, xml: &str) {
        match &element.content {
            Some(content) => self.insert(content.end, xml),
            None => self.fill(element, xml),
        }
    }

    /// The changed document, declared as UTF-8. All other bytes are unchanged.
    #[must_use]
    pub fn apply(mut self, document: &Document<'_>) -> String {
        if let Some(encoding) = &document.relabel {
            self.replace(encoding.clone(), "UTF-8");
        }
        self.splices.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(inner_last(span))));
        let source = document.source();
        let mut changed = String::with_capacity(source.len() + self.added());
        let mut done = 0;
        for (span, text) in &self.splices {
            if span.start < done {
                continue;
            }
            changed.push_str(&source[done..span.start]);
            changed.push_str(text);
            done = span.end;
        }
        changed.push_str(&source[done..]);
        changed
    }

    /// Turns `<name />` into `<name>…</name>`, with the same attributes.
    fn fill(&mut self, element: &Element<'_>, xml: &str) {
        let name = element.name;
        self.replace(element.head_end..element.span.end, format!(">{xml}</{name}>"));
    }

    fn added(&self) -> usize {
        self.splices.iter().map(|(_, text)| text.len()).sum()
    }
}

/// Sort key: at the same position, insertions come first, in order, then the longest replacement.
fn inner_last(span: &Range<usize>) -> usize {
    if span.is_empty() { usize::MAX } else { span.len() }
}

/// Escapes text for an element or a quoted attribute. Characters that XML 1.0 does not allow become
/// U+FFFD.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    let needs = |c: char| matches!(c, '<' | '>' | '&' | '"' | '\'' | '\r') || !allowed(c);
    if !text.contains(needs) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\r' => escaped.push_str("&#13;"),
            c if allowed(c) => escaped.push(c),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(escaped)
}

/// `<name>text</name>`, or `<name />` for an empty text. The name is not escaped.
#[must_use]
pub fn leaf(name: &str, text: &str) -> String {
    if text.is_empty() {
        return format!("<{name} />");
    }
    format!("<{name}>{}</{name}>", escape(text))
}

/// A document in one line: the declaration, and the root element with its version around `content`.
#[must_use]
pub fn declared(root: &str, version: &str, content: &str) -> String {
    let version = escape(version);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><{root} version=\"{version}\">{content}</{root}>"
    )
}

/// Whether XML 1.0 allows the character.
pub(super) fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}'))
}
