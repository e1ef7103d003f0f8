//! What the health document of a gateway reports besides its health, for Connection Managers.

use serde_json::{Value, json};

/// The capability of a gateway that accepts grants.
const GRANTS: &str = "grants";

/// What a gateway offers. A gateway without failover offers nothing, and its health document has no
/// additional members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offer {
    /// Whether it accepts grants: `capabilities` contains `grants`.
    pub grants: bool,
    /// `load`: how many of its sessions are taken, in percent.
    pub load: Option<u8>,
}

impl Offer {
    /// What a health document offers. Unknown capabilities and invalid members are ignored.
    #[must_use]
    pub fn parse(document: &[u8]) -> Self {
        let document: Value = serde_json::from_slice(document).unwrap_or_default();
        let capabilities = document.get("capabilities").and_then(Value::as_array);
        let load = document.get("load").and_then(Value::as_u64);
        Self {
            grants: capabilities.is_some_and(|all| all.iter().any(|it| it == GRANTS)),
            load: load.map(|percent| u8::try_from(percent.min(100)).unwrap_or(100)),
        }
    }

    /// The members of the health document, each with a comma before it.
    #[must_use]
    pub fn members(&self) -> String {
        let mut members = String::new();
        if self.grants {
            members += &format!(r#","capabilities":{}"#, json!([GRANTS]));
        }
        if let Some(percent) = self.load {
            members += &format!(r#","load":{percent}"#);
        }
        members
    }

    /// The load in percent of a gateway with this number of sessions. It is 100 only at the limit.
    #[must_use]
    pub fn load(sessions: usize, limit: usize) -> u8 {
        let percent = sessions.saturating_mul(100) / limit.max(1);
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_parsed_as_it_is_written() {
        let table = [
            (Offer::default(), ""),
            (Offer { grants: true, load: None }, r#","capabilities":["grants"]"#),
            (Offer { grants: true, load: Some(37) }, r#","capabilities":["grants"],"load":37"#),
        ];
        for (offer, members) in table {
            assert_eq!(offer.members(), members);
            let document = format!(r#"{{"code":200,"status":"success"{members}}}"#);
            assert_eq!(Offer::parse(document.as_bytes()), offer);
        }
    }

    #[test]
    fn other_documents_offer_nothing() {
        for document in [
            "",
            "<html>",
            "[]",
            r#"{"capabilities":"grants","load":"37"}"#,
            r#"{"capabilities":["Grants",7],"load":-1}"#,
            r#"{"capabilities":{"grants":true}}"#,
        ] {
            assert_eq!(Offer::parse(document.as_bytes()), Offer::default(), "{document}");
        }
        let more = r#"{"capabilities":["other","grants"],"load":1000}"#;
        assert_eq!(Offer::parse(more.as_bytes()), Offer { grants: true, load: Some(100) });
    }

    #[test]
    fn the_load_is_a_percentage_of_the_limit() {
        let table = [(0, 5000, 0), (49, 5000, 0), (50, 5000, 1), (4999, 5000, 99)];
        for (sessions, limit, percent) in table {
            assert_eq!(Offer::load(sessions, limit), percent, "{sessions} of {limit}");
        }
        for (sessions, limit) in [(5000, 5000), (6000, 5000), (1, 0), (usize::MAX, 1)] {
            assert_eq!(Offer::load(sessions, limit), 100, "{sessions} of {limit}");
        }
    }
}
