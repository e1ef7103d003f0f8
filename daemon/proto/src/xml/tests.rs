//! Which documents are refused, what is preserved, and that reading and editing agree.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Document<'_>, Error> {
    Document::parse(text.as_bytes(), MAX_BYTES)
}

fn refused(table: &[(&str, Error)]) {
    for (text, error) in table {
        let shown: String = text.chars().take(60).collect();
        assert_eq!(read(text).as_ref().err(), Some(error), "{shown}");
    }
}

#[test]
fn documents_above_the_limits_are_refused() {
    let deep = "<a>".repeat(33);
    let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_NODES));
    let attributes: String = (0..=MAX_ATTRIBUTES).map(|i| format!(" a{i}=''")).collect();
    let many = format!("<a{attributes}/>");
    refused(&[
        (&deep, Error::TooDeep { at: 96 }),
        (&wide, Error::TooMany { at: 3 + 4 * (MAX_NODES - 1) }),
        (&many, Error::TooMany { at: many.len() - 3 }),
    ]);
}

#[test]
fn an_outline_keeps_two_levels_and_checks_all() {
    let items = "<b c='1'><d>&amp;</d><!-- e --></b>".repeat(MAX_NODES / 2);
    let large = format!("<r><m>{items}</m></r>");
    assert!(Document::parse(large.as_bytes(), large.len()).is_err());

    let document = Document::outline(large.as_bytes()).unwrap();

    let [message] = document.root().children() else { panic!("{:?}", document.root().children()) };
    assert_eq!((message.name(), message.children().len()), ("m", 0));
    assert_eq!(&large[message.content().unwrap()], items);
    assert_eq!((document.is_outline(), document.comments()), (true, &[][..]));
    let deep = format!("<r><m>{}", "<b>".repeat(MAX_DEPTH));
    let wide = format!("<r>{}</r>", "<m/>".repeat(MAX_NODES));
    let long = format!("<r>{}</r>", " ".repeat(MAX_OUTLINE_BYTES - 6));
    for (text, error) in [
        ("<r><m><b>&c;</b></m></r>", Error::UnknownReference { at: 9 }),
        ("<r><m><b c='1' c='1'/></m></r>", Error::DuplicateAttribute { at: 18 }),
        ("<r><m><b></c></b></m></r>", Error::NotWellFormed { at: 9 }),
        ("<r><m><b></m></r>", Error::NotWellFormed { at: 9 }),
        ("<r><m><b/></m>", Error::Unfinished),
        (&deep, Error::TooDeep { at: 6 + 3 * (MAX_DEPTH - 2) }),
        (&wide, Error::TooMany { at: 3 + 4 * (MAX_NODES - 1) }),
        (&long, Error::TooLarge { limit: MAX_OUTLINE_BYTES }),
    ] {
        let shown: String = text.chars().take(60).collect();
        assert_eq!(Document::outline(text.as_bytes()).err(), Some(error), "{shown}");
    }
}

#[test]
fn hostile_documents_are_refused_with_their_reason() {
    refused(&[
        ("", Error::Unfinished),
        ("  \n", Error::Unfinished),
        ("text", Error::OutsideRoot { at: 0 }),
        ("<a>", Error::Unfinished),
        ("<a><b></b>", Error::Unfinished),
        ("<a", Error::NotWellFormed { at: 0 }),
        ("<a></b>", Error::NotWellFormed { at: 3 }),
        ("</a>", Error::NotWellFormed { at: 0 }),
        ("<a/><b/>", Error::OutsideRoot { at: 4 }),
        ("<a></a><b></b>", Error::OutsideRoot { at: 7 }),
        ("<a/>x", Error::OutsideRoot { at: 4 }),
        ("x<a/>", Error::OutsideRoot { at: 0 }),
        ("<a/><![CDATA[x]]>", Error::OutsideRoot { at: 4 }),
        ("&amp;<a/>", Error::OutsideRoot { at: 0 }),
        ("<!DOCTYPE a><a/>", Error::DocumentType { at: 0 }),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", Error::DocumentType { at: 0 }),
        ("<a>&b;</a>", Error::UnknownReference { at: 3 }),
        ("<a>&#0;</a>", Error::UnknownReference { at: 3 }),
        ("<a>&#xD800;</a>", Error::UnknownReference { at: 3 }),
        ("<a>&#8;</a>", Error::ForbiddenCharacter { at: 3 }),
        ("<a>&#xFFFE;</a>", Error::ForbiddenCharacter { at: 3 }),
        ("<a b=\"&#1;\"/>", Error::ForbiddenCharacter { at: 6 }),
        ("<a b=\"&c;\"/>", Error::UnknownReference { at: 6 }),
        ("<a>& </a>", Error::NotWellFormed { at: 3 }),
        ("<a>\0</a>", Error::ForbiddenCharacter { at: 3 }),
        ("<a>\u{1b}</a>", Error::ForbiddenCharacter { at: 3 }),
        ("<a>\u{ffff}</a>", Error::ForbiddenCharacter { at: 3 }),
        ("<a>]]></a>", Error::NotWellFormed { at: 3 }),
        ("<a><!-- -- --></a>", Error::NotWellFormed { at: 3 }),
        ("<a><?go now?></a>", Error::ProcessingInstruction { at: 3 }),
        ("<?go now?><a/>", Error::ProcessingInstruction { at: 0 }),
        (" \r\n<?xml version='1.0'?><a/>", Error::BlankBeforeDeclaration { at: 3 }),
        ("<a/><?xml version='1.0'?>", Error::ProcessingInstruction { at: 4 }),
        ("<?xml version='1.0' encoding='UTF-16'?><a/>", Error::OtherEncoding),
        ("<?xml version='1.0' encoding='cp037'?><a/>", Error::OtherEncoding),
        ("<?xml version='1.0' encoding='asciiutf-8'?><a/>", Error::OtherEncoding),
        ("<?xml version='1.0' encoding='us-ascii'?><a>\u{e9}</a>", Error::OtherEncoding),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a>\u{e9}</a>", Error::OtherEncoding),
        ("<a b='1' b='2'/>", Error::DuplicateAttribute { at: 12 }),
        ("<a b/>", Error::NotWellFormed { at: 4 }),
        ("<a b=c/>", Error::NotWellFormed { at: 5 }),
        ("<a b='1'c='2'/>", Error::NotWellFormed { at: 8 }),
        ("<a b='<'/>", Error::NotWellFormed { at: 6 }),
        ("<1/>", Error::NotWellFormed { at: 2 }),
        ("<a\"/>", Error::NotWellFormed { at: 0 }),
        ("< a/>", Error::NotWellFormed { at: 1 }),
    ]);
}

#[test]
fn a_declared_encoding_that_matches_the_bytes_is_forwarded_as_utf_8() {
    let ascii = ["us-ascii", "ASCII", "ISO-8859-1", "iso-8859-15", "latin1", "Windows-1252"];
    for name in ascii.iter().chain(&["utf8", "UTF-8", "uTf-8"]) {
        let source = format!("<?xml version='1.0' encoding='{name}'?>\n<a>&#233;</a>");
        let document = read(&source).unwrap();

        assert_eq!(document.root().text(), "\u{e9}", "{name}");
        let mut edits = Edits::default();
        edits.rename(document.root(), "\u{e9}");
        let passed_on = match ascii.contains(name) {
            true => "UTF-8",
            false => name,
        };
        assert_eq!(
            edits.apply(&document),
            format!("<?xml version='1.0' encoding='{passed_on}'?>\n<\u{e9}>&#233;</\u{e9}>")
        );
    }
    let utf_8 = "<?xml version='1.0' encoding='utf8'?><a>\u{e9}</a>";
    assert_eq!(read(utf_8).unwrap().root().text(), "\u{e9}");
}

#[test]
fn the_size_and_encoding_are_checked_first() {
    assert_eq!(Document::parse(b"<a/>", 3).err(), Some(Error::TooLarge { limit: 3 }));
    assert!(Document::parse(b"<a/>", 4).is_ok());
    assert_eq!(Document::parse(b"<a>\xff</a>", MAX_BYTES).err(), Some(Error::NotUtf8));
}

#[test]
fn the_tree_has_names_texts_and_positions() {
    let source = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a b=\"1&amp;2\" c = 'x'><!-- -->\
                  <d> p&lt;<![CDATA[<q>]]>&#x41; </d ><e /></a>\n";

    let document = read(source).unwrap();

    let root = document.root();
    assert_eq!(
        (root.name(), root.attribute("b"), root.attribute("c")),
        ("a", Some("1&2"), Some("x"))
    );
    assert_eq!(&source[root.attributes()[0].span.clone()], "1&amp;2");
    let d = root.child("d").unwrap();
    assert_eq!(d.whole_text(), " p<<q>A ");
    assert_eq!(d.text(), "p<<q>A");
    assert_eq!(&source[d.span()], "<d> p&lt;<![CDATA[<q>]]>&#x41; </d >");
    assert_eq!(&source[d.content().unwrap()], " p&lt;<![CDATA[<q>]]>&#x41; ");
    assert_eq!(root.child("e").unwrap().content(), None);
    assert_eq!(root.child_text("e"), None);
    assert_eq!(document.comments().len(), 1);
}

#[test]
fn a_byte_order_mark_is_removed() {
    assert_eq!(read("\u{feff}<?xml version='1.0'?><a/>").unwrap().source().len(), 25);
    for text in ["\u{feff}\u{feff}<a/>", "\u{feff}\u{feff}", "\u{feff}\u{feff}x<a/>"] {
        assert_eq!(read(text).err(), Some(Error::OutsideRoot { at: 0 }));
    }
}

#[test]
fn edits_preserve_everything_else() {
    let source =
        "<?xml version='1.0'?>\r\n<a  x='1'\n><b   /> <!-- c --><x:y z=\"&quot;\"/></a >\n";
    let document = read(source).unwrap();
    let mut edits = Edits::default();

    edits.rename(document.root(), "other");
    edits.append(document.root().child("b").unwrap(), "<c/>");
    edits.append(document.root(), "<last/>");

    assert_eq!(
        edits.apply(&document),
        "<?xml version='1.0'?>\r\n<other  x='1'\n><b><c/></b> <!-- c --><x:y z=\"&quot;\"/><last/></other >\n"
    );
}

#[test]
fn the_outer_of_two_overlapping_replacements_applies() {
    let source = "<a><b>12</b></a>";
    let document = read(source).unwrap();
    let b = document.root().child("b").unwrap();
    let mut edits = Edits::default();

    edits.replace(b.content().unwrap(), "inner");
    edits.replace(b.span(), "outer");
    edits.insert(b.span().start, "1");
    edits.insert(b.span().start, "2");

    assert_eq!(edits.apply(&document), "<a>12outer</a>");
}

#[test]
fn inserted_text_is_escaped() {
    assert_eq!(leaf("a", "<&>\"'\r\0é"), "<a>&lt;&amp;&gt;&quot;&apos;&#13;\u{fffd}é</a>");
    assert_eq!(leaf("a", ""), "<a />");
}

/// Valid documents with all constructs that must be preserved.
fn content() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[ -%'-;=?-~\t\né€]{0,12}".prop_map(|t| t.replace("]]>", "")),
        Just("&amp;&#65;&lt;".to_owned()),
        Just("<![CDATA[<&]]>".to_owned()),
        Just("<!-- note -->".to_owned()),
    ];
    text.prop_recursive(5, 40, 5, |inner| {
        let name = "[a-z_][a-z0-9.:-]{0,6}";
        (name, "[ -!#-%'-;=?-~]{0,8}", prop::collection::vec(inner, 0..5)).prop_map(
            |(name, value, inner)| match inner.is_empty() {
                true => format!("<{name} v=\"{value}\" />"),
                false => format!("<{name} v=\"{value}\">{}</{name}>", inner.concat()),
            },
        )
    })
}

fn spans_hold(source: &str, element: &Element<'_>) {
    let whole = &source[element.span()];
    assert!(whole.starts_with(&format!("<{}", element.name())) && whole.ends_with('>'));
    let mut end = element.span().start;
    for child in element.children() {
        assert!(child.span().start >= end && child.span().end <= element.span().end);
        end = child.span().end;
        spans_hold(source, child);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = Document::parse(&bytes, MAX_BYTES);
        prop_assert_eq!(whole.err(), Document::outline(&bytes).err());
    }

    #[test]
    fn any_markup_is_parsed_or_refused(text in "[<>/a='\"&;!?\\[\\]-]{0,40}") {
        prop_assert_eq!(read(&text).err(), Document::outline(text.as_bytes()).err());
    }

    #[test]
    fn a_document_is_parsed_with_correct_positions(content in content()) {
        let source = format!("<root>{content}</root>");

        let document = read(&source).unwrap();

        prop_assert_eq!(&source[document.root().content().unwrap()], content.as_str());
        spans_hold(&source, document.root());
    }

    #[test]
    fn an_edit_and_its_reverse_restore_the_source(content in content()) {
        let source = format!("<root>{content}</root>");
        let document = read(&source).unwrap();
        prop_assert_eq!(&Edits::default().apply(&document), &source);
        let mut there = Edits::default();
        there.rename(document.root(), "elsewhere");
        there.append(document.root(), "<added>1</added>");

        let changed = there.apply(&document);
        let document = read(&changed).unwrap();
        let mut back = Edits::default();
        back.rename(document.root(), "root");
        back.replace(document.root().children().last().unwrap().span(), "");

        prop_assert_eq!(back.apply(&document), source);
    }

    #[test]
    fn escaped_text_is_parsed_unchanged(text in "[\\PC\t\n\r]{0,60}") {
        let source = format!("<r a=\"{}\">{}</r>", escape(&text), escape(&text));

        let document = read(&source).unwrap();

        prop_assert_eq!(document.root().whole_text(), text.as_str());
        prop_assert_eq!(document.root().attribute("a"), Some(text.as_str()));
    }
}
