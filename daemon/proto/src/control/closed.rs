//! `connection-closed`, by which the vendor's gateway reports the end of a session. Log parsers
//! look for it.

use super::message::element;
use crate::{SessionId, xml::leaf};

/// The message for the log. `reason` is one of the vendor's: `ConnectionTimeout`, `ResumeTimeout`
/// or `Unknown`.
#[must_use]
pub fn connection_closed(id: &SessionId, reason: &str) -> String {
    element("connection-closed", &[leaf("connection-id", id.as_str()), leaf("reason", reason)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_closed_has_the_vendors_form() {
        let id = "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap();

        assert_eq!(
            connection_closed(&id, "ResumeTimeout"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-sg version=\"1.0\"><connection-closed>\
             <connection-id>0b1c2d3e-0000-4000-8000-00000000000a</connection-id>\
             <reason>ResumeTimeout</reason></connection-closed></pcoip-sg>"
        );
    }
}
