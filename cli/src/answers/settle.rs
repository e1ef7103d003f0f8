//! Answers of different strength that exclude each other: what was said more strongly holds, so
//! that the other need not be taken back in every later command.

use super::{Answer, Answers, Origin};

/// What clears values, and which.
pub(crate) const CLEARING: [(&str, &[&str]); 2] = [
    ("clear-host-address", &["host-address"]),
    ("clear-trusted-license", &["trusted-license-cert", "trusted-license-cert-key"]),
];
/// What says that certificates for single sign-on are signed here.
pub(crate) const SSO_SIGNING: [&str; 3] =
    ["sso-signing-csr-ca", "sso-signing-csr-key", "sso-signing-crl"];
/// What says that a certification authority signs them.
pub(crate) const SSO_ENROLLMENT: [&str; 5] = [
    "sso-enrollment-url",
    "sso-enrollment-domain",
    "sso-enrollment-username",
    "sso-enrollment-password",
    "sso-enrollment-certificate-template-name",
];

impl Answers {
    /// Clears weaker values, or takes the clearing back where a stronger source gives one. What one
    /// source says of both stays, and is refused later.
    pub(super) fn settle_clearing(&mut self) {
        for (clear, names) in CLEARING {
            let clearing = self.of(clear);
            if clearing.texts != ["true"] {
                continue;
            }
            let clearing = clearing.from;
            match self.strongest(names) {
                Some(from) if from > clearing => {
                    self.0.insert(clear, Answer { texts: vec!["false".to_owned()], from });
                }
                Some(from) if from == clearing => {}
                _ => self.empty(names, clearing),
            }
        }
    }

    /// Of the two ways to sign certificates for single sign-on the one that was said more strongly
    /// replaces the other.
    pub(super) fn settle_sso(&mut self) {
        let signing = self.strongest(&SSO_SIGNING);
        let enrollment = self.strongest(&SSO_ENROLLMENT);
        if let (Some(signing), Some(enrollment)) = (signing, enrollment) {
            if signing > enrollment {
                self.empty(&SSO_ENROLLMENT, signing);
            } else if enrollment > signing {
                self.empty(&SSO_SIGNING, enrollment);
            }
        }
    }

    /// Who gave values of these settings, the strongest of them.
    fn strongest(&self, names: &[&str]) -> Option<Origin> {
        let given = names.iter().map(|name| self.of(name)).filter(|a| !a.texts.is_empty());
        given.map(|answer| answer.from).max()
    }

    fn empty(&mut self, names: &[&'static str], from: Origin) {
        for name in names {
            self.0.insert(name, Answer { texts: Vec::new(), from });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::settings::Layer;

    fn layer(pairs: &[(&'static str, &str)]) -> Layer {
        pairs.iter().map(|(name, text)| (*name, vec![(*text).to_owned()])).collect()
    }

    #[test]
    fn the_stronger_of_a_value_and_its_clearing_holds() {
        use Origin::{Environment, Flag, Saved};
        let table: [(Origin, Origin, &str, &[&str]); 3] = [
            (Flag, Saved, "true", &[]),
            (Environment, Flag, "false", &["a.example"]),
            (Flag, Flag, "true", &["a.example"]),
        ];
        for (clear_from, value_from, clear, value) in table {
            let clears = layer(&[("clear-host-address", "true")]);
            let values = layer(&[("host-address", "a.example")]);
            let both: Layer = clears.clone().into_iter().chain(values.clone()).collect();
            let layers = if clear_from == value_from {
                vec![(clear_from, &both)]
            } else {
                vec![(clear_from, &clears), (value_from, &values)]
            };

            let answers = Answers::resolve(&layers);

            assert_eq!(answers.of("clear-host-address").texts, [clear]);
            assert_eq!(answers.of("host-address").texts, value);
        }
    }

    #[test]
    fn both_files_of_a_licence_are_cleared() {
        let clear = layer(&[("clear-trusted-license", "true")]);
        let saved = layer(&[("trusted-license-cert", "/c"), ("trusted-license-cert-key", "/k")]);

        let answers = Answers::resolve(&[(Origin::Flag, &clear), (Origin::Saved, &saved)]);

        for name in ["trusted-license-cert", "trusted-license-cert-key"] {
            assert_eq!(answers.of(name), &Answer { texts: vec![], from: Origin::Flag });
        }
    }

    #[test]
    fn a_new_way_to_sign_replaces_the_saved_one() {
        let flags = layer(&[("sso-enrollment-url", "https://ca.example")]);
        let saved = layer(&[("sso-signing-csr-ca", "/c"), ("sso-signing-csr-key", "/k")]);

        let answers = Answers::resolve(&[(Origin::Flag, &flags), (Origin::Saved, &saved)]);

        assert_eq!(answers.of("sso-signing-csr-key").texts, [""; 0]);
        assert_eq!(answers.of("sso-enrollment-url").texts, ["https://ca.example"]);
    }
}
