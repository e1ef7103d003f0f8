//! The name of a user, so that different spellings of it compare equal.

use std::fmt;

/// The name that a client logs on with: `user`, `domain\user` or `user@domain`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct User(String);

impl User {
    /// Longer than any Windows user name with its domain, in bytes. Longer names are cut off.
    pub const MAX_BYTES: usize = 256;

    /// The user of a log-on. A domain in the name itself takes precedence over `domain`.
    #[must_use]
    pub fn new(name: &str, domain: Option<&str>) -> Self {
        let name = name.trim();
        let (domain, name) = match name.split_once('\\') {
            Some((domain, name)) => (Some(domain), name.trim()),
            None if name.contains('@') => (None, name),
            None => (domain, name),
        };
        let domain = domain.map(str::trim).filter(|domain| !domain.is_empty());
        let mut text: String = match domain {
            Some(domain) => lower(domain).chain(['\\']).chain(lower(name)).collect(),
            None => lower(name).collect(),
        };
        text.truncate(text.floor_char_boundary(Self::MAX_BYTES));
        text.truncate(text.trim_end().len());
        Self(text)
    }

    /// The name, as it is shown to administrators.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Does not read more than can be kept.
fn lower(text: &str) -> impl Iterator<Item = char> {
    text.chars().take(User::MAX_BYTES).flat_map(char::to_lowercase)
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_name_are_the_same_user() {
        let table = [
            ("Anna", None, "anna"),
            (" anna ", Some(""), "anna"),
            ("ANNA", Some("Example"), "example\\anna"),
            ("Example\\Anna", None, "example\\anna"),
            ("Example\\Anna", Some("other"), "example\\anna"),
            ("\\anna", Some("other"), "anna"),
            ("Anna@Example.COM", Some("anything"), "anna@example.com"),
            ("Ärger", Some(" D "), "d\\ärger"),
            ("", None, ""),
        ];
        for (name, domain, expected) in table {
            let user = User::new(name, domain);

            assert_eq!(user.as_str(), expected, "{name} {domain:?}");
            assert_eq!(User::new(user.as_str(), None), user, "it can be typed as it is shown");
        }
    }

    #[test]
    fn a_long_name_is_cut_off_between_characters() {
        let long = "é".repeat(10_000);

        let user = User::new(&long, Some("dd"));

        assert_eq!(user.as_str().len(), User::MAX_BYTES - 1);
        assert_eq!(User::new(user.as_str(), None), user);
    }
}
