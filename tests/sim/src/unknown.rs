//! Parts that no Connection Manager knows and must forward byte for byte: the simulators add them
//! to their messages, and check those of each other.

use crate::xml::Element;

/// The client's product name, by which the simulated broker expects the unknown parts.
pub(crate) const SIMULATED_CLIENT: &str = "Simulated PCoIP Client";

/// The broker's product name, by which the simulated client expects the unknown parts.
pub(crate) const SIMULATED_BROKER: &str = "Simulated Connection Broker";

/// An attribute with leading white space, for the start tag of a message.
pub(crate) const ATTRIBUTE: &str = "  sim-note = 'says \"so\" &#62; &apos;that&apos;'";

/// An element whose bytes only a copy preserves.
pub(crate) const ELEMENT: &str = concat!(
    "<sim:unknown\txmlns:sim='urn:example:sim'  one = \"1 &lt; 2\" two='\"&#x41;\"' >",
    "<!-- a comment, <kept> & verbatim --><![CDATA[ <not-xml> & ]] > ]]>",
    "<e/><e /><e></e><e ></e >\n  gr\u{fc}\u{df} &#38; text\t</sim:unknown >",
);

/// Whether a message still has the attribute, and the element among the children at this path.
pub(crate) fn is_kept(message: &Element<'_>, path: &[&str]) -> bool {
    message.start_tag.contains(ATTRIBUTE)
        && message
            .at(path)
            .is_some_and(|parent| parent.children.iter().any(|child| child.source == ELEMENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    #[test]
    fn only_the_very_bytes_count_as_kept() {
        let kept = format!("<m{ATTRIBUTE}><p>{ELEMENT}</p></m>");
        let table = [
            (kept.clone(), true),
            (kept.replace("<e/>", "<e />"), false),
            (kept.replace("<!-- a", "<!--a"), false),
            (kept.replace("&#62;", "&gt;"), false),
            (kept.replace("p>", "q>"), false),
        ];

        for (source, expected) in table {
            assert_eq!(is_kept(&xml::parse(&source).unwrap(), &["p"]), expected, "{source}");
        }
    }
}
