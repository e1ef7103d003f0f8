//! Certificates and keys as they will be: copied, made, or left as they are.

use std::{net::IpAddr, path::PathBuf};

use cmsg_config::{Paths, values::Host};
use time::Duration;

use super::{remove, write};
use crate::{
    args::settings::Setting,
    content::Content,
    host::Facts,
    installation::{installed::Installed, layout},
    pki::{
        generate::{Key, Request},
        inspect::{self, Name},
    },
    step::{Step, make_certificate::MakeCertificate},
    wanted::{Certificate, Wanted},
};

/// A self-signed certificate is made anew when it expires within this.
const RENEW_BEFORE: Duration = Duration::days(30);

/// The steps for all files in the folder of certificates.
pub(super) fn steps(wanted: &Wanted, facts: &Facts) -> Vec<Step> {
    let paths = wanted.place.paths();
    let mut steps = announcements(wanted, facts, &paths);
    match &wanted.certificate {
        Certificate::SelfSigned => steps.extend(self_signed(wanted, facts, &paths)),
        Certificate::Given { .. } => {
            steps.extend(copy(facts, Setting::SslKey, layout::key(&paths)));
            steps.extend(copy(facts, Setting::SslCert, layout::certificate(&paths)));
        }
    }
    if wanted.ca_cert.is_some() {
        steps.extend(copy(facts, Setting::CaCert, layout::authority(&paths)));
    } else {
        steps.extend(remove(&facts.installed, layout::authority(&paths)));
    }
    steps
}

/// The names by which clients may call this host.
fn names(wanted: &Wanted, facts: &Facts) -> Vec<String> {
    // An address stands in a certificate in its shortest form.
    let plain = |host: &Host| match host.as_str().parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.as_str().to_owned(),
    };
    let mut names: Vec<String> = wanted.host_addresses.iter().map(plain).collect();
    let external = wanted.security_gateway.iter().flat_map(|gateway| &gateway.external);
    names.extend(external.map(IpAddr::to_string));
    names.extend(facts.hostname.as_ref().map(plain));
    if wanted.place.root.is_some() {
        names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    }
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

fn copy(facts: &Facts, setting: Setting, to: PathBuf) -> Option<Step> {
    let content = facts.given.get(&setting)?.as_ref().ok()?;
    write(&facts.installed, to, content.plain())
}

fn self_signed(wanted: &Wanted, facts: &Facts, paths: &Paths) -> Option<Step> {
    let names = names(wanted, facts);
    let (key, certificate) = (layout::key(paths), layout::certificate(paths));
    let installed = &facts.installed;

    let base = facts.base();
    let old = base.content(&key).zip(base.content(&certificate));
    // Clients may trust the key of a certificate that is gone.
    let lone = if old.is_none() { base.content(&key) } else { None };
    let lone = lone.filter(|key| inspect::key(key.bytes()).is_ok());
    let is_good = old.is_some_and(|(key, certificate)| {
        let Ok(certificates) = inspect::certificates(certificate.bytes()) else { return false };
        certificates.first().is_some_and(|leaf| {
            leaf.is_self_issued
                && leaf.not_after > facts.now + RENEW_BEFORE
                && names.iter().all(|name| leaf.names.contains(&Name::of(name)))
                && inspect::key(key.bytes()).is_ok_and(|half| half == leaf.key)
        })
    });
    if is_good {
        return None;
    }
    let kept = lone.map_or(Key::NewRsa, |key| Key::Given(key.clone()));
    let request = Request { key: kept, names, now: facts.now };
    Some(make(request, None, [key, certificate], installed))
}

/// The key that signs announcements and the certificates that verify them. A Connection Manager
/// has a key, given, kept or made; the file of certificates begins with that key's own and goes on
/// with the given ones.
fn announcements(wanted: &Wanted, facts: &Facts, paths: &Paths) -> Vec<Step> {
    let (key, certificate) = (layout::signing_key(paths), layout::verifying_certificates(paths));
    let given = |setting: Setting| facts.given.get(&setting).and_then(|given| given.as_ref().ok());
    let others = given(Setting::JwtVerifyingCert).map(Content::plain);

    if wanted.connection_manager.is_none() {
        return others
            .and_then(|others| write(&facts.installed, certificate, others))
            .into_iter()
            .collect();
    }
    let installed = &facts.installed;
    let base = facts.base();
    let (old_key, old_certificate) = (base.content(&key), base.content(&certificate));
    let request = |key| Request { key, names: Vec::new(), now: facts.now };
    let Some(signing) =
        given(Setting::JwtSigningKey).map(Content::plain).or_else(|| old_key.cloned())
    else {
        return vec![make(request(Key::NewP256), others, [key, certificate], installed)];
    };
    if let Some(others) = &others
        && certifies(others, &signing)
    {
        let files = [(key, signing), (certificate, others.clone())];
        let steps = files.into_iter().filter_map(|(path, new)| write(installed, path, new));
        return steps.collect();
    }
    let is_kept = old_certificate.is_some_and(|old| {
        let goes_on = others.as_ref().is_none_or(|others| old.bytes().ends_with(others.bytes()));
        certifies(old, &signing) && goes_on && (others.is_some() || is_single(old))
    });
    if is_kept {
        return write(installed, key, signing).into_iter().collect();
    }
    vec![make(request(Key::Given(signing)), others, [key, certificate], installed)]
}

fn make(
    request: Request,
    others: Option<Content>,
    files: [PathBuf; 2],
    installed: &Installed,
) -> Step {
    let [key, certificate] = files;
    Step::MakeCertificate(MakeCertificate {
        request,
        followed_by: others.unwrap_or_else(|| Vec::new().into()),
        replaces_key: installed.files.contains_key(&key),
        replaces_certificate: installed.files.contains_key(&certificate),
        key,
        certificate,
    })
}

/// Whether one of the certificates is for that key.
fn certifies(certificates: &Content, key: &Content) -> bool {
    let Ok(half) = inspect::key(key.bytes()) else { return false };
    inspect::certificates(certificates.bytes())
        .is_ok_and(|all| all.iter().any(|certificate| certificate.key == half))
}

fn is_single(certificates: &Content) -> bool {
    inspect::certificates(certificates.bytes()).is_ok_and(|all| all.len() == 1)
}

#[cfg(test)]
mod tests;
