use super::*;
use crate::{
    answers::{Answers, file},
    finding::Finding,
    wanted::{Location, Wanted, tests::answers},
};

const BASE: &str = "accept-policies: true\nself-signed: true\nroot: /r\n\
                    broker-url: https://b\nexternal-pcoip-ip: 192.0.2.1\n";
const ENROLLMENT: &str = "sso-enrollment-url: https://ca.example/certsrv\n\
                          sso-enrollment-domain: corp.example\nsso-enrollment-username: svc\n\
                          sso-enrollment-password: '@/p'\n\
                          sso-enrollment-certificate-template-name: Smartcard User 2\n";

fn read(text: &str) -> (Later, Vec<Finding>) {
    let answers = answers(&format!("{BASE}{text}"));
    let place = Location::read(&answers).unwrap();
    let (wanted, findings) = Wanted::read(&answers, place);
    (wanted.later, findings)
}

/// The same where an earlier installation saved that.
fn read_from(from: Origin, text: &str) -> Vec<Finding> {
    let (base, said) = (file::parse(BASE).unwrap(), file::parse(text).unwrap());
    let answers = Answers::resolve(&[(Origin::Flag, &base), (from, &said)]);
    Wanted::read(&answers, Location::read(&answers).unwrap()).1
}

fn refusals(text: &str) -> Vec<String> {
    let findings = read_from(Origin::Saved, text).into_iter();
    findings.filter(|it| it.id != UNSUPPORTED).map(|finding| finding.what).collect()
}

#[test]
fn authentication_that_does_not_work_is_refused_unless_it_was_saved() {
    const ON: [(&str, &str); 2] = [
        ("enable-oauth", "id-provider-url: https://idp.example\noauth-client-id: 0oa1\n"),
        ("enable-sso", "sso-signing-csr-ca: /c\nsso-signing-csr-key: /k\n"),
    ];
    let table = [
        (Origin::Flag, true, "omit it"),
        (Origin::Environment, true, "omit it"),
        (Origin::Answers, true, "omit it"),
        (Origin::Adopted, true, "add `--NAME=false` if that is acceptable"),
        (Origin::Saved, false, "run `pcoip-cmsg-setup configure --NAME=false`"),
    ];
    for (name, rest) in ON {
        for (from, is_error, cure) in table {
            let findings = read_from(from, &format!("{name}: true\n{rest}"));

            assert_eq!(findings.len(), 1, "{findings:?}");
            assert_eq!(
                (findings[0].id, findings[0].is_error()),
                (UNSUPPORTED, is_error),
                "{from:?}"
            );
            assert!(findings[0].cure.starts_with(&cure.replace("NAME", name)), "{findings:?}");
            assert_eq!(read_from(from, &format!("{name}: false\n{rest}")), []);
        }
    }
}

#[test]
fn adopted_authentication_is_switched_off_by_a_flag_alone() {
    let base = file::parse(&format!("{BASE}enable-oauth: false\n")).unwrap();
    let adopted =
        file::parse("enable-oauth: true\nid-provider-url: https://idp.example\n").unwrap();

    let answers = Answers::resolve(&[(Origin::Flag, &base), (Origin::Adopted, &adopted)]);

    assert_eq!(Wanted::read(&answers, Location::read(&answers).unwrap()).1, []);
}

#[test]
fn what_belongs_together_is_accepted() {
    let table = [
        "",
        "enable-oauth: true\nid-provider-url: https://idp.example\noauth-client-id: 0oa1\n",
        "enable-sso: true\nsso-signing-csr-ca: /c\nsso-signing-csr-key: /k\n",
        "enable-sso: true\nsso-signing-csr-ca: /c\nsso-signing-csr-key: /k\nsso-signing-crl: /l\n",
        "docker-username: me\ndocker-password: '@/p'\ndocker-registry: registry.example:5000/a\n",
        "trusted-license-cert: /c\n",
        "clear-trusted-license: true\n",
        "fa-url: https://cac-vm-fqdn:8443\nenable-horizon: true\nenable-collaboration: false\n",
        "sso-signing-csr-ca: /c\n",
        &format!("enable-sso: true\n{ENROLLMENT}"),
    ];
    for text in table {
        assert_eq!(refusals(text), [""; 0], "{text}");
    }
}

#[test]
fn what_is_missing_is_told_with_what_needs_it() {
    let table: [(&str, &[&str]); 7] = [
        (
            "enable-oauth: true\n",
            &[
                "`--id-provider-url` is missing, but `--enable-oauth` requires it",
                "`--oauth-client-id` is missing, but `--enable-oauth` requires it",
            ],
        ),
        (
            "enable-oauth: true\nid-provider-url: https://idp.example\n",
            &["`--oauth-client-id` is missing, but `--enable-oauth` requires it"],
        ),
        (
            "docker-registry: r.example\ndocker-username: me\n",
            &["`--docker-password` is missing, but `--docker-username` requires it"],
        ),
        (
            "docker-password: '@/p'\n",
            &["`--docker-username` is missing, but `--docker-password` requires it"],
        ),
        ("enable-sso: true\n", &["`--enable-sso` needs a way to sign certificates"]),
        (
            "enable-sso: true\nsso-signing-crl: /l\n",
            &[
                "`--sso-signing-csr-ca` is missing, but `--enable-sso` requires it",
                "`--sso-signing-csr-key` is missing, but `--enable-sso` requires it",
            ],
        ),
        (
            "enable-sso: true\nsso-enrollment-url: https://ca.example\n\
             sso-enrollment-username: svc\nsso-enrollment-password: '@/p'\n",
            &[
                "`--sso-enrollment-domain` is missing, but `--enable-sso` requires it",
                "`--sso-enrollment-certificate-template-name` is missing, but `--enable-sso` requires it",
            ],
        ),
    ];
    for (text, whats) in table {
        assert_eq!(refusals(text), whats, "{text}");
    }
}

#[test]
fn what_excludes_each_other_is_refused() {
    let both = format!("enable-sso: true\nsso-signing-csr-ca: /c\n{ENROLLMENT}");
    let table = [
        (both.as_str(), "`--sso-signing-…` and `--sso-enrollment-…` flags are both set"),
        (
            "clear-host-address: true\nhost-address: a.example\n",
            "`--clear-host-address` clears `--host-address`, which is also set",
        ),
        (
            "clear-trusted-license: true\ntrusted-license-cert-key: /k\n",
            "`--clear-trusted-license` clears `--trusted-license-cert-key`, which is also set",
        ),
    ];
    for (text, what) in table {
        assert_eq!(refusals(text), [what], "{text}");
    }
}

#[test]
fn values_of_the_wrong_shape_are_mistakes_of_usage() {
    let table = [
        ("id-provider-url: http://idp\n", "`--id-provider-url`: `http://idp` is not a URL"),
        ("fa-url: cac-vm-fqdn\n", "`--fa-url`: `cac-vm-fqdn` is not a URL"),
        ("sso-enrollment-url: ftp://ca\n", "`--sso-enrollment-url`: `ftp://ca` is not a URL"),
        (
            "sso-enrollment-domain: 192.0.2.1\n",
            "`--sso-enrollment-domain`: `192.0.2.1` is not the name of a domain",
        ),
        ("docker-registry: https://r\n", "`--docker-registry`: `https://r` is not a registry"),
        ("enable-horizon: maybe\n", "`--enable-horizon`: `maybe` is not `true` or `false`"),
        ("adopt: maybe\n", "`--adopt`: `maybe` is not `true` or `false`"),
    ];
    for (text, what) in table {
        let (_, findings) = read(text);

        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].id, "usage.value");
        assert!(findings[0].what.starts_with(what), "{}", findings[0].what);
    }
}

#[test]
fn half_a_licence_goes_with_the_half_that_is_kept() {
    let (later, _) = read("trusted-license-cert: /c\n");

    let licence = later.licence.unwrap();
    assert_eq!(licence.certificate.path.to_str(), Some("/c"));
    assert_eq!(licence.key.path.to_str(), Some("/r/opt/teradici/pcoipcm_data/certs/tcl-cert.key"));
}
