//! Certificate and key of a trusted customer licence.

use cmsg_config::Paths;

use crate::{
    installation::layout,
    wanted::{Given, Reader},
};

/// Both files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Licence {
    /// The certificate.
    pub(crate) certificate: Given,
    /// Its key.
    pub(crate) key: Given,
}

impl Licence {
    /// Reads both. Of one alone the other is where the last installation put it.
    pub(super) fn read(reader: &Reader<'_>, paths: &Paths) -> Option<Self> {
        let names = ["trusted-license-cert", "trusted-license-cert-key"];
        if names.iter().all(|name| reader.is_empty(name)) {
            return None;
        }
        let [certificate, key] = names.map(|name| {
            let copied = || Given { setting: name, path: layout::copy(paths, name), is_kept: true };
            reader.given(name).unwrap_or_else(copied)
        });
        Some(Self { certificate, key })
    }
}
