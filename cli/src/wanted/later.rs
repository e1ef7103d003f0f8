//! What is asked for and has no effect yet. It is checked and kept for the day it has.

mod licence;
mod oauth;
mod sso;

use std::fmt::Display;

use cmsg_config::Paths;

use super::{Given, Reader};
use crate::answers::settle::CLEARING;
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
