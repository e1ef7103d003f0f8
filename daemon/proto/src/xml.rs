//! XML for the protocols: a strict reader whose tree knows the position of everything in the
//! source, and changes that splice the source, so that unknown parts are preserved byte for byte.

use std::{borrow::Cow, ops::Range, str::Utf8Error};

pub use edit::{Edits, declared, escape, leaf};

mod edit;
mod read;
#[cfg(test)]
mod tests;

/// Largest document that is read completely, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Largest document that is read as an [outline](Document::outline), in bytes.
pub const MAX_OUTLINE_BYTES: usize = 8 * 1024 * 1024;

/// Maximum depth of nested elements.
pub const MAX_DEPTH: usize = 32;

/// Maximum number of elements and attributes of a document; a list of 2,000 resources has about
/// 28,000.
pub const MAX_NODES: usize = 50_000;

/// Maximum number of attributes of an element.
pub const MAX_ATTRIBUTES: usize = 32;

/// A parsed document, which borrows its source.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    source: &'a str,
    /// Position of the declared encoding, if it is not UTF-8.
    relabel: Option<Range<usize>>,
    root: Element<'a>,
    comments: Vec<Range<usize>>,
    is_outline: bool,
}

/// An element. Ranges are byte offsets in the document's source.
#[derive(Debug, Clone)]
pub struct Element<'a> {
    name: &'a str,
    attributes: Vec<Attribute<'a>>,
    /// From the `<` of the opening tag to after the `>` of the closing one.
    span: Range<usize>,
    /// End of the last attribute, or of the name if there is none.
    head_end: usize,
    /// Between the tags; `None` for `<name />`.
    content: Option<Range<usize>>,
    text: Cow<'a, str>,
    children: Vec<Self>,
}

/// An attribute of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The name, with its prefix.
    pub name: &'a str,
    /// The value without quotes, with references resolved.
    pub value: Cow<'a, str>,
    /// Position of the value, without quotes.
    pub span: Range<usize>,
}

/// Why a document is refused. Positions are byte offsets. The text contains nothing of the
/// document, which may contain secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The document is larger than `limit`.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// The declared encoding does not match the bytes, which are UTF-8.
    #[error("the document declares an encoding other than UTF-8, but its bytes are UTF-8")]
    OtherEncoding,
    /// White space before the XML declaration, which must be at the very start.
    #[error("blank line or space before the XML declaration, which begins at byte {at}")]
    BlankBeforeDeclaration {
        /// Offset of the declaration.
        at: usize,
    },
    /// A character that XML 1.0 does not allow.
    #[error("forbidden character at byte {at}")]
    ForbiddenCharacter {
        /// Offset of the character.
        at: usize,
    },
    /// More than [`MAX_DEPTH`] nested elements.
    #[error("elements are nested deeper than {MAX_DEPTH} at byte {at}")]
    TooDeep {
        /// Offset of the innermost element.
        at: usize,
    },
    /// More elements and attributes than [`MAX_NODES`] or the caller's limit, or more than
    /// [`MAX_ATTRIBUTES`] on one element.
    #[error("too many elements or attributes at byte {at}")]
    TooMany {
        /// Offset of the first one above the limit.
        at: usize,
    },
    /// A document type declaration.
    #[error("document type declaration at byte {at}")]
    DocumentType {
        /// Offset of the declaration.
        at: usize,
    },
    /// A processing instruction, or an XML declaration that is not at the start.
    #[error("processing instruction at byte {at}")]
    ProcessingInstruction {
        /// Offset of the instruction.
        at: usize,
    },
    /// A reference to an unknown entity or an invalid character.
    #[error("unknown reference at byte {at}")]
    UnknownReference {
        /// Offset of the text that contains it.
        at: usize,
    },
    /// An attribute that occurs twice on its element.
    #[error("duplicate attribute at byte {at}")]
    DuplicateAttribute {
        /// Offset of the second one.
        at: usize,
    },
    /// Text or another element outside the root element.
    #[error("content outside the root at byte {at}")]
    OutsideRoot {
        /// Offset of the text or element.
        at: usize,
    },
    /// The root element is missing or not closed.
    #[error("the document ends early")]
    Unfinished,
    /// A violation of another rule of XML.
    #[error("the document is not well-formed at byte {at}")]
    NotWellFormed {
        /// Offset at which it was detected.
        at: usize,
    },
}

impl From<Utf8Error> for Error {
    fn from(_: Utf8Error) -> Self {
        Self::NotUtf8
    }
}

impl<'a> Document<'a> {
    /// Reads a document of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// The first [`Error`] in the document.
    pub fn parse(bytes: &'a [u8], limit: usize) -> Result<Self, Error> {
        Self::parse_small(bytes, limit, MAX_NODES)
    }

    /// Like [`Document::parse`], with at most `nodes` elements and attributes.
    ///
    /// # Errors
    ///
    /// The first [`Error`] in the document.
    pub fn parse_small(bytes: &'a [u8], limit: usize, nodes: usize) -> Result<Self, Error> {
        read::document(bytes, limit, nodes)
    }

    /// Checks a document of at most [`MAX_OUTLINE_BYTES`] as strictly as [`Document::parse`], but
    /// only keeps the root and its children: a complete tree takes many times the size of the
    /// document.
    ///
    /// # Errors
    ///
    /// The first [`Error`] in the document.
    pub fn outline(bytes: &'a [u8]) -> Result<Self, Error> {
        read::outline(bytes, MAX_OUTLINE_BYTES, MAX_NODES)
    }

    /// Whether comments and elements below the root's children were omitted.
    #[must_use]
    pub fn is_outline(&self) -> bool {
        self.is_outline
    }

    /// The source text, without a byte order mark.
    #[must_use]
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The root element, which every document has.
    #[must_use]
    pub fn root(&self) -> &Element<'a> {
        &self.root
    }

    /// Positions of the comments.
    #[must_use]
    pub fn comments(&self) -> &[Range<usize>] {
        &self.comments
    }
}

impl<'a> Element<'a> {
    /// The name, with its prefix.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The attributes, in order.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.name == name).map(|a| a.value.as_ref())
    }

    /// The child elements, in order.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// The first child element with this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child element with this name; `None` if there is none or it is blank.
    #[must_use]
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text).filter(|text| !text.is_empty())
    }

    /// The text directly inside, trimmed, with references resolved.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.trim_matches([' ', '\t', '\r', '\n'])
    }

    /// The text directly inside, not trimmed, with references resolved.
    #[must_use]
    pub fn whole_text(&self) -> &str {
        &self.text
    }

    /// Position of the whole element.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Position of the content; `None` for `<name />`.
    #[must_use]
    pub fn content(&self) -> Option<Range<usize>> {
        self.content.clone()
    }
}
