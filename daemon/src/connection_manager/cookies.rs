//! The cookies in the broker's responses.

use std::time::UNIX_EPOCH;

use cmsg_proto::{
    Time,
    broker::{NotKept, SetCookies},
};
use http::{HeaderMap, header};

use super::{
    request_log::{BROKER, RequestLog, as_error, record},
    upstream::Reply,
};
use crate::clock;

/// The cookies of a response. Their expiry is checked against the response's `Date`, since brokers'
/// clocks may be wrong, or against our clock if there is no `Date`.
pub(super) fn set_by(reply: &Reply) -> SetCookies {
    read(&reply.headers, clock::now())
}

fn read(headers: &HeaderMap, now: Time) -> SetCookies {
    let values = headers.get_all(header::SET_COOKIE).iter();
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let since_epoch = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
    let millis = since_epoch.and_then(|since| u64::try_from(since.as_millis()).ok());
    let answered = millis.map_or(now, Time::from_millis);
    SetCookies { values: values.collect(), answered }
}

/// Logs why cookies were ignored, without their content, which may be secret.
pub(super) fn log(log: &RequestLog, not_kept: &[NotKept]) {
    for why in not_kept {
        record!(warn, log, BROKER, error = as_error(why), "A cookie from the broker is ignored");
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_have_the_time_of_the_response() {
        let now = Time::from_millis(5);
        let mut headers = HeaderMap::new();
        headers.append(header::SET_COOKIE, HeaderValue::from_static("a=1; secure"));
        headers.append(header::SET_COOKIE, HeaderValue::from_bytes(b"b=\xe9").unwrap());

        let SetCookies { values, answered } = read(&headers, now);
        assert_eq!(values, ["a=1; secure", "b=\u{fffd}"]);
        assert_eq!(answered, now);

        for (date, answered) in [
            ("Mon, 01 Jun 2026 00:00:00 GMT", Time::from_millis(1_780_272_000_000)),
            ("yesterday", now),
        ] {
            headers.insert(header::DATE, HeaderValue::from_static(date));
            assert_eq!(read(&headers, now).answered, answered);
        }
    }
}
