//! Reads the files, and says what each is that is not what was asked for.

use cmsg_config::pem::Problem;

use super::Named;
use crate::{
    finding::Finding,
    pki::inspect::{self, Certificate, Form, Holds, NoKey, PublicHalf},
};

/// The certificates of a file, or the finding why there are none.
pub(super) fn certificates(
    file: Named<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Vec<Certificate>> {
    match inspect::certificates(file.bytes) {
        Ok(all) => {
            findings.extend(holds_key(file));
            Some(all)
        }
        Err(why) => {
            findings.push(no_certificate(file, &why));
            None
        }
    }
}

/// The public half of the key in a file, or the finding why there is none.
pub(super) fn key(file: Named<'_>, findings: &mut Vec<Finding>) -> Option<PublicHalf> {
    inspect::key(file.bytes).map_err(|why| findings.push(no_key(file, &why))).ok()
}

fn holds_key(file: Named<'_>) -> Option<Finding> {
    inspect::has_private_key(file.bytes).then(|| {
        Finding::warning(
            "certificate.holds-key",
            format!("{} contains a private key in addition to the certificate", file.flag()),
            "use a file that contains only certificates",
        )
    })
}

fn no_certificate(file: Named<'_>, why: &Problem) -> Finding {
    let (flag, name) = (file.flag(), file.file());
    let refused = |id, what: &str, cure: String| {
        Finding::error(id, format!("{flag} {what}"), file.cure(cure))
    };
    if why.is_skipped() {
        return skipped("certificate.skipped", file, why);
    }
    let form = Form::of(file.bytes);
    let held = match &form {
        Form::Pem(held) => &held[..],
        Form::Der(held) => std::slice::from_ref(held),
        _ => &[],
    };
    let der = if matches!(form, Form::Der(_)) { "-inform DER " } else { "" };
    if let Some((id, what, command)) = not_pem(&form) {
        return refused(id, what, format!("convert it: `{command} -in {name} -out {name}.pem`"));
    }
    if held.contains(&Holds::Certificate) {
        let cure = format!(
            "copy the file again; `openssl x509 -in {name} -noout -text` must be able to read it"
        );
        return refused("certificate.unreadable", &format!("is damaged: {why}"), cure);
    }
    if held.contains(&Holds::Pkcs7) {
        let cure = from_pkcs7(file, der);
        return refused("certificate.pkcs7", "is a PKCS#7 file, not PEM certificates", cure);
    }
    if held.contains(&Holds::OtherCertificate) {
        return other_label(file);
    }
    if held.contains(&Holds::Request) {
        let cure = "use the certificate that the authority issued for it".to_owned();
        return refused(
            "certificate.is-request",
            "is a certificate request, not a certificate",
            cure,
        );
    }
    if held.iter().any(|held| matches!(held, Holds::Key | Holds::DsaKey | Holds::EncryptedKey)) {
        let cure = "use the PEM certificate, which has a line `-----BEGIN CERTIFICATE-----`";
        return refused(
            "certificate.is-key",
            "is a private key, not a certificate",
            cure.to_owned(),
        );
    }
    let cure = odd_form(&form, file).unwrap_or_else(|| {
        "use a PEM file, which has a line `-----BEGIN CERTIFICATE-----`".to_owned()
    });
    refused("certificate.unreadable", &odd(&form, "contains no PEM certificate"), cure)
}

/// The finding about a certificate that is not in PEM, and the command that converts it.
fn not_pem(form: &Form) -> Option<(&'static str, &'static str, &'static str)> {
    match form {
        Form::Der(Holds::Certificate) => {
            Some(("certificate.der", "is a DER file, not PEM", "openssl x509 -inform DER"))
        }
        Form::Pkcs12 => {
            Some(("certificate.pkcs12", "is a PKCS#12 file, not PEM", "openssl pkcs12 -nokeys"))
        }
        _ => None,
    }
}

fn other_label(file: Named<'_>) -> Finding {
    let name = file.file();
    Finding::error(
        "certificate.label",
        format!(
            "{} has a PEM label that only OpenSSL understands: `TRUSTED CERTIFICATE` or `X509 \
             CERTIFICATE`",
            file.flag()
        ),
        format!(
            "convert it: `openssl crl2pkcs7 -nocrl -certfile {name} | openssl pkcs7 -print_certs \
             -out {name}.pem`"
        ),
    )
}

/// How to convert PKCS#7. Under the label `CMS` OpenSSL reads no certificates.
fn from_pkcs7(file: Named<'_>, der: &str) -> String {
    const CMS: &[u8] = b"-----BEGIN CMS-----";
    let name = file.file();
    let read = if file.bytes.windows(CMS.len()).any(|window| window == CMS) {
        format!("sed 's/ CMS-----/ PKCS7-----/' {name} | openssl pkcs7")
    } else {
        format!("openssl pkcs7 {der}-in {name}")
    };
    format!(
        "convert it: `{read} -print_certs -out {name}.pem`, and put the host's own certificate first"
    )
}

fn no_key(file: Named<'_>, why: &NoKey) -> Finding {
    let (flag, name) = (file.flag(), file.file());
    let refused = |id, what: &str, cure: String| {
        Finding::error(id, format!("{flag} {what}"), file.cure(cure))
    };
    let form = Form::of(file.bytes);
    let der = if matches!(form, Form::Der(_)) { "-inform DER " } else { "" };
    match why {
        NoKey::Encrypted => {
            let cure = format!(
                "remove it with `openssl pkey {der}-in {name} -out {name}.plain`, use that file, \
                 and keep it safe"
            );
            refused("key.encrypted", "is encrypted: the key needs a passphrase", cure)
        }
        NoKey::Pem(why @ Problem::SeveralKeys(_)) => skipped("key.several", file, why),
        NoKey::Pem(why) => skipped("key.skipped", file, why),
        NoKey::Damaged => {
            let cure = format!(
                "copy the file again; `openssl pkey -in {name} -noout -check` must find it valid"
            );
            refused("key.unreadable", "is damaged or of an unsupported type", cure)
        }
        NoKey::Form(Form::Der(Holds::Key)) => {
            let cure = format!("convert it: `openssl pkey -inform DER -in {name} -out {name}.pem`");
            refused("key.der", "is a DER file, not PEM", cure)
        }
        NoKey::Form(Form::Pkcs12) => {
            let cure = format!(
                "convert it: `openssl pkcs12 -in {name} -nocerts -nodes -out {name}.pem`, and keep \
                 that file safe"
            );
            refused("key.pkcs12", "is a PKCS#12 file, not PEM", cure)
        }
        NoKey::Form(form) => {
            let is_certificate = match form {
                Form::Pem(held) => held.contains(&Holds::Certificate),
                form => *form == Form::Der(Holds::Certificate),
            };
            let cure =
                "use the key file, which has a line `-----BEGIN PRIVATE KEY-----`".to_owned();
            if is_certificate {
                return refused("key.is-certificate", "is a certificate, not a private key", cure);
            }
            let cure = odd_form(form, file).unwrap_or(cure);
            refused("key.unreadable", &odd(form, "contains no PEM key"), cure)
        }
    }
}

/// What a reader of PEM would pass over without an error.
pub(super) fn skipped(id: &'static str, file: Named<'_>, why: &Problem) -> Finding {
    let what = format!("{}: {why}", file.flag());
    Finding::error(id, what, file.cure(why.fix(file.path)))
}

fn odd(form: &Form, otherwise: &str) -> String {
    match form {
        Form::Empty => "is empty".to_owned(),
        Form::Undecodable(why) => why.to_string(),
        _ => otherwise.to_owned(),
    }
}

fn odd_form(form: &Form, file: Named<'_>) -> Option<String> {
    let Form::Undecodable(why) = form else { return None };
    Some(why.fix(file.path))
}
