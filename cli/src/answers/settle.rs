//! Answers of different strength that exclude each other: what was said more strongly holds, so
//! that the other need not be taken back in every later command.

use super::{Answer, Answers, Origin};
use crate::args::settings::Setting;

/// What clears values, and which.
pub(crate) const CLEARING: [(Setting, &[Setting]); 2] = [
    (Setting::ClearHostAddress, &[Setting::HostAddress]),
    (Setting::ClearTrustedLicense, &[Setting::TrustedLicenseCert, Setting::TrustedLicenseCertKey]),
];
/// What says that certificates for single sign-on are signed here.
pub(crate) const SSO_SIGNING: [Setting; 3] =
    [Setting::SsoSigningCsrCa, Setting::SsoSigningCsrKey, Setting::SsoSigningCrl];
/// What says that a certification authority signs them.
pub(crate) const SSO_ENROLLMENT: [Setting; 5] = [
    Setting::SsoEnrollmentUrl,
    Setting::SsoEnrollmentDomain,
    Setting::SsoEnrollmentUsername,
    Setting::SsoEnrollmentPassword,
    Setting::SsoEnrollmentCertificateTemplateName,
];

impl Answers {
    /// Clears weaker values, or takes the clearing back where a stronger source gives one. What one
    /// source says of both stays, and is refused later.
    pub(super) fn settle_clearing(&mut self) {
        for (clear, settings) in CLEARING {
            let clearing = self.of(clear);
            if clearing.texts != ["true"] {
                continue;
            }
            let clearing = clearing.from;
            match self.strongest(settings) {
                Some(from) if from > clearing => {
                    self.0.insert(clear, Answer { texts: vec!["false".to_owned()], from });
                }
                Some(from) if from == clearing => {}
                _ => self.empty(settings, clearing),
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
    fn strongest(&self, settings: &[Setting]) -> Option<Origin> {
        let given =
            settings.iter().map(|setting| self.of(*setting)).filter(|a| !a.texts.is_empty());
        given.map(|answer| answer.from).max()
    }

    fn empty(&mut self, settings: &[Setting], from: Origin) {
        for setting in settings {
            self.0.insert(*setting, Answer { texts: Vec::new(), from });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::settings::Layer;

    fn layer(pairs: &[(Setting, &str)]) -> Layer {
        pairs.iter().map(|(setting, text)| (*setting, vec![(*text).to_owned()])).collect()
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
            let clears = layer(&[(Setting::ClearHostAddress, "true")]);
            let values = layer(&[(Setting::HostAddress, "a.example")]);
            let both: Layer = clears.clone().into_iter().chain(values.clone()).collect();
            let layers = if clear_from == value_from {
                vec![(clear_from, &both)]
            } else {
                vec![(clear_from, &clears), (value_from, &values)]
            };

            let answers = Answers::resolve(&layers);

            assert_eq!(answers.of(Setting::ClearHostAddress).texts, [clear]);
            assert_eq!(answers.of(Setting::HostAddress).texts, value);
        }
    }

    #[test]
    fn both_files_of_a_licence_are_cleared() {
        let clear = layer(&[(Setting::ClearTrustedLicense, "true")]);
        let saved =
            layer(&[(Setting::TrustedLicenseCert, "/c"), (Setting::TrustedLicenseCertKey, "/k")]);

        let answers = Answers::resolve(&[(Origin::Flag, &clear), (Origin::Saved, &saved)]);

        for setting in [Setting::TrustedLicenseCert, Setting::TrustedLicenseCertKey] {
            assert_eq!(answers.of(setting), &Answer { texts: vec![], from: Origin::Flag });
        }
    }

    #[test]
    fn a_new_way_to_sign_replaces_the_saved_one() {
        let flags = layer(&[(Setting::SsoEnrollmentUrl, "https://ca.example")]);
        let saved = layer(&[(Setting::SsoSigningCsrCa, "/c"), (Setting::SsoSigningCsrKey, "/k")]);

        let answers = Answers::resolve(&[(Origin::Flag, &flags), (Origin::Saved, &saved)]);

        assert_eq!(answers.of(Setting::SsoSigningCsrKey).texts, [""; 0]);
        assert_eq!(answers.of(Setting::SsoEnrollmentUrl).texts, ["https://ca.example"]);
    }
}
