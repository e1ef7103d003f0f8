//! The operator's certificates and keys.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use crate::{
    args::settings::Setting,
    content::Content,
    finding::Finding,
    host::Facts,
    installation::layout,
    pki::{
        inspect,
        judge::{self, Named, Tls},
    },
    wanted::{Given, Wanted},
};

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let given = wanted.given();
    let mut findings: Vec<Finding> =
        given.iter().filter_map(|given| unreadable(given, facts)).collect();
    let paths = wanted.place.paths();
    let copies: BTreeMap<_, _> =
        facts.copies.iter().map(|s| (*s, layout::copy(&paths, *s))).collect();
    let named = |setting: Setting| {
        let given = given.iter().find(|given| given.setting == setting)?;
        let named = named(given, facts)?;
        let copy = copies.get(&setting);
        Some(Named {
            path: copy.map_or(named.path, PathBuf::as_path),
            is_copy: copy.is_some(),
            ..named
        })
    };
    findings.extend(judge::tls(&Tls {
        certificate: named(Setting::SslCert),
        key: named(Setting::SslKey),
        authority: named(Setting::CaCert),
        names: names(wanted),
        now: facts.now,
    }));
    findings
        .extend(judge::announcing(named(Setting::JwtSigningKey), named(Setting::JwtVerifyingCert)));
    findings.extend(given.iter().filter_map(|given| exposed(given, facts)));
    findings
}

/// By what clients call this host, with the flags that say so.
fn names(wanted: &Wanted) -> Vec<(Setting, String)> {
    let plain = |host: &str| {
        host.parse::<IpAddr>().map_or_else(|_| host.to_owned(), |address| address.to_string())
    };
    let hosts =
        wanted.host_addresses.iter().map(|host| (Setting::HostAddress, plain(host.as_str())));
    let external = wanted.security_gateway.iter().flat_map(|gateway| &gateway.external);
    hosts.chain(external.map(|address| (Setting::ExternalPcoipIp, address.to_string()))).collect()
}

fn named<'a>(given: &'a Given, facts: &'a Facts) -> Option<Named<'a>> {
    let content = facts.given.get(&given.setting)?.as_ref().ok()?;
    Some(Named {
        setting: given.setting,
        path: &given.path,
        bytes: Content::bytes(content),
        is_copy: false,
    })
}

fn unreadable(given: &Given, facts: &Facts) -> Option<Finding> {
    let Given { setting, path, .. } = given;
    let why = facts.given.get(setting)?.as_ref().err()?;
    let id = match *setting {
        Setting::ComposeFile => "settings.file",
        _ if is_key(given) => "key.unreadable",
        _ => "certificate.unreadable",
    };
    let what = format!("`--{setting} {}`: {why}", path.display());
    Some(Finding::error(id, what, "specify a readable file"))
}

fn exposed(given: &Given, facts: &Facts) -> Option<Finding> {
    let Given { setting, path, .. } = given;
    let has_key = || named(given, facts).is_some_and(|file| inspect::key(file.bytes).is_ok());
    (is_key(given) && facts.exposed.contains(setting) && has_key()).then(|| {
        Finding::warning(
            "key.exposed",
            format!("users other than its owner can read `--{setting} {}`", path.display()),
            format!("`chmod 600 {}`", path.display()),
        )
    })
}

fn is_key(given: &Given) -> bool {
    given.setting.as_str().ends_with("-key")
}
