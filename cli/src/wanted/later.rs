//! What is asked for and has no effect yet. It is checked and kept for the day it has.

mod licence;
pub(crate) mod oauth;
pub(crate) mod sso;

use std::fmt::Display;

use cmsg_config::Paths;

use super::{Given, Reader};
use crate::answers::{Origin, settle::CLEARING};
pub(crate) use licence::Licence;
pub(crate) use oauth::Oauth;
pub(crate) use sso::Sso;

/// All of it.
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
    /// Reads it.
    pub(super) fn read(reader: &mut Reader<'_>, paths: &Paths) -> Self {
        for (clear, names) in CLEARING {
            if reader.switch(clear)
                && let Some(name) = names.iter().find(|name| !reader.is_empty(name))
            {
                let what = format!("`--{clear}` clears `--{name}`, which is given as well");
                reader.refuse("settings.clear", what, "leave one of them out");
            }
        }
        reader.switch("adopt");
        let collaboration = reader.switch("enable-collaboration");
        Self {
            collaboration: reader.is_said("enable-collaboration").then_some(collaboration),
            horizon: reader.switch("enable-horizon"),
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
fn unsupported(reader: &mut Reader<'_>, name: &'static str, without: &str) -> bool {
    if !reader.switch(name) {
        return false;
    }
    let source = reader.source(name);
    match reader.from(name) {
        Origin::Saved => {
            let what = format!("{source} has no effect: {without}");
            let cure = format!(
                "run `pcoip-cmsg-setup configure --{name}=false` if that is acceptable; otherwise \
                 let no user log on here"
            );
            reader.warn(UNSUPPORTED, what, cure);
        }
        Origin::Adopted => {
            let what = format!("{source} is on, and this version does not support it: {without}");
            let cure = format!(
                "add `--{name}=false` if that is acceptable; otherwise keep the other product"
            );
            reader.refuse(UNSUPPORTED, what, cure);
        }
        _ => {
            let what = format!("{source} is not supported by this version: {without}");
            reader.refuse(UNSUPPORTED, what, format!("leave it out, or set `--{name}=false`"));
        }
    }
    true
}

/// Notes what is missing of what another setting needs.
pub(super) fn need(reader: &mut Reader<'_>, needs: impl Display, names: &[&'static str]) {
    for name in names {
        if reader.is_empty(name) {
            reader.missing_for(name, &needs);
        }
    }
}

#[cfg(test)]
mod tests;
