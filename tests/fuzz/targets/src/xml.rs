//! The parser reports correct positions, and edits change nothing else.

use cmsg_proto::xml::{Document, Edits, Element, MAX_BYTES, MAX_DEPTH, MAX_NODES, escape};

use crate::tree::{Seen, elements, reread};

/// Reads bytes as a document.
pub fn run(data: &[u8]) {
    let Ok(document) = Document::parse(data, MAX_BYTES) else { return };
    let source = document.source();
    assert!(data.ends_with(source.as_bytes()) && data.len() - source.len() <= 3);
    stands_where_it_says(source, document.root(), 1);
    let all = elements(&document);
    let nodes: usize = all.iter().map(|element| 1 + element.attributes().len()).sum();
    assert!(nodes <= MAX_NODES);
    let same = Edits::default().apply(&document);
    if same != source {
        // Only a declared encoding other than UTF-8 is replaced, once.
        assert_eq!(same.matches("UTF-8").count(), source.matches("UTF-8").count() + 1);
        let again = Document::parse(same.as_bytes(), MAX_BYTES + same.len()).expect("it is valid");
        assert_eq!(Edits::default().apply(&again), same, "no change changes something");
        assert_eq!(Seen::of(again.root()), Seen::of(document.root()));
    }
    rename(&document);
    rewrite(&document, &all);
}

fn stands_where_it_says(source: &str, element: &Element<'_>, depth: usize) {
    assert!(depth <= MAX_DEPTH + 1);
    let whole = &source[element.span()];
    assert!(whole.strip_prefix('<').is_some_and(|tag| tag.starts_with(element.name())), "{whole}");
    let mut head = element.span().start;
    for attribute in element.attributes() {
        assert!(head < attribute.span.start && attribute.span.end < element.span().end);
        head = attribute.span.end;
    }
    let Some(content) = element.content() else {
        assert!(whole.ends_with("/>") && element.children().is_empty());
        return;
    };
    let close = &source[content.end..element.span().end];
    assert!(close.starts_with("</") && close.ends_with('>') && close.contains(element.name()));
    let mut at = content.start;
    for child in element.children() {
        assert!(at <= child.span().start && child.span().end <= content.end);
        at = child.span().end;
        stands_where_it_says(source, child, depth + 1);
    }
}

fn rename(document: &Document<'_>) {
    let mut edits = Edits::default();
    edits.rename(document.root(), "renamed");
    let changed = edits.apply(document);
    let Some(read) = reread(&changed) else { return };
    assert_eq!(Seen::of(read.root()), Seen::of(document.root()).named("renamed"));
}

/// Rewritten text is parsed unchanged.
fn rewrite(document: &Document<'_>, all: &[&Element<'_>]) {
    let mut edits = Edits::default();
    for leaf in all.iter().filter(|element| element.children().is_empty()) {
        if let Some(content) = leaf.content() {
            edits.replace(content, escape(leaf.whole_text()));
        }
    }
    let changed = edits.apply(document);
    let Some(read) = reread(&changed) else { return };
    assert_eq!(Seen::of(read.root()), Seen::of(document.root()));
}
