//! The searched secrets, in every encoding in which they could leak.

use std::fmt::Write as _;

use memchr::memmem;

/// Secrets by what they are.
#[derive(Debug, Default, Clone)]
pub(crate) struct Marks(Vec<Mark>);

#[derive(Debug, Clone)]
struct Mark {
    name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Marks {
    /// Looks for one more.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        assert!(value.len() >= 8, "{name} is too short to be told from anything else");
        self.0.push(Mark { name: name.to_owned(), forms: forms(value) });
    }

    /// The same, ready to use.
    pub(crate) fn of<const N: usize>(secrets: [(&str, &str); N]) -> Self {
        let mut marks = Self::default();
        secrets.iter().for_each(|(name, value)| marks.add(name, value));
        marks
    }

    /// The secrets in these bytes, with their encodings.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<String> {
        let found = |mark: &Mark| {
            let form = mark.forms.iter().find(|(_, form)| memmem::find(bytes, form).is_some())?;
            Some(format!("{} ({})", mark.name, form.0))
        };
        self.0.iter().filter_map(found).collect()
    }
}

fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = value.as_bytes();
    let hex = |digits: fn(u8) -> String| bytes.iter().map(|byte| digits(*byte)).collect::<String>();
    let quoted = format!("{value:?}");
    let json = serde_json::Value::from(value).to_string();
    let mut forms = vec![
        ("plain", value.to_owned()),
        ("hexadecimal", hex(|byte| format!("{byte:02x}"))),
        ("hexadecimal", hex(|byte| format!("{byte:02X}"))),
        ("quoted", quoted[1..quoted.len() - 1].to_owned()),
        ("JSON", json[1..json.len() - 1].to_owned()),
        ("bytes", format!("{bytes:?}")),
    ];
    let space = |with: &str| value.replace(' ', with);
    for text in [url(value, false), url(value, true), url(&space("\u{1}"), false)] {
        forms.push(("URL-encoded", text.replace("%01", "+")));
    }
    for (apostrophe, quote) in [("'", "\""), ("&apos;", "&quot;"), ("&#39;", "&#34;")] {
        let text = value.replace('&', "&amp;").replace('<', "&lt;");
        for text in [text.clone(), text.replace('>', "&gt;")] {
            forms.push(("XML", text.replace('\'', apostrophe).replace('"', quote)));
        }
    }
    for alphabet in [STANDARD, URL_SAFE] {
        forms.extend((0..3).map(|before| ("base64", base64(bytes, before, alphabet))));
    }
    forms.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
}

fn url(value: &str, is_lower: bool) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let written = match (is_plain, is_lower) {
            (true, _) => write!(text, "{}", char::from(byte)),
            (false, true) => write!(text, "%{byte:02x}"),
            (false, false) => write!(text, "%{byte:02X}"),
        };
        written.expect("a string takes everything");
        text
    })
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The base64 digits that depend only on these bytes, after this many other bytes.
fn base64(bytes: &[u8], before: usize, alphabet: &[u8; 64]) -> String {
    let bits: Vec<u8> = std::iter::repeat_n(&0, before)
        .chain(bytes)
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let whole = bits.chunks_exact(6).skip((before * 8).div_ceil(6));
    let digit = |bits: &[u8]| bits.iter().fold(0, |digit, bit| digit << 1 | usize::from(*bit));
    whole.map(|bits| char::from(alphabet[digit(bits)])).collect()
}

#[test]
fn a_secret_is_found_in_every_form() {
    let marks = Marks::of([("it", "a\"b&c <d>'é/\\+%7Q"), ("other", "never there")]);
    let table = [
        ("plain", "x=a\"b&c <d>'é/\\+%7Q"),
        ("JSON", r#"{"x":"a\"b&c <d>'é/\\+%7Q"}"#),
        ("XML", "<p>a\"b&amp;c &lt;d>'é/\\+%7Q</p>"),
        ("XML", "<p>a&quot;b&amp;c &lt;d&gt;&apos;é/\\+%7Q</p>"),
        ("URL-encoded", "?x=a%22b%26c%20%3Cd%3E%27%C3%A9%2F%5C%2B%257Q"),
        ("URL-encoded", "?x=a%22b%26c+%3Cd%3E%27%C3%A9%2F%5C%2B%257Q"),
        ("hexadecimal", "6122622663203c643e27c3a92f5c2b253751"),
        ("base64", "YSJiJmMgPGQ+J8OpL1wrJTdR"),
        ("base64", "eGEiYiZjIDxkPifDqS9cKyU3UQ=="),
        ("base64", "eHhhImImYyA8ZD4nw6kvXCslN1F4"),
        ("base64", "YSJiJmMgPGQ-J8OpL1wrJTdR"),
    ];
    for (form, text) in table {
        // JSON strings and Rust's `Debug` strings are often the same.
        let found = marks.find(text.as_bytes()).join(", ").replace("quoted", "JSON");

        assert_eq!(found, format!("it ({form})"), "{text}");
    }
    assert_eq!(marks.find(b"a\"b&c <d>'"), [""; 0]);
}
