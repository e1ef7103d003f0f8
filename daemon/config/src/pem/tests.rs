use proptest::prelude::*;

use super::*;

fn section(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn ders(text: &str) -> Result<Vec<Vec<u8>>, Problem> {
    certificates(text.as_bytes()).map(|all| all.iter().map(|der| der.to_vec()).collect())
}

#[test]
fn all_certificates_are_read_in_order() {
    let [one, two] = ["AQ==", "Ag=="].map(|body| section("CERTIFICATE", body));
    let both = format!("{one}{two}");
    let marked: Vec<u8> =
        format!("\u{feff}{both}").encode_utf16().flat_map(u16::to_be_bytes).collect();

    let expected = Ok(vec![vec![1], vec![2]]);
    assert_eq!(ders(&both), expected);
    assert_eq!(ders(&format!("\u{feff}s:/CN=x\r\n{}", both.replace('\n', "\r\n"))), expected);
    assert_eq!(ders(&both.replace('\n', "\r")), expected);
    assert_eq!(certificates(&marked).map(|all| all.len()), Ok(2));
    for other in ["CERTIFICATE REQUEST", "DH PARAMETERS", "PRIVATE KEY", "ATTRIBUTE CERTIFICATE"] {
        assert_eq!(ders(&format!("{one}{}{two}", section(other, "Aw=="))), expected, "{other}");
    }
    let commented = format!("#{}", section("CERTIFICATE", "Aw==").trim_end().replace('\n', "\n# "));
    assert_eq!(ders(&format!("{one}{commented}\n{two}")), expected);
}

#[test]
fn a_section_that_readers_skip_is_reported_with_its_line() {
    let one = section("CERTIFICATE", "AQ==");
    let label = |label: &str| Problem::Label { line: 4, label: label.to_owned() };
    let table = [
        (format!("{}{one}", one.trim_end()), Problem::Marker { line: 3 }),
        (format!("{one} {one}"), Problem::Marker { line: 4 }),
        (format!("{one}\u{feff}{one}"), Problem::Marker { line: 4 }),
        (format!("{one}{}", one.replace('\n', " ")), Problem::Marker { line: 4 }),
        (format!("{one}{}", one.replace("\n-----E", "-----E")), Problem::Marker { line: 5 }),
        (format!("{one}{}", one.replace("-----BEGIN", "----BEGIN")), Problem::NoBegin { line: 6 }),
        (
            format!("{one}{}", one.replace("-----BEGIN", "\u{2013}\u{2013}-BEGIN")),
            Problem::NoBegin { line: 6 },
        ),
        (
            format!("{}{one}", one.replace("-----END CERTIFICATE-----\n", "")),
            Problem::NoEnd { line: 1, label: "CERTIFICATE".to_owned() },
        ),
        (
            format!("{one}{}", one.replace("END CERTIFICATE", "END X509 CERTIFICATE")),
            Problem::NoEnd { line: 4, label: "CERTIFICATE".to_owned() },
        ),
        (format!("{one}{}", section("TRUSTED CERTIFICATE", "AQ==")), label("TRUSTED CERTIFICATE")),
        (format!("{one}{}", section("X509 CERTIFICATE", "AQ==")), label("X509 CERTIFICATE")),
        (format!("{one}{}", section("certificate", "AQ==")), label("certificate")),
        (format!("{one}{}", section("PKCS7", "AQ==")), label("PKCS7")),
        (format!("{one}{}", section("PKCS #7 SIGNED DATA", "AQ==")), label("PKCS #7 SIGNED DATA")),
        (format!("{one}{}", section("CMS", "AQ==")), label("CMS")),
    ];
    for (text, expected) in table {
        assert_eq!(ders(&text), Err(expected), "{text}");
    }
    assert_eq!(ders("text"), Err(Problem::None("certificate")));
    assert_eq!(ders(&section("TRUSTED CERTIFICATE", "AQ==")), Err(Problem::None("certificate")));
}

#[test]
fn a_file_with_two_keys_is_refused() {
    let one = section("PRIVATE KEY", "AQ==");
    let several = |count| Err(Problem::SeveralKeys(count));
    let table = [
        (one.clone(), Ok(1)),
        (format!("{}{one}", section("CERTIFICATE", "AQ==")), Ok(1)),
        (
            format!("{}{}", section("EC PARAMETERS", "AQ=="), section("EC PRIVATE KEY", "AQ==")),
            Ok(1),
        ),
        (format!("{one}{}", section("RSA PRIVATE KEY", "AQ==")), several(2)),
        (format!("{one}{one}{}", section("ENCRYPTED PRIVATE KEY", "AQ==")), several(3)),
        (section("PUBLIC KEY", "AQ=="), Err(Problem::None("private key"))),
        (format!("{}{one}", one.trim_end()), Err(Problem::Marker { line: 3 })),
    ];
    for (text, expected) in table {
        let found = key(text.as_bytes()).map(|key| key.secret_der().len());
        assert_eq!(found, expected, "{text}");
    }
}

proptest! {
    /// No edit of the text between and around sections hides a certificate.
    #[test]
    fn no_certificate_is_skipped(
        between in prop::collection::vec("[ -~\r\n]{0,3}|-----|#|\u{feff}", 1..4),
    ) {
        let one = section("CERTIFICATE", "AQ==");
        let joined = between.iter().fold(one.clone(), |text, part| {
            format!("{}{part}{one}", text.trim_end())
        });

        if let Ok(found) = ders(&joined) {
            let begun = joined.matches("-----BEGIN").count();
            let commented = joined.lines().filter(|line| {
                line.trim_start().starts_with('#') && line.contains("-----BEGIN")
            });
            prop_assert_eq!(found.len(), begun - commented.count(), "{}", joined);
        }
    }
}
