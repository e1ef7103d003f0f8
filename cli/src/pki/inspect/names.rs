//! Names in certificates: of hosts, the constraints on them that issuers bear, and of issuers.

use std::{fmt, net::IpAddr};

use crate::shown::one_line;

use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, GeneralSubtree, ParsedExtension},
};

/// A name of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// A DNS name. One that looks like an address is none to clients.
    Dns(String),
    Address(IpAddr),
}

/// The names that an authority may issue certificates for. Names of other kinds than hosts' are
/// left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Constraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subtree {
    Dns(String),
    /// An address and its mask, in one.
    Address(Vec<u8>),
}

impl Name {
    /// A name as it is written in an address bar.
    pub(crate) fn of(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Dns(text.to_owned()), Self::Address)
    }

    /// Whether it is that DNS name, or stands for it by its wildcard.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let Self::Dns(held) = self else { return false };
        let rest = name.split_once('.').map(|(_, rest)| rest);
        let starred = held.strip_prefix("*.").filter(|held| held.contains('.')).zip(rest);
        held.eq_ignore_ascii_case(name)
            || starred.is_some_and(|(held, rest)| held.eq_ignore_ascii_case(rest))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(&one_line(name)),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Constraints {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let Ok(Some(extension)) = certificate.name_constraints() else { return Self::default() };
        let subtrees = |all: &Option<Vec<GeneralSubtree<'_>>>| {
            all.iter().flatten().filter_map(|tree| Subtree::of(&tree.base)).collect()
        };
        Self {
            permitted: subtrees(&extension.value.permitted_subtrees),
            excluded: subtrees(&extension.value.excluded_subtrees),
        }
    }

    /// The first name that a certificate from this authority must not have.
    pub(crate) fn refused<'a>(&self, names: &'a [Name]) -> Option<&'a Name> {
        names.iter().find(|name| {
            let mut of_kind = self.permitted.iter().filter(|tree| tree.is_of_kind(name)).peekable();
            let is_limited = of_kind.peek().is_some();
            let is_permitted = !is_limited || of_kind.any(|tree| tree.contains(name));
            !is_permitted || self.excluded.iter().any(|tree| tree.contains(name))
        })
    }
}

impl Subtree {
    fn of(base: &GeneralName<'_>) -> Option<Self> {
        match base {
            GeneralName::DNSName(name) => Some(Self::Dns(name.to_ascii_lowercase())),
            GeneralName::IPAddress(bytes) => Some(Self::Address(bytes.to_vec())),
            _ => None,
        }
    }

    fn is_of_kind(&self, name: &Name) -> bool {
        matches!((self, name), (Self::Dns(_), Name::Dns(_)) | (Self::Address(_), Name::Address(_)))
    }

    fn contains(&self, name: &Name) -> bool {
        match (self, name) {
            (Self::Dns(base), Name::Dns(name)) => {
                let name = name.to_ascii_lowercase();
                let Some(rest) = name.strip_suffix(base.as_str()) else { return false };
                base.is_empty() || base.starts_with('.') || rest.is_empty() || rest.ends_with('.')
            }
            (Self::Address(base), Name::Address(IpAddr::V4(name))) => within(base, &name.octets()),
            (Self::Address(base), Name::Address(IpAddr::V6(name))) => within(base, &name.octets()),
            _ => false,
        }
    }
}

fn within(base: &[u8], name: &[u8]) -> bool {
    if base.len() != 2 * name.len() {
        return false;
    }
    let (address, mask) = base.split_at(name.len());
    name.iter().zip(address).zip(mask).all(|((name, address), mask)| name & mask == address & mask)
}

/// Whether the authority key identifier of one contradicts what the other is. What either leaves
/// out contradicts nothing.
pub(super) fn names_other_issuer(
    child: &X509Certificate<'_>,
    parent: &X509Certificate<'_>,
) -> bool {
    let named = child.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(named) => Some(named),
        _ => None,
    });
    let held = parent.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(held) => Some(held),
        _ => None,
    });
    let Some(named) = named else { return false };
    let is_other_key = named.key_identifier.as_ref().zip(held).is_some_and(|(a, b)| a != b);
    let serial = named.authority_cert_serial;
    let is_other_serial = serial.is_some_and(|serial| serial != parent.raw_serial());
    is_other_key || is_other_serial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_permitted_by_any_tree_of_its_kind_and_excluded_by_one() {
        let dns = |name: &str| Subtree::Dns(name.to_owned());
        let private = Subtree::Address(vec![10, 0, 0, 0, 255, 0, 0, 0]);
        let constraints = Constraints {
            permitted: vec![dns("corp.example"), dns(".sub.example"), private],
            excluded: vec![dns("lab.corp.example")],
        };
        let table = [
            ("corp.example", true),
            ("CM.corp.example", true),
            ("*.corp.example", true),
            ("xcorp.example", false),
            ("cm.example.com", false),
            ("cm.lab.corp.example", false),
            ("sub.example", false),
            ("cm.sub.example", true),
            ("10.1.2.3", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ];
        for (name, is_permitted) in table {
            let names = [Name::of(name)];
            assert_eq!(constraints.refused(&names).is_none(), is_permitted, "{name}");
        }
        assert_eq!(Constraints::default().refused(&[Name::of("cm.example.com")]), None);
    }
}
