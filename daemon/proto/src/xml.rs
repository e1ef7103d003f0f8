//! XML as the protocols use it: read strictly into a light tree that knows where everything stands
//! in the source, and changed by splices on that source, so that what is not understood survives
//! byte for byte.

use std::{borrow::Cow, ops::Range, str::Utf8Error};

pub use edit::{Edits, declared, escape, leaf};

mod edit;
mod read;
#[cfg(test)]
mod tests;

/// The largest document that is read whole, whoever sends it.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The largest document of which an [outline](Document::outline) is read.
pub const MAX_OUTLINE_BYTES: usize = 8 * 1024 * 1024;

/// How many elements may stand in each other.
pub const MAX_DEPTH: usize = 32;

/// How many elements and attributes a document may have together; a list of 2,000 resources has
/// about 28,000.
pub const MAX_NODES: usize = 50_000;

/// How many attributes an element may have.
pub const MAX_ATTRIBUTES: usize = 32;

/// A document that was read whole.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    source: &'a str,
    /// Where the declaration names an encoding other than UTF-8.
    relabel: Option<Range<usize>>,
    root: Element<'a>,
    comments: Vec<Range<usize>>,
    is_outline: bool,
}

/// One element. Ranges are places in the document's source.
#[derive(Debug, Clone)]
pub struct Element<'a> {
    name: &'a str,
    attributes: Vec<Attribute<'a>>,
    /// From `<` of the opening tag to behind `>` of the closing one.
    span: Range<usize>,
    /// Where the last attribute ends, or the name where there is none.
    head_end: usize,
    /// Between the tags; `None` for `<name />`.
    content: Option<Range<usize>>,
    text: Cow<'a, str>,
    children: Vec<Self>,
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The name, with its prefix.
    pub name: &'a str,
    /// The value without quotes, references resolved.
    pub value: Cow<'a, str>,
    /// Where the value stands, without quotes.
    pub span: Range<usize>,
}

/// Why bytes are no document of ours. Places are offsets in bytes; nothing of the content is told,
/// since it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Larger than the reader was allowed.
    #[error("the document has more than {limit} bytes")]
    TooLarge {
        /// What was allowed.
        limit: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// The declaration names an encoding that the bytes, which are UTF-8, do not have.
    #[error("the document declares an encoding other than UTF-8, but its bytes are UTF-8")]
    OtherEncoding,
    /// White space before the declaration, which has to be the first thing in the document.
    #[error("blank line or space before the XML declaration, which begins at byte {at}")]
    BlankBeforeDeclaration {
        /// Where the declaration begins.
        at: usize,
    },
    /// A character that XML does not allow.
    #[error("forbidden character at byte {at}")]
    ForbiddenCharacter {
        /// Where it stands.
        at: usize,
    },
    /// More than [`MAX_DEPTH`] elements in each other.
    #[error("elements are nested deeper than {MAX_DEPTH} at byte {at}")]
    TooDeep {
        /// Where the innermost opens.
        at: usize,
    },
    /// More than [`MAX_NODES`], or as many as the reader was allowed, in all or [`MAX_ATTRIBUTES`] on one element.
    #[error("too many elements or attributes at byte {at}")]
    TooMany {
        /// Where the first one too many stands.
        at: usize,
    },
    /// A document type declaration.
    #[error("document type declaration at byte {at}")]
    DocumentType {
        /// Where it stands.
        at: usize,
    },
    /// A processing instruction, or a declaration that is not at the start.
    #[error("processing instruction at byte {at}")]
    ProcessingInstruction {
        /// Where it stands.
        at: usize,
    },
    /// A reference to an entity that is not one of the five, or to no character.
    #[error("unknown reference at byte {at}")]
    UnknownReference {
        /// Where the text with it begins.
        at: usize,
    },
    /// An attribute that its element already has.
    #[error("duplicate attribute at byte {at}")]
    DuplicateAttribute {
        /// Where the second one stands.
        at: usize,
    },
    /// Text or a second root beside the root.
    #[error("content outside the root at byte {at}")]
    OutsideRoot {
        /// Where it stands.
        at: usize,
    },
    /// No root, or one that is not closed.
    #[error("the document ends early")]
    Unfinished,
    /// Against another rule of XML.
    #[error("the document is not well-formed at byte {at}")]
    NotWellFormed {
        /// Where that shows.
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
    /// The first thing that is wrong with it.
    pub fn parse(bytes: &'a [u8], limit: usize) -> Result<Self, Error> {
        Self::parse_small(bytes, limit, MAX_NODES)
    }

    /// The same, of at most `nodes` elements and attributes.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse_small(bytes: &'a [u8], limit: usize, nodes: usize) -> Result<Self, Error> {
        read::document(bytes, limit, nodes)
    }

    /// Checks a document of at most [`MAX_OUTLINE_BYTES`] as strictly as the others, but keeps only
    /// the root and its children: a tree takes many times the size of the document.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn outline(bytes: &'a [u8]) -> Result<Self, Error> {
        read::outline(bytes, MAX_OUTLINE_BYTES, MAX_NODES)
    }

    /// Whether elements below the root's children, and comments, were left out.
    #[must_use]
    pub fn is_outline(&self) -> bool {
        self.is_outline
    }

    /// The text that was read, without a byte order mark.
    #[must_use]
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The outermost element.
    #[must_use]
    pub fn root(&self) -> &Element<'a> {
        &self.root
    }

    /// Where comments stand.
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

    /// The attributes in their order.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.name == name).map(|a| a.value.as_ref())
    }

    /// The child elements in their order.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// The first child element of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child element of that name; `None` where there is none or it is blank.
    #[must_use]
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text).filter(|text| !text.is_empty())
    }

    /// The text directly inside, references resolved, without white space around it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.trim_matches([' ', '\t', '\r', '\n'])
    }

    /// The text directly inside as it is, references resolved.
    #[must_use]
    pub fn whole_text(&self) -> &str {
        &self.text
    }

    /// Where the whole element stands.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where its content stands; `None` for `<name />`.
    #[must_use]
    pub fn content(&self) -> Option<Range<usize>> {
        self.content.clone()
    }
}
