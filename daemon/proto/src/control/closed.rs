//! `connection-closed`, by which the vendor's gateway reports that a session has ended. Parsers of logs
//! look for it.

use super::message::element;
use crate::{SessionId, xml::leaf};

/// The message as it stands in logs. The vendor's reasons are `ConnectionTimeout`, `ResumeTimeout` and
/// `Unknown`.
#[must_use]
pub fn connection_closed(id: &SessionId, reason: &str) -> String {
    element("connection-closed", &[leaf("connection-id", id.as_str()), leaf("reason", reason)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_observed_shape() {
        let id = "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap();

        assert_eq!(
            connection_closed(&id, "ResumeTimeout"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-sg version=\"1.0\"><connection-closed>\
             <connection-id>0b1c2d3e-0000-4000-8000-00000000000a</connection-id>\
             <reason>ResumeTimeout</reason></connection-closed></pcoip-sg>"
        );
    }
}
