//! What is asked for and has no effect yet. It is checked and kept for the day it has.

mod licence;
pub(crate) mod oauth;
pub(crate) mod sso;

use cmsg_config::Paths;

use super::{Given, Reader};
use crate::{
    answers::{Origin, settle::CLEARING},
    args::settings::Setting,
};
pub(crate) use licence::Licence;
pub(crate) use oauth::Oauth;
pub(crate) use sso::Sso;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Later {
    /// Whether clients may share a session, if that was said.
    pub(crate) collaboration: Option<bool>,
    /// Whether VMware Horizon brokers.
    pub(crate) horizon: bool,
    /// Authentication at an identity provider.
    pub(crate) oauth: Oauth,
    /// Logging users on to their desktops.
    pub(crate) sso: Sso,
    /// A trusted customer licence.
    pub(crate) licence: Option<Licence>,
}

impl Later {
    pub(super) fn read(reader: &mut Reader<'_>, paths: &Paths) -> Self {
        for (clear, settings) in CLEARING {
            if reader.switch(clear)
                && let Some(other) = settings.iter().find(|setting| !reader.is_empty(**setting))
            {
                let what = format!("`--{clear}` clears `--{other}`, which is also set");
                reader.refuse("settings.clear", what, "omit one of them");
            }
        }
        reader.switch(Setting::Adopt);
        let collaboration = reader.switch(Setting::EnableCollaboration);
        Self {
            collaboration: reader.is_said(Setting::EnableCollaboration).then_some(collaboration),
            horizon: reader.switch(Setting::EnableHorizon),
            oauth: Oauth::read(reader),
            sso: Sso::read(reader),
            licence: Licence::read(reader, paths),
        }
    }

    /// The files of the operator's.
    pub(crate) fn given(&self) -> impl Iterator<Item = &Given> {
        let licence = self.licence.iter().flat_map(|licence| [&licence.certificate, &licence.key]);
        self.sso.given().chain(licence)
    }
}

/// The finding of a way to authenticate users that does not work yet.
pub(crate) const UNSUPPORTED: &str = "settings.unsupported";

/// Whether such a way is on. A site would rely on it, so it is refused, except where an earlier installation saved it: that one
/// can still be updated, and its administrator is warned.
fn unsupported(reader: &mut Reader<'_>, setting: Setting, without: &str) -> bool {
    if !reader.switch(setting) {
        return false;
    }
    let source = reader.source(setting);
    match reader.from(setting) {
        Origin::Saved => {
            let what = format!("{source} has no effect: {without}");
            let cure = format!(
                "run `pcoip-cmsg-setup configure --{setting}=false` if that is acceptable; \
                 otherwise do not let users log on here"
            );
            reader.warn(UNSUPPORTED, what, cure);
        }
        Origin::Adopted => {
            let what =
                format!("{source} is enabled, but this version does not support it: {without}");
            let cure = format!(
                "add `--{setting}=false` if that is acceptable; otherwise keep the other product"
            );
            reader.refuse(UNSUPPORTED, what, cure);
        }
        _ => {
            let what = format!("{source} is not supported by this version: {without}");
            reader.refuse(UNSUPPORTED, what, format!("omit it, or set `--{setting}=false`"));
        }
    }
    true
}

/// Notes what is missing of what another setting needs.
pub(super) fn need(reader: &mut Reader<'_>, needing: Setting, settings: &[Setting]) {
    for setting in settings {
        if reader.is_empty(*setting) {
            reader.missing_for(*setting, needing);
        }
    }
}

#[cfg(test)]
mod tests;
