//! Certificate and key of a trusted customer licence.

use cmsg_config::Paths;

use crate::{
    args::settings::Setting,
    installation::layout,
    wanted::{Given, Reader},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Licence {
    pub(crate) certificate: Given,
    pub(crate) key: Given,
}

impl Licence {
    /// Reads both. Of one alone the other is where the last installation put it.
    pub(super) fn read(reader: &Reader<'_>, paths: &Paths) -> Option<Self> {
        let settings = [Setting::TrustedLicenseCert, Setting::TrustedLicenseCertKey];
        if settings.iter().all(|setting| reader.is_empty(*setting)) {
            return None;
        }
        let [certificate, key] = settings.map(|setting| {
            let copied = || Given { setting, path: layout::copy(paths, setting), is_kept: true };
            reader.given(setting).unwrap_or_else(copied)
        });
        Some(Self { certificate, key })
    }
}
