//! The strict reader. quick-xml finds the markup, but accepts unclosed and duplicate roots,
//! document types, unknown entities, duplicate attributes and NUL; these are refused here.

use std::{borrow::Cow, ops::Range};

use quick_xml::{Reader, escape::unescape, events::Event};

use super::{Attribute, Document, Element, Error, MAX_ATTRIBUTES, MAX_DEPTH, edit::allowed};

const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Depth of an outline: the root and its children.
const OUTLINE_DEPTH: usize = 2;

pub(super) fn document(bytes: &[u8], limit: usize, nodes: usize) -> Result<Document<'_>, Error> {
    read(bytes, limit, Tree { room: nodes, keep: MAX_DEPTH, ..Tree::default() })
}

pub(super) fn outline(bytes: &[u8], limit: usize, nodes: usize) -> Result<Document<'_>, Error> {
    read(bytes, limit, Tree { room: nodes, keep: OUTLINE_DEPTH, ..Tree::default() })
}

fn read<'a>(bytes: &'a [u8], limit: usize, empty: Tree<'a>) -> Result<Document<'a>, Error> {
    if bytes.len() > limit {
        return Err(Error::TooLarge { limit });
    }
    let source = std::str::from_utf8(bytes)?;
    let source = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    if source.starts_with(BYTE_ORDER_MARK) {
        // quick-xml would skip the mark without counting its bytes.
        return Err(Error::OutsideRoot { at: 0 });
    }
    if let Some((at, _)) = source.char_indices().find(|(_, c)| !allowed(*c)) {
        return Err(Error::ForbiddenCharacter { at });
    }
    let mut tree = Tree { source, ..empty };
    let mut reader = Reader::from_str(source);
    reader.config_mut().check_comments = true;
    loop {
        let start = place(&reader);
        let event = reader.read_event().map_err(|_| Error::NotWellFormed { at: start })?;
        let span = start..place(&reader);
        match event {
            Event::Start(_) => tree.open(span)?,
            Event::Empty(_) => tree.empty(span)?,
            Event::End(_) => tree.close(&span)?,
            Event::Text(_) | Event::GeneralRef(_) => tree.text(span)?,
            Event::CData(_) => tree.cdata(&span)?,
            Event::Comment(_) => tree.comment(span),
            Event::Decl(_) => tree.relabel = declaration(source, &span)?,
            Event::PI(_) => return Err(Error::ProcessingInstruction { at: start }),
            Event::DocType(_) => return Err(Error::DocumentType { at: start }),
            Event::Eof => break,
        }
    }
    tree.finish()
}

/// The position fits into `usize`, since a source has at most [`super::MAX_OUTLINE_BYTES`].
fn place(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// The part of the document that was read so far.
#[derive(Default)]
struct Tree<'a> {
    source: &'a str,
    relabel: Option<Range<usize>>,
    open: Vec<Element<'a>>,
    root: Option<Element<'a>>,
    comments: Vec<Range<usize>>,
    /// How many more elements and attributes are allowed.
    room: usize,
    /// Depth up to which elements are kept.
    keep: usize,
}

impl<'a> Tree<'a> {
    fn open(&mut self, span: Range<usize>) -> Result<(), Error> {
        let element = self.element(span.clone(), span.end - 1)?;
        if self.open.len() == MAX_DEPTH {
            return Err(Error::TooDeep { at: span.start });
        }
        self.open.push(Element { content: Some(span.end..span.end), ..element });
        Ok(())
    }

    fn empty(&mut self, span: Range<usize>) -> Result<(), Error> {
        let head = span.end - 2;
        let element = self.element(span, head)?;
        if self.open.len() == MAX_DEPTH {
            return Err(Error::TooDeep { at: element.span.start });
        }
        self.add(element);
        Ok(())
    }

    /// quick-xml has checked that the names match.
    fn close(&mut self, span: &Range<usize>) -> Result<(), Error> {
        let mut element = self.open.pop().ok_or(Error::NotWellFormed { at: span.start })?;
        element.span.end = span.end;
        if let Some(content) = &mut element.content {
            content.end = span.start;
        }
        self.add(element);
        Ok(())
    }

    fn text(&mut self, span: Range<usize>) -> Result<(), Error> {
        let raw = &self.source[span.clone()];
        let Some(element) = self.open.last_mut() else {
            let blank = raw.bytes().all(is_space);
            return if blank { Ok(()) } else { Err(Error::OutsideRoot { at: span.start }) };
        };
        if raw.contains("]]>") {
            return Err(Error::NotWellFormed { at: span.start });
        }
        append(&mut element.text, resolve(raw, span.start)?);
        Ok(())
    }

    fn cdata(&mut self, span: &Range<usize>) -> Result<(), Error> {
        let at = span.start;
        let element = self.open.last_mut().ok_or(Error::OutsideRoot { at })?;
        let raw = self.source[span.clone()].strip_prefix("<![CDATA[");
        let raw = raw.and_then(|raw| raw.strip_suffix("]]>")).ok_or(Error::NotWellFormed { at })?;
        append(&mut element.text, Cow::Borrowed(raw));
        Ok(())
    }

    /// Reads a tag up to its closing `>` or `/>`.
    fn element(&mut self, span: Range<usize>, head: usize) -> Result<Element<'a>, Error> {
        if self.open.is_empty() && self.root.is_some() {
            return Err(Error::OutsideRoot { at: span.start });
        }
        let mut tag = Tag { source: self.source, at: span.start + 1, end: head };
        let name = tag.name()?;
        let mut element = Element {
            name,
            attributes: Vec::new(),
            head_end: tag.at,
            span,
            content: None,
            text: Cow::Borrowed(""),
            children: Vec::new(),
        };
        while let Some(attribute) = tag.attribute()? {
            let at = attribute.span.start;
            if element.attributes.iter().any(|a| a.name == attribute.name) {
                return Err(Error::DuplicateAttribute { at });
            }
            if element.attributes.len() == MAX_ATTRIBUTES {
                return Err(Error::TooMany { at });
            }
            element.attributes.push(attribute);
            element.head_end = tag.at;
        }
        if self.open.len() < self.keep {
            let room = self.room.checked_sub(1 + element.attributes.len());
            self.room = room.ok_or(Error::TooMany { at: element.span.start })?;
        }
        Ok(element)
    }

    fn comment(&mut self, span: Range<usize>) {
        if !self.is_outline() {
            self.comments.push(span);
        }
    }

    fn is_outline(&self) -> bool {
        self.keep < MAX_DEPTH
    }

    fn add(&mut self, element: Element<'a>) {
        let is_kept = self.open.len() < self.keep;
        match self.open.last_mut() {
            Some(parent) if is_kept => parent.children.push(element),
            Some(_) => {}
            None => self.root = Some(element),
        }
    }

    fn finish(self) -> Result<Document<'a>, Error> {
        let is_outline = self.is_outline();
        match self.root {
            Some(root) if self.open.is_empty() => {
                let Self { source, relabel, comments, .. } = self;
                Ok(Document { source, relabel, root, comments, is_outline })
            }
            _ => Err(Error::Unfinished),
        }
    }
}

/// The content of a tag, read from left to right.
struct Tag<'a> {
    source: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Tag<'a> {
    fn name(&mut self) -> Result<&'a str, Error> {
        let name = self.take_while(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | '=' | '/'));
        let starts = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':') || !c.is_ascii();
        let goes_on = |c: char| starts(c) || c.is_ascii_digit() || matches!(c, '-' | '.');
        if name.starts_with(starts) && name.chars().all(goes_on) {
            Ok(name)
        } else {
            Err(Error::NotWellFormed { at: self.at })
        }
    }

    fn attribute(&mut self) -> Result<Option<Attribute<'a>>, Error> {
        let gap = self.space();
        if self.at == self.end {
            return Ok(None);
        }
        let at = self.at;
        if gap == 0 {
            return Err(Error::NotWellFormed { at });
        }
        let name = self.name()?;
        self.space();
        self.one_of(&['='])?;
        self.space();
        let quote = self.one_of(&['"', '\''])?;
        let start = self.at;
        let raw = self.take_while(|c| c != quote && c != '<');
        let span = start..self.at;
        self.one_of(&[quote])?;
        Ok(Some(Attribute { name, value: resolve(raw, start)?, span }))
    }

    fn space(&mut self) -> usize {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).len()
    }

    fn one_of(&mut self, wanted: &[char]) -> Result<char, Error> {
        let at = self.at;
        let next = self.source[at..self.end].chars().next().filter(|c| wanted.contains(c));
        let next = next.ok_or(Error::NotWellFormed { at })?;
        self.at += next.len_utf8();
        Ok(next)
    }

    fn take_while(&mut self, goes_on: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.source[self.at..self.end];
        let taken = rest.find(|c| !goes_on(c)).map_or(rest, |end| &rest[..end]);
        self.at += taken.len();
        taken
    }
}

/// Checks the XML declaration, which must be at the very start. Returns the position of its
/// encoding, if that is not UTF-8 but matches the bytes.
fn declaration(source: &str, span: &Range<usize>) -> Result<Option<Range<usize>>, Error> {
    let at = span.start;
    if at != 0 {
        let blank = source[..at].bytes().all(is_space);
        return Err(match blank {
            true => Error::BlankBeforeDeclaration { at },
            false => Error::ProcessingInstruction { at },
        });
    }
    let mut relabel = None;
    let mut tag = Tag { source, at: "<?xml".len(), end: span.end - "?>".len() };
    while let Some(attribute) = tag.attribute()? {
        if attribute.name != "encoding" {
            continue;
        }
        match Encoding::named(&attribute.value) {
            Encoding::Utf8 => {}
            Encoding::ExtendsAscii if source.is_ascii() => relabel = Some(attribute.span),
            Encoding::ExtendsAscii | Encoding::Other => return Err(Error::OtherEncoding),
        }
    }
    Ok(relabel)
}

/// The encoding in a declaration.
enum Encoding {
    Utf8,
    /// ASCII, or an encoding in which ASCII characters are the same single bytes.
    ExtendsAscii,
    Other,
}

impl Encoding {
    fn named(name: &str) -> Self {
        let name = name.to_ascii_lowercase().replace('_', "-");
        let is_ascii = ["us-ascii", "ascii"].contains(&name.as_str());
        let families = ["ansi-x3.4-", "iso-8859-", "iso8859-", "latin", "windows-125"];
        if ["utf-8", "utf8"].contains(&name.as_str()) {
            Self::Utf8
        } else if is_ascii || families.iter().any(|family| name.starts_with(family)) {
            Self::ExtendsAscii
        } else {
            Self::Other
        }
    }
}

/// Resolves the five entities and character references.
fn resolve(raw: &str, at: usize) -> Result<Cow<'_, str>, Error> {
    let text = unescape(raw).map_err(|_| Error::UnknownReference { at })?;
    match &text {
        Cow::Owned(resolved) if !resolved.chars().all(allowed) => {
            Err(Error::ForbiddenCharacter { at })
        }
        _ => Ok(text),
    }
}

fn append<'a>(text: &mut Cow<'a, str>, more: Cow<'a, str>) {
    if text.is_empty() {
        *text = more;
    } else {
        text.to_mut().push_str(&more);
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
