//! What is masked and what is shown.

use super::*;

fn shows(table: &[(&str, &str)]) {
    let tag = format!("SCS1{}ABCDEFGHIJKL", "x".repeat(80));
    for (given, shown) in table {
        let given = format!("<r version='2.1'>{}</r>", given.replace("{TAG}", &tag));

        assert_eq!(bytes(given.as_bytes()), format!("<r version='2.1'>{shown}</r>"));
    }
}

#[test]
fn authenticate_and_unknown_messages_only_show_harmless_elements() {
    shows(&[
        (
            "<authenticate method=\"password\"><username>u</username><password>p&amp;</password>\
             <domain>d</domain></authenticate>",
            "<authenticate method=\"password\"><username>u</username><password>****</password>\
             <domain>d</domain></authenticate>",
        ),
        (
            "<authenticate method=\"dialog\"><fields><field><id>A</id><text do-not-log=\"true\">1\
             </text></field><field><id>B</id><text>2</text></field></fields>\
             <button-id>LOGIN</button-id></authenticate>",
            "<authenticate method=\"dialog\"><fields><field><id>A</id><text do-not-log=\"true\">\
             ****</text></field><field><id>B</id><text>****</text></field></fields>\
             <button-id>LOGIN</button-id></authenticate>",
        ),
        (
            "<authenticate method=\"new\"><jwt k=\"v\">a<b/>c</jwt><pin><![CDATA[1]]></pin><!--\
             secret--><username do-not-log=\"true\">u</username><empty/></authenticate>",
            "<authenticate method=\"new\"><jwt k=\"****\">****</jwt><pin>****</pin>\
             <username do-not-log=\"true\">****</username><empty/></authenticate>",
        ),
        ("secret<bye/>", "****"),
        ("<oauth><code>x</code></oauth>", "<oauth><code>****</code></oauth>"),
    ]);
}

#[test]
fn a_password_of_spaces_is_masked() {
    shows(&[
        (
            "<authenticate method=\"password\"><username>u</username><password>   </password>\
             <domain>d</domain></authenticate>",
            "<authenticate method=\"password\"><username>u</username><password>****</password>\
             <domain>d</domain></authenticate>",
        ),
        (
            "<authenticate method=\"dialog\"><fields> <field><id>A</id><text> </text></field>\
             </fields></authenticate>",
            "<authenticate method=\"dialog\"><fields> <field><id>A</id><text>****</text></field>\
             </fields></authenticate>",
        ),
        (
            "<authenticate><password> <b>x</b> </password><pin> <!-- 1 --> </pin></authenticate>",
            "<authenticate><password>****</password><pin>****</pin></authenticate>",
        ),
        (
            "<hello><new>\t</new><platform> </platform></hello>",
            "<hello><new>****</new><platform> </platform></hello>",
        ),
        (
            "<hello><variable><name>n</name><value> </value></variable><variable> </variable></hello>",
            "<hello><variable><name>n</name><value>****</value></variable><variable>****</variable>\
             </hello>",
        ),
    ]);
}

#[test]
fn secrets_in_known_messages_are_masked() {
    shows(&[
        (
            "<authenticate-resp><text do-not-log=\"true\">x</text><text do-not-log=\"false\">y\
             </text><prompt>z</prompt></authenticate-resp>",
            "<authenticate-resp><text do-not-log=\"true\">****</text><text do-not-log=\"false\">\
             y</text><prompt>z</prompt></authenticate-resp>",
        ),
        (
            "<hello><variable><name>launcher-data</name><value>jwt</value></variable></hello>",
            "<hello><variable><name>launcher-data</name><value>****</value></variable></hello>",
        ),
        (
            "<launch-session-resp><session-tag>{TAG}</session-tag><other>{TAG}</other>\
             </launch-session-resp>",
            "<launch-session-resp><session-tag>SCS1****ABCDEFGHIJKL</session-tag><other>SCS1****\
             ABCDEFGHIJKL</other></launch-session-resp>",
        ),
        (
            "<launch-session><logon method=\"x\"><username>u</username><password>p</password>\
             </logon></launch-session>",
            "<launch-session><logon method=\"x\"><username>u</username><password>****</password>\
             </logon></launch-session>",
        ),
        (
            "<add-connection><ctag>{TAG}</ctag></add-connection>",
            "<add-connection><ctag>SCS1****ABCDEFGHIJKL</ctag></add-connection>",
        ),
        ("<bye\n/>\r\n<x:y\t/>", "<bye />  <x:y />"),
    ]);
}

#[test]
fn a_tag_is_masked_in_any_element() {
    let odd = "SCS1".to_owned() + &"x".repeat(80);
    let (spaced, markup) = (format!("{odd} ABCDEFGHIJKL"), format!("{odd}&lt;/a>ABCDEF"));
    shows(&[
        (
            "<oauth><id>{TAG}</id><username>{TAG}</username></oauth>",
            "<oauth><id>****</id><username>****</username></oauth>",
        ),
        (&format!("<bye><ctag>{spaced}</ctag></bye>"), "<bye><ctag>****</ctag></bye>"),
        (
            &format!("<bye><ctag>{markup}</ctag></bye>"),
            "<bye><ctag>SCS1****xx&lt;/a&gt;ABCDEF</ctag></bye>",
        ),
    ]);
}

#[test]
fn attributes_of_masked_elements_are_masked() {
    shows(&[
        (
            "<hello><my-token method=\"m\" k=\"v\">x</my-token><text do-not-log=\"true\" \
             default=\"1\"/></hello>",
            "<hello><my-token method=\"m\" k=\"****\">****</my-token><text do-not-log=\"true\" \
             default=\"****\"/></hello>",
        ),
        (
            "<hello><variable id=\"launcher-data\" value=\"jwt\">jwt</variable></hello>",
            "<hello><variable id=\"****\" value=\"****\">****</variable></hello>",
        ),
        (
            "<hello><password>  <a>x</a></password></hello>",
            "<hello><password>****</password></hello>",
        ),
    ]);
    assert_eq!(
        bytes(b"<r version='2.1' xmlns:a='u' password='p'><bye/></r>"),
        "<r version='2.1' xmlns:a='u' password='****'><bye/></r>"
    );
}

#[test]
fn unknown_elements_of_known_messages_are_masked() {
    shows(&[
        (
            "<allocate-resource-resp><result><result-id>ALLOC_SUCCESSFUL</result-id></result>\
             <logon><username>other</username><key>k</key></logon><alternate user=\"u\">a</alternate>\
             <target><port>4172</port></target></allocate-resource-resp>",
            "<allocate-resource-resp><result><result-id>ALLOC_SUCCESSFUL</result-id></result>\
             <logon><username>other</username><key>****</key></logon><alternate user=\"****\">****\
             </alternate><target><port>4172</port></target></allocate-resource-resp>",
        ),
        (
            "<hello n=\"x\"><client-info><platform>p</platform></client-info><x><y>z</y></x></hello>",
            "<hello n=\"****\"><client-info><platform>p</platform></client-info><x><y>****</y></x>\
             </hello>",
        ),
    ]);
}

#[test]
fn invalid_xml_is_logged_as_its_length() {
    assert_eq!(bytes(b"<password>p"), "(11 bytes, the document ends early)");
    assert!(bytes(b"<").starts_with("(1 byte, "));
}

#[test]
fn a_document_is_one_line_of_bounded_length() {
    assert_eq!(one_line("a\nb\r\u{85}\u{9b}\u{2028}c"), "a b    c");
    let long = "é".repeat(MAX_LOGGED);
    assert_eq!(one_line(&long).len(), MAX_LOGGED + format!("… ({} bytes)", long.len()).len());
}

#[test]
fn a_cookie_shows_its_ends() {
    assert_eq!(cookie("0123456789ABCDEF0123456789ABCDEF"), "0123****CDEF");
    assert_eq!(cookie("0123456789ABCDEF"), "****");
    assert_eq!(cookie(""), "****");
}
