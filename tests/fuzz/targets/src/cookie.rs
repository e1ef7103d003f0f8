//! The session cookie is found and nothing else; the broker's cookies are bounded and form a valid
//! header.

use cmsg_proto::{
    Time,
    broker::{BrokerCookies, ClientCookie},
};

/// Reads a text as a `Cookie`, and each of its lines as a `Set-Cookie`.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(found) = ClientCookie::find(text) {
        let value = found.expose();
        assert!(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(text.contains(value));
        assert_eq!(ClientCookie::find(&found.set_cookie()), Some(found.clone()));
        assert!(!format!("{found:?}").contains(value));
    }
    let mut cookies = BrokerCookies::default();
    for line in text.split('\n') {
        let _ = cookies.store(line, Time::from_millis(0));
        let Some(header) = cookies.header() else { continue };
        assert!(header.len() <= 16 * (4096 + 2));
        assert!(header.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{header}");
        let mut again = BrokerCookies::default();
        header
            .split("; ")
            .for_each(|pair| again.store(pair, Time::from_millis(0)).expect("it was kept"));
        assert_eq!(again, cookies);
    }
    for value in cookies.header().iter().flat_map(|header| header.split("; ")) {
        let (_, value) = value.split_once('=').expect("every cookie has a value");
        assert!(value.len() < 24 || !format!("{cookies:?}").contains(&format!("= {value}")));
    }
}
