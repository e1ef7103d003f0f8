//! Parses XML into a tree that knows the bytes of every element, so that tests can compare them.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use thiserror::Error;

/// One element, its children in order, and the bytes that it was read from.
#[derive(Debug)]
pub(crate) struct Element<'a> {
    /// The name with its prefix, as spelt.
    pub(crate) name: &'a str,
    /// The start tag, as spelt.
    pub(crate) start_tag: &'a str,
    /// The whole element, as spelt.
    pub(crate) source: &'a str,
    pub(crate) children: Vec<Element<'a>>,
    attributes: Vec<(String, String)>,
    text: String,
    offset: usize,
}

/// What is wrong with a document.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum XmlError {
    #[error("document is not well-formed: {0}")]
    Syntax(String),
    #[error("document has a type declaration")]
    TypeDeclaration,
    #[error("document refers to the unknown entity `{0}`")]
    Entity(String),
    #[error("document has more than {MAX_DEPTH} levels or {MAX_ELEMENTS} elements")]
    TooLarge,
    #[error("document is not one closed element")]
    Roots,
}

/// Reads a document, and returns its root.
pub(crate) fn parse(source: &str) -> Result<Element<'_>, XmlError> {
    let mut reader = Reader::from_str(source);
    let mut tree = Tree::default();
    let mut start = 0;
    loop {
        let event = reader.read_event()?;
        let end = usize::try_from(reader.buffer_position()).unwrap_or(source.len());
        match event {
            Event::Start(tag) => tree.open(element(source, start..end, &tag)?)?,
            Event::Empty(tag) => {
                tree.open(element(source, start..end, &tag)?)?;
                tree.close(source, end)?;
            }
            Event::End(_) => tree.close(source, end)?,
            Event::Text(text) => tree.text(&text.xml10_content())?,
            Event::CData(text) => tree.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => tree.text(&resolve(&reference)?)?,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::DocType(_) => return Err(XmlError::TypeDeclaration),
            Event::Eof => return tree.finish(),
        }
        start = end;
    }
}

/// Escapes text for an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    quick_xml::escape::escape(text)
}

impl<'a> Element<'a> {
    /// Returns the first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element<'a>> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns the child that directly follows the first one of that name.
    pub(crate) fn after(&self, name: &str) -> Option<&Element<'a>> {
        let place = self.children.iter().position(|child| child.name == name)?;
        self.children.get(place + 1)
    }

    /// Returns the element at the end of a path of names.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Element<'a>> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// Returns the text at the end of a path of names.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        Some(self.at(path)?.text())
    }

    /// Returns the element's own text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns an attribute's value.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl From<quick_xml::Error> for XmlError {
    fn from(error: quick_xml::Error) -> Self {
        Self::Syntax(error.to_string())
    }
}

#[derive(Default)]
struct Tree<'a> {
    open: Vec<Element<'a>>,
    root: Option<Element<'a>>,
    count: usize,
}

impl<'a> Tree<'a> {
    fn open(&mut self, element: Element<'a>) -> Result<(), XmlError> {
        self.count += 1;
        if self.open.len() >= MAX_DEPTH || self.count > MAX_ELEMENTS {
            return Err(XmlError::TooLarge);
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self, source: &'a str, end: usize) -> Result<(), XmlError> {
        let mut element = self.open.pop().ok_or(XmlError::Roots)?;
        element.source = source.get(element.offset..end).unwrap_or_default();
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None if self.root.is_none() => self.root = Some(element),
            None => return Err(XmlError::Roots),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::Roots),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element<'a>, XmlError> {
        if self.open.is_empty() { self.root.ok_or(XmlError::Roots) } else { Err(XmlError::Roots) }
    }
}

fn element<'a>(
    source: &'a str,
    place: std::ops::Range<usize>,
    tag: &BytesStart<'_>,
) -> Result<Element<'a>, XmlError> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(quick_xml::Error::from)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned();
        attributes.push((attribute.key.as_ref().to_owned(), value));
    }
    let start_tag = source.get(place.clone()).unwrap_or_default();
    let name = start_tag.get(1..=tag.name().as_ref().len()).unwrap_or_default();
    Ok(Element {
        name,
        start_tag,
        source: start_tag,
        children: Vec::new(),
        attributes,
        text: String::new(),
        offset: place.start,
    })
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, XmlError> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    let text = resolve_predefined_entity(name).ok_or_else(|| XmlError::Entity(name.to_owned()))?;
    Ok(text.to_owned())
}

const MAX_DEPTH: usize = 32;
const MAX_ELEMENTS: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_knows_its_bytes_and_its_meaning() {
        let source = "<?xml version='1.0'?>\n<r v = '1'><a/><b k=\"&lt;&#65;\" >x &amp; <!-- c -->\
                      <![CDATA[<y>]]></b ><c></c></r>\n";

        let root = parse(source).unwrap();

        assert_eq!(root.attribute("v"), Some("1"));
        assert_eq!(root.text_at(&["b"]), Some("x & <y>"));
        assert_eq!(root.child("b").unwrap().attribute("k"), Some("<A"));
        assert_eq!(root.child("b").unwrap().start_tag, "<b k=\"&lt;&#65;\" >");
        let sources: Vec<_> = root.children.iter().map(|child| child.source).collect();
        let b = "<b k=\"&lt;&#65;\" >x &amp; <!-- c --><![CDATA[<y>]]></b >";
        assert_eq!(sources, ["<a/>", b, "<c></c>"]);
    }

    #[test]
    fn the_next_sibling_is_found() {
        let root = parse("<r><a/> <b/><a/><c/></r>").unwrap();

        assert_eq!(root.after("a").map(|element| element.name), Some("b"));
        assert_eq!(root.after("b").map(|element| element.name), Some("a"));
        assert!(root.after("c").is_none());
        assert!(root.after("d").is_none());
    }

    #[test]
    fn what_is_not_one_closed_document_is_refused() {
        let deep = "<a>".repeat(33);
        let table = [
            ("", XmlError::Roots),
            ("<a>", XmlError::Roots),
            ("<a/><b/>", XmlError::Roots),
            ("<a/>text", XmlError::Roots),
            ("<!DOCTYPE a><a/>", XmlError::TypeDeclaration),
            ("<a>&other;</a>", XmlError::Entity("other".to_owned())),
            (deep.as_str(), XmlError::TooLarge),
        ];

        for (source, error) in table {
            assert_eq!(parse(source).map(|root| root.name), Err(error), "{source}");
        }
        for source in ["<a></b>", "<a k='1' k='2'/>", "<a>&#0;</a>", "<a k=1/>"] {
            assert!(matches!(parse(source), Err(XmlError::Syntax(_))), "{source}");
        }
    }
}
